"""`python -m grokjax.export RESULTS`: the network of a run at a step, as a file for other programs.

In Python the same is `results.network(run_id, step).save("net.safetensors")`; docs/weights.md says
what the arrays are called.

Exit status: 0 the file is written, 2 bad usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from grokjax import command


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    from grokjax import experiment_file
    from grokjax.results.load import load

    experiment = experiment_file.of_option(given.experiment)
    step = int(given.step) if given.step.isdecimal() else given.step
    network = load(given.results).network(given.run, step, experiment)
    network.save(given.out, given.names)
    print(f"{given.out}: {network}, by the names of {given.names}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m grokjax.export",
        description="Write the network of a run at a step, of which its sweep has kept a snapshot, "
        "to a file with its task, model and run in the metadata.",
    )
    add = parser.add_argument
    add("results", type=Path, metavar="RESULTS", help="a sweep's folder")
    add("--run", required=True, metavar="RUN_ID", help="which run, by its id")
    add("--step", default="end", help="an update, or t_mem, t_grok or end (the default)")
    add("--out", required=True, type=Path, metavar="FILE", help="a .safetensors or .npz file")
    add(
        "--names", default="grokjax", metavar="WHOSE",
        help="names and shapes of the arrays: grokjax (the default), torch for those of the "
        "PyTorch module, or transformer_lens for those of a HookedTransformer",
    )  # fmt: skip
    add(
        "--experiment", type=Path, metavar="FILE",
        help="experiment file; needed only where the results do not tell all of it",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    command.run(main)
