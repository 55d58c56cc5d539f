"""`python -m grokjax.phase RESULTS [RESULTS …]`: the zone, its boundary, laws, figures, a page.

In a notebook the same is `phase.summarise(grokjax.load("results/x"))`, and its parts one by one:
`phase.goldilocks(results)`, `phase.boundary(results)`, `phase.cells(results, axes)`.

Exit status: 0 something could be shown, 1 nothing could, 2 bad usage, 130 after Ctrl-C. What is
left out is said on standard error, a sentence each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grokjax import command

if TYPE_CHECKING:
    import pandas as pd

    from grokjax.analysis.boundary import Boundary
    from grokjax.analysis.summary import Summary
    from grokjax.analysis.zone import Zone
    from grokjax.results.load import Results


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
    from grokjax.analysis.survival import TIMES
    from grokjax.config import ConfigError
    from grokjax.results.load import load

    parser = argparse.ArgumentParser(
        prog="python -m grokjax.phase",
        description="Print the Goldilocks zone, its boundary and the laws of a sweep; draw figures "
        "and write report.html. Several folders of one kind are joined.",
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help="a sweep's folder")
    parser.add_argument("--x", help="column across (weight_decay, or what the sweep varies)")
    parser.add_argument("--y", help="column up (train_fraction, or what the sweep varies)")
    parser.add_argument("--metric", default="t_grok", help=f"time to map: {', '.join(TIMES)}")
    parser.add_argument("--out", type=Path, help="folder for figures and page (RESULTS)")
    given = parser.parse_args(arguments)
    if len(given.results) > 1 and given.out is None:
        raise ConfigError(
            "out=None: with several RESULTS, say with --out DIR where figures are to go."
        )
    shown = show(load(*given.results), given.x, given.y, given.metric, given.out)
    return 0 if shown else 1


if __name__ == "__main__":
    command.run(main)
