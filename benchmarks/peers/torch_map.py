"""`python -m benchmarks.peers.torch_map`: a map of an MLP trained by a plain PyTorch loop.

The runs of an experiment file are trained one after another, each for its whole budget, with train
and test accuracy at the log points that the sweep has. Initial weights and splits are PyTorch's
own. Exit status: 0, or 2 for bad usage.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import tyro

from benchmarks import peers
from grokjax import command, experiment_file
from grokjax.bench import record
from grokjax.config import MLP, ConfigError, Experiment
from grokjax.config.coercion import require

PROGRAM = "python -m benchmarks.peers.torch_map"


@dataclasses.dataclass(frozen=True)
class Options:
    """Train the runs of an experiment file with PyTorch, one after another, and time it."""

    file: Path = Path("experiments/mlp_map.py")
    """The experiment file."""
    runs: int | None = None
    """Only its first so many runs; all when left out."""
    json: bool = False
    """Print the record as JSON."""
    out: Path | None = None
    """Also write the record into this folder, under a new name."""


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, prog=PROGRAM)
    found = measure(options, shlex.join([*PROGRAM.split(), *arguments]))
    print(json.dumps(found, indent=2) if options.json else sentence(found))
    if options.out is not None:
        print(f"wrote {record.write(options.out, found)}", file=sys.stderr)
    return 0


def measure(options: Options, words: str) -> dict[str, Any]:
    """Train the runs; how long that took, and how each ended."""
    experiment, _ = experiment_file.read(options.file)
    whole = experiment.runs()
    count = len(whole) if options.runs is None else options.runs
    require(1 <= count <= len(whole), "runs", count, f"the file has {len(whole)}, give 1 to that")
    runs = whole[:count]
    for run in runs:
        check(run)
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("torch: PyTorch is not installed, pip install -e '.[peers]'.")
    import torch

    from benchmarks.peers import torch_loop

    began = time.perf_counter()
    curves = [torch_loop.train(run) for run in runs]
    seconds = time.perf_counter() - began
    steps = sum(run.steps for run in runs)
    about = record.described("cpu", torch.get_num_threads(), "highest", words)
    about["versions"]["torch"] = torch.__version__
    return {
        **about,
        "who": "PyTorch eager, one run after another",
        "experiment": options.file.name,
        "runs": len(runs),
        "of_runs": len(whole),
        "steps": steps,
        "seconds": seconds,
        "run_steps_per_second": steps / seconds,
        "ended": [
            {
                "mlp_width": run.row()["mlp_width"],
                "train_fraction": run.train_fraction,
                "weight_decay": run.row()["weight_decay"],
                "train_accuracy": curve[-1][0],
                "test_accuracy": curve[-1][1],
            }
            for run, curve in zip(runs, curves, strict=True)
        ],
    }


def sentence(found: dict[str, Any]) -> str:
    """A record as text."""
    high = sum(run["test_accuracy"] >= 0.99 for run in found["ended"])
    return (
        f"PyTorch {found['versions']['torch']} trained {found['runs']} of {found['of_runs']} runs "
        f"in {found['seconds']:.1f} s, {found['run_steps_per_second']:.0f} run-steps/s; "
        f"{high} ended with test accuracy 0.99 or more\n{found['processor']}, "
        f"{found['cores']} threads"
    )


def check(run: Experiment) -> None:
    """Refuse what the loop would not train as it is meant."""
    peers.check(run)
    model, loss, settle_steps = run.model, run.loss.kind, run.settle_steps
    if not isinstance(model, MLP):
        raise ConfigError(f"model={model.kind!r}: the loop trains MLPs only, give one.")
    sizes = {name: getattr(model, name) for name in ("width", "mlp_width", "biases")}
    peers.check_fields(model, MLP(init="torch", **sizes))
    require(loss == "cross_entropy", "loss", loss, "the loop has no other, give CrossEntropy()")
    remedy = "the loop trains the whole budget, give None"
    require(settle_steps is None, "settle_steps", settle_steps, remedy)


if __name__ == "__main__":
    command.run(main)
