"""`python -m grokjax.phase RESULTS`: a table of cells and the figures of a phase diagram."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from grokjax.analysis.phase import TIMES, cells
from grokjax.config import ConfigError
from grokjax.results.load import Results, load

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m grokjax.phase", description=__doc__)
    parser.add_argument("results", type=Path, metavar="RESULTS", help="folder that a sweep wrote")
    parser.add_argument("--x", default="weight_decay", help="column across (weight_decay)")
    parser.add_argument("--y", default="train_fraction", help="column up (train_fraction)")
    parser.add_argument("--metric", default="t_grok", help=f"time to map: {', '.join(TIMES)}")
    parser.add_argument("--out", type=Path, help="folder for the figures (RESULTS/figures)")
    given = parser.parse_args(arguments)
    try:
        show(load(given.results), given.x, given.y, given.metric, given.out)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough; the figures are written
        sys.stderr.close()
    return 0


def show(
    results: Results,
    x: str = "weight_decay",
    y: str = "train_fraction",
    metric: str = "t_grok",
    out: Path | None = None,
) -> None:
    """Print the table of cells and write the figures."""
    runs = results.runs[results.runs["status"] != "failed"]
    if runs.empty:
        print("every run failed: there is nothing to map; see the column `error` of the runs")
        return
    print(table(runs, x, y, metric))
    pooled = [path.split(".")[-1] for path in results.manifest.get("axes", {})]
    pooled = [name for name in pooled if name not in (x, y, "seed", "split_seed")]
    if pooled:
        print(f"each cell pools runs that differ in {', '.join(pooled)}")
    for path in write_figures(results, x, y, metric, out):
        print(f"wrote {path}")


def table(runs: pd.DataFrame, x: str, y: str, metric: str) -> str:
    """The cells as text: how many grokked, and the median time or that it is censored."""
    found = cells(runs, x, y, metric)
    median = found["median"].map("{:.0f}".format)
    median = median.mask(found["censored"], found["bound"].map(">{:.0f}".format))
    median = median.mask(found["median"].isna() & ~found["censored"], "-")
    counts = found["n_grokked"].astype(str) + "/" + found["n"].astype(str)
    found["text"] = counts + " " + median
    wide = found.pivot_table(index=y, columns=x, values="text", aggfunc="first")
    wide = wide.sort_index(ascending=False).fillna("")
    note = f"grokked/runs and median {metric}; > marks cells censored at their budgets"
    return f"{wide.to_string()}\n{note}"


def write_figures(
    results: Results, x: str, y: str, metric: str, out: Path | None = None
) -> list[Path]:
    """Every figure that the sweep has the axes for, as PNG and PDF."""
    from grokjax.figures import style

    folder = out or results.path / "figures"
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out={str(folder)!r}: it is a file, give a folder for the figures.")
    paths: list[Path] = []
    for name, figure in figures(results, x, y, metric).items():
        paths += style.save(figure, folder, name)
    return paths


def figures(results: Results, x: str, y: str, metric: str) -> dict[str, Figure]:
    """Name → figure: maps where both axes vary, and the curves of telling cells."""
    from grokjax.figures.curves import learning_curves
    from grokjax.figures.maps import probability_map, time_map

    runs = results.runs[results.runs["status"] != "failed"]
    made: dict[str, Figure] = {}
    if runs[x].nunique() > 1 and runs[y].nunique() > 1:
        made["p_grok"] = probability_map(cells(runs, x, y), x, y)
        for time in dict.fromkeys([metric, "grok_gap"]):
            made[time] = time_map(cells(runs, x, y, time), x, y, time)
    made["curves"] = learning_curves(results.curves, telling_cells(runs, x, y))
    return made


def telling_cells(runs: pd.DataFrame, x: str, y: str) -> dict[str, pd.DataFrame]:
    """Up to three cells: one that only memorises, the largest gap, the smallest gap."""
    from grokjax.figures.maps import level_text

    gaps = cells(runs, x, y, "grok_gap").sort_values([y, x])
    grokking = gaps[(gaps["p_grok"] >= 0.5) & gaps["median"].notna()].sort_values("median")
    memorising = gaps[(gaps["n_grokked"] == 0) & gaps["censored"]]
    chosen = [memorising.tail(1), grokking.tail(1), grokking.head(1)]
    found = pd.concat([c for c in chosen if len(c)] or [gaps.head(3)]).drop_duplicates([x, y])
    return {
        f"{x} {level_text(a)}, {y} {level_text(b)}".replace("_", " "): runs[
            (runs[x] == a) & (runs[y] == b)
        ]
        for a, b in zip(found[x], found[y], strict=True)
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
