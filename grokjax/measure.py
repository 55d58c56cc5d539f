"""`python -m grokjax.measure RESULTS`: instruments on the snapshots of a sweep, after the fact.

It goes on where it was stopped, and adds its rows to the sweep's `measures/`. With a file of
weights in the place of RESULTS, safetensors or npz, it measures that network: one of another
program, say, with `--names` that say what its arrays are called. In Python the same is
`measure.snapshots("results/x")` and `measure.weights("file.npz", experiment)`.

Exit status: 0 all is measured, 2 bad usage, 74 the storage failed, 130 and 143 stopped by SIGINT
and SIGTERM after a commit.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokjax import command

if TYPE_CHECKING:
    import pandas as pd

    from grokjax.config import Experiment, Instrument
    from grokjax.engine.after_the_fact import Asked
    from grokjax.results.load import Results
    from grokjax.weights import Network


def snapshots(
    path: str | Path,
    instruments: Asked = None,
    experiment: Experiment | None = None,
    *,
    say: Callable[[str], None] = command.say,
    stop: threading.Event | None = None,
    steps: Sequence[int | str] | None = None,
) -> Results:
    """Measure every snapshot of a finished sweep that is not measured yet, and its first network.

    Args:
      path: folder of the sweep.
      instruments: what to measure; None: all that fit and cost no more than a few updates; all:
        all that fit.
      experiment: as it was trained; needed only where results do not tell all of it.
      say: told how it goes.
      stop: when it is set, what was measured is committed.
      steps: those to measure at, updates or t_mem, t_grok and end; None: all that there are.

    Returns:
      The results, whose `measures` have the rows.
    """
    from grokjax.engine import after_the_fact
    from grokjax.results.load import load

    after_the_fact.measure_folder(
        Path(path), instruments, experiment, say, stop or threading.Event(), steps
    )
    return load(path)


def weights(
    path: str | Path,
    experiment: Experiment | None = None,
    instruments: Asked = None,
    names: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """The measurements of a network from a file, `instrument`, `part` and `value` a row.

    Args:
      path: of a safetensors or an npz file.
      experiment: the task and model that it is a network of; None: those that the file tells of
        itself, where `network.save` has written it.
      instruments: what to measure; None: all that fit and cost no more than a few updates; all:
        all that fit.
      names: name of a parameter of ours → its name there, or a dictionary with `name` and how it
        is made ours: `rows` to take (first, last), `transpose` (an order of axes), `shape`.
    """
    from grokjax.engine import foreign
    from grokjax.weights import read

    if experiment is None:
        network = read(path)
        experiment = network.run.stages()[network.stage]
    params = foreign.read(Path(path), experiment, names)
    return foreign.measure(params, experiment, instruments)


def similarity(
    networks: Mapping[str, Network], activations: Sequence[str] = ("readout",)
) -> pd.DataFrame:
    """Unbiased linear CKA between the activations of networks of one task: seeds, steps, layers.

    Args:
      networks: label → as `results.network(run_id, step)` makes it.
      activations: readout, neurons, or those of a module, as in `attention_0/heads`.

    Returns:
      A square table; rows and columns are labels, with the activations where there are several.

    Raises:
      ConfigError: a network does not show such activations.
    """
    import pandas as pd

    from grokjax.measures import probes

    every = {
        f"{label} {name}" if len(activations) > 1 else label: network.activations(name)
        for label, network in networks.items()
        for name in activations
    }
    cells = [[float(probes.cka(x, y)) for y in every.values()] for x in every.values()]
    return pd.DataFrame(cells, index=list(every), columns=list(every))


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    given = _parser().parse_args(arguments)
    from grokjax import experiment_file
    from grokjax.formats.files import SUFFIXES

    experiment = experiment_file.of_option(given.experiment)
    instruments = _instruments(given.instruments, experiment)
    if given.results.suffix in SUFFIXES:
        return _measure_weights(given, experiment, instruments)
    return _measure_snapshots(given, experiment, instruments, shlex.join(arguments))


def _measure_snapshots(
    given: argparse.Namespace,
    experiment: Experiment | None,
    instruments: Asked,
    words: str,
) -> int:
    with command.stop_after_a_commit() as (stop, caught):
        results = snapshots(
            given.results,
            instruments,
            experiment,
            say=(lambda _: None) if given.quiet else print,
            stop=stop,
            steps=given.steps,
        )
    if caught:
        command.say(
            f"stopped after a commit; the same command goes on: python -m grokjax.measure {words}"
        )
        return 128 + caught[0]
    measures = results.measures
    if not given.quiet:
        networks = len(measures[["run_id", "step"]].drop_duplicates())
        print(f"{len(measures)} numbers of {networks} networks in {results.path / 'measures'}")
    return 0


def _measure_weights(
    given: argparse.Namespace,
    experiment: Experiment | None,
    instruments: Asked,
) -> int:
    names = None if given.names is None else _names(given.names)
    table = weights(given.results, experiment, instruments, names)
    if given.out is None:
        print(table.to_string(index=False))
    elif given.out.suffix == ".csv":
        table.to_csv(given.out, index=False)
    else:
        table.to_parquet(given.out, index=False)
    return 0


def _names(path: Path) -> Any:
    """What a file of JSON says that weights are called."""
    from grokjax.config import ConfigError

    try:
        if path.is_file():  # and no device, which might never end
            return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"names={str(path)!r}: {error}, give a JSON file.") from None
    raise ConfigError(f"names={str(path)!r}: there is no such file, give a JSON file.")


def _instruments(asked: list[str] | None, experiment: Experiment | None) -> Asked:
    """The instruments that the command line names, those of the experiment, all, or None."""
    from grokjax.config import INSTRUMENTS, ConfigError
    from grokjax.config.synonyms import suggestion

    if asked is None:
        return (experiment.instruments or None) if experiment else None
    if asked == ["all"]:
        return "all"
    own = {one.kind: one for one in experiment.instruments} if experiment else {}
    found: list[Instrument] = []
    for word in asked:
        name, *settings = re.split(r"[:,](?=[a-z_]+=|\w+$)", word)
        if name in own and not settings:
            found.append(own[name])
            continue
        if name not in INSTRUMENTS:
            raise ConfigError(f"instruments={name!r}: {suggestion(name, [*INSTRUMENTS, *own])}")
        found.append(INSTRUMENTS[name](**dict(_setting(name, one) for one in settings)))
    return found


def _setting(name: str, words: str) -> tuple[str, Any]:
    """`order=30` → ("order", 30)."""
    from grokjax.config import ConfigError

    field, equals, value = words.partition("=")
    try:
        if equals:
            return field, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return field, value
    raise ConfigError(f"instruments={name!r}: write settings as {name}:field=value, not {words!r}.")


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m grokjax.measure",
        description="Measure the snapshots of a finished sweep and add the rows to its measures/; "
        "the same command goes on where it was stopped. Or measure a file of weights.",
    )
    add = parser.add_argument
    add("results", type=Path, metavar="RESULTS", help="a sweep's folder, or a file of weights")
    add(
        "--instruments", nargs="+", metavar="NAME",
        help="what to measure, with settings as in hessian:order=30,density=4; all: everything. "
        "Left out: the instruments of --experiment, or all that cost no more than a few updates",
    )  # fmt: skip
    add(
        "--steps", nargs="+", metavar="STEP",
        help="measure at these only: updates, or t_mem, t_grok, end (all snapshots, and step 0)",
    )  # fmt: skip
    add(
        "--experiment", type=Path, metavar="FILE",
        help="experiment file: for instruments of your own, and for a file of weights",
    )  # fmt: skip
    add(
        "--names", type=Path, metavar="JSON",
        help="for a file of weights: our name of a parameter → its name there",
    )  # fmt: skip
    add("--out", type=Path, help="for a file of weights: a .csv or .parquet file for the numbers")
    add("--quiet", action="store_true", help="print nothing but errors")
    return parser


if __name__ == "__main__":
    command.run(main)
