"""`python -m grokjax.phase RESULTS [RESULTS …]`: the zone, its boundary, laws, figures, a page.

RESULTS are folders of sweeps, or curves that another program has left (`exchange.read`).

In a notebook the same is `phase.summarise(grokjax.load("results/x"))`, and its parts one by one:
`phase.goldilocks(results)`, `phase.boundary(results)`, `phase.cells(results, axes)`.

Exit status: 0 something could be shown, 1 nothing could, 2 bad usage, 130 after Ctrl-C. What is
left out is said on standard error, a sentence each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grokjax import command

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from grokjax.analysis.boundary import Boundary
    from grokjax.analysis.summary import Summary
    from grokjax.analysis.zone import Zone
    from grokjax.figures.drawn import Drawn
    from grokjax.results.load import Results


A_DAY = 24 * 60 * 60
"""In seconds."""
CURVES_OPTIONS = (
    "columns",
    "runs",
    "pattern",
    "updates_per_epoch",
    "log_every",
    "accuracies",
    "chance",
)
"""Options that are for curves of other programs."""


def cells(
    results: Results, axes: str | Sequence[str] | None = None, metric: str = "t_grok"
) -> pd.DataFrame:
    """`analysis.cells.cells` of a sweep.

    Args:
      results: of the sweep.
      axes: a column or several; None: the two that a map of the sweep has.
      metric: time to take medians of.
    """
    from grokjax.analysis import cells, onset

    if axes is None:
        both = summarise(results)
        axes = [axis for axis in (both.x, both.y) if axis in both.conditions] or [both.x]
    chosen = [axes] if isinstance(axes, str) else list(axes)
    return cells.cells(onset.table(results), chosen, metric)


def boundary(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    budget: float | None = None,
) -> Boundary:
    """`analysis.boundary.boundary` of a sweep, over its own two axes where none are given."""
    from grokjax.analysis import boundary

    found = summarise(results, x, y)
    return boundary.boundary(found.runs, found.x, found.y, budget)


def goldilocks(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    budget: float | None = None,
) -> Zone:
    """`analysis.zone.goldilocks` of a sweep, over its own two axes where none are given."""
    from grokjax.analysis import zone

    found = summarise(results, x, y)
    return zone.goldilocks(found.runs, found.x, found.y, budget)


def summarise(results: Results, x: str | None = None, y: str | None = None) -> Summary:
    """`analysis.summary.summarise` of a sweep."""
    from grokjax.analysis import summary

    return summary.summarise(results, x, y)


def plot(
    results: Results,
    kind: str | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
) -> Drawn | Figure:
    """One of the figures that a sweep has the axes for, drawn.

    Args:
      results: of the sweep.
      kind: its name, `phases` or `curves` say; None: the first that the sweep has.
      x: column across; None: one that the sweep varies.
      y: column up; None: another.
      metric: time to map.

    Raises:
      ConfigError: the sweep has no figure of this name; those that it has are named.
    """
    from grokjax.figures import gallery

    return gallery.draw(summarise(results, x, y), kind, metric)


def show(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
    out: Path | None = None,
) -> bool:
    """`closing.show` of a sweep."""
    from grokjax import closing

    return closing.show(results, x, y, metric, out)


def write(summary: Summary, metric: str, folder: Path) -> list[Path]:
    """`closing.write` of a summary."""
    from grokjax import closing

    return closing.write(summary, metric, folder)


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    return command.guarded(lambda: _main(arguments))


def _main(arguments: list[str]) -> int:
    from grokjax.config import ConfigError

    given = _parser().parse_args(arguments)
    if len(given.results) > 1 and given.out is None:
        raise ConfigError(
            "out=None: with several RESULTS, say with --out DIR where figures are to go."
        )
    if given.watch is not None and not 1 <= given.watch <= A_DAY:
        raise ConfigError(f"watch={given.watch:g}: give 1 second or more, up to {A_DAY}.")
    asked = {
        name.removeprefix("thresholds."): value
        for name, value in vars(given).items()
        if name.startswith("thresholds.") and value is not None
    }
    while True:
        results = _opened(given, arguments)
        goes_on = given.watch is not None and not results.finished
        if asked:
            results = results.with_thresholds(**asked)
        shown = _show(results, given, goes_on)
        if not goes_on:
            return 0 if shown else 1
        time.sleep(given.watch)


def _opened(given: argparse.Namespace, arguments: Sequence[str]) -> Results:
    """The sweeps that are named, or the curves of other programs, made a results folder first."""
    from grokjax.config import ConfigError
    from grokjax.exchange import read
    from grokjax.results.load import load

    ours = [read.is_results(path) for path in given.results]
    said = {name: getattr(given, name) for name in CURVES_OPTIONS}
    if all(ours):
        if told := [name for name, value in said.items() if value is not None]:
            raise ConfigError(
                f"{told[0]}={said[told[0]]!r}: it is for curves of other programs, and "
                f"{given.results[0]} is none, drop it or give a file of curves."
            )
        return load(*given.results, join_anyway=given.join_anyway)
    if any(ours):
        raise ConfigError(
            f"{given.results[ours.index(True)]}: a sweep is not joined with curves of other "
            "programs, look at them one by one."
        )
    if given.watch is not None:
        raise ConfigError(f"watch={given.watch:g}: it is for sweeps, curves are read once.")
    given.out = given.out or read.default_folder(given.results[0])
    columns = _pairs(said.pop("columns") or [])
    line = shlex.join(["python", "-m", "grokjax.phase", *arguments])
    return read.read_curves(*given.results, columns=columns, out=given.out, command=line, **said)


def _pairs(words: Sequence[str]) -> dict[str, str]:
    """What `--columns` says: our name → theirs."""
    from grokjax.config import ConfigError

    pairs = [word.partition("=") for word in words]
    for word, (ours, mark, theirs) in zip(words, pairs, strict=True):
        if not (ours and mark and theirs):
            raise ConfigError(f"columns={word!r}: write OURS=THEIRS, as in test_accuracy=val/acc.")
    return {ours: theirs for ours, _, theirs in pairs}


def _show(results: Results, given: argparse.Namespace, goes_on: bool) -> bool:
    """Show the results as they are now; while they are watched, nothing yet is no error."""
    from grokjax import closing
    from grokjax.config import ConfigError

    asked = (results, given.x, given.y, given.metric, given.out)
    if goes_on and sys.stdout.isatty():
        command.controls(sys.stdout).write(
            "\033[2J\033[H"
        )  # a clear screen, for what replaces what was there
    try:
        if not given.json:
            return show(*asked)
        print(json.dumps(closing.as_json(*asked)), flush=True)
        return True
    except ConfigError as error:
        if not goes_on:
            raise
        command.say(str(error))
        return False


def _parser() -> argparse.ArgumentParser:
    from grokjax.analysis.times import TIMES
    from grokjax.config import Thresholds

    parser = command.Parser(
        prog="python -m grokjax.phase",
        description="Print the Goldilocks zone, its boundary and the laws of a sweep; draw figures "
        "and write report.html and summary.md. Several folders of one kind are joined. A sweep "
        "that still runs is shown as far as it is.",
    )
    add = parser.add_argument
    add(
        "results", type=Path, nargs="+", metavar="RESULTS",
        help="a sweep's folder, or curves of another program (CSV, JSON, logs, TensorBoard …)",
    )  # fmt: skip
    add("--x", help="column across (weight_decay, or what the sweep varies)")
    add("--y", help="column up (train_fraction, or what the sweep varies)")
    add("--metric", default="t_grok", help=f"time to map: {', '.join(TIMES)}")
    add("--out", type=Path, help="folder for figures and page (RESULTS)")
    add("--json", action="store_true", help="print one JSON object instead of text")
    add(
        "--watch", type=float, nargs="?", const=30.0, metavar="SECONDS",
        help="show it again and again (every 30 seconds) until the sweep is finished",
    )  # fmt: skip
    add("--join-anyway", action="store_true", help="join folders of different kinds too")
    _add_curves_options(parser)
    group = parser.add_argument_group(
        "thresholds", "what counts as memorised, grokked and so on, instead of what is stored; "
        "times are read off the curves again, nothing is trained",
    )  # fmt: skip
    default = Thresholds()
    for field in dataclasses.fields(Thresholds):
        stored = getattr(default, field.name)
        many = isinstance(stored, tuple)
        group.add_argument(
            f"--thresholds.{field.name.replace('_', '-')}",
            dest=f"thresholds.{field.name}",
            type=float if many else type(stored),
            nargs="*" if many else None,
            metavar="VALUE",
            help=f"{stored} where a sweep says nothing else",
        )
    return parser


def _add_curves_options(parser: argparse.ArgumentParser) -> None:
    """What `exchange.read.read_curves` takes, under the same names."""
    add = parser.add_argument_group(
        "curves of other programs", "they are read into --out (results/NAME); names that are "
        "common are recognised, and what was taken for what is printed",
    ).add_argument  # fmt: skip
    add("--columns", nargs="+", metavar="OURS=THEIRS", help="as in test_accuracy=val/acc epoch=ep")
    add("--runs", type=Path, help="a table with a row a run, or settings of all, as JSON or YAML")
    add("--pattern", help="what names say, as in wd{weight_decay}_f{train_fraction}_s{seed}.csv")
    add("--updates-per-epoch", type=float, metavar="N", help="where rows are counted in epochs")
    add("--log-every", type=int, metavar="N", help="updates between rows that nothing counts")
    add("--accuracies", choices=["share", "percent"], help="their unit (in percent if above 1)")
    add("--chance", type=float, help="test accuracy of the best constant guess")


if __name__ == "__main__":
    command.run(main)
