"""`python -m grokjax.phase RESULTS [RESULTS …]`: the zone, its boundary, laws, figures, a page.

In a notebook the same is `phase.summarise(grokjax.load("results/x"))`, and its parts one by one:
`phase.goldilocks(results)`, `phase.boundary(results)`, `phase.cells(results, axes)`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.analysis import boundary as boundaries
from grokjax.analysis import law_checks, onset, zone
from grokjax.analysis import phase as cells_module
from grokjax.analysis.boundary import Boundary
from grokjax.analysis.phase import finished
from grokjax.analysis.summary import Summary, summarise
from grokjax.analysis.survival import TIMES
from grokjax.analysis.zone import Zone
from grokjax.config import ConfigError
from grokjax.results.files import write_text
from grokjax.results.load import Results, load

__all__ = ["boundary", "cells", "goldilocks", "main", "show", "summarise", "write"]


MOST_COLUMNS = 20
"""Of a table in a terminal."""


def cells(results: Results, axes: Sequence[str], metric: str = "t_grok") -> pd.DataFrame:
    """`analysis.phase.cells` of a sweep."""
    return cells_module.cells(onset.table(results), axes, metric)


def boundary(
    results: Results,
    x: str = "weight_decay",
    y: str = "train_fraction",
    budget: float | None = None,
) -> Boundary:
    """`analysis.boundary.boundary` of a sweep."""
    return boundaries.boundary(onset.table(results), x, y, budget)


def goldilocks(
    results: Results,
    x: str = "weight_decay",
    y: str = "train_fraction",
    budget: float | None = None,
) -> Zone:
    """`analysis.zone.goldilocks` of a sweep."""
    return zone.goldilocks(onset.table(results), x, y, budget)


def main(arguments: list[str]) -> int:
    """Run the command; the exit status."""
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
    try:
        if len(given.results) > 1 and given.out is None:
            raise ConfigError(
                "out=None: with several RESULTS, say with --out DIR where figures are to go."
            )
        show(load(*given.results), given.x, given.y, given.metric, given.out)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        sys.stderr.close()
    return 0


def show(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
    out: Path | None = None,
) -> None:
    """Print what the sweep says, write the figures and the page."""
    if results.runs.empty:
        raise ConfigError(f"{results.path}: no run has ended yet, wait for the sweep.")
    if finished(results.runs).empty:
        print("every run failed: there is nothing to map; see the column `error` of the runs")
        return
    if out is None and not results.path.exists():
        raise ConfigError("out=None: these results have no folder, say where figures are to go.")
    summary = summarise(results, x, y)
    folder = out or results.path
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out={str(folder)!r}: it is a file, give a folder for the figures.")
    print(describe(summary, metric), flush=True)
    for path in write(summary, metric, folder):
        print(f"wrote {path}", flush=True)


def describe(summary: Summary, metric: str = "t_grok") -> str:
    """The cells, the zone, the laws and the warnings as text."""
    found = summary.cells(metric)
    wide = found[summary.x].nunique() > MOST_COLUMNS
    parts = [] if wide else [table(found, summary.x, summary.y, metric)]
    if isinstance(summary.zone, str):
        parts.append(f"no zone: {summary.zone}")
    else:
        parts.append(_zone_text(summary, summary.zone))
    parts += [_law_text(summary, axis) for axis in summary.laws]
    parts += [f"warning: {text}" for text in summary.warnings]
    return "\n\n".join(parts)


def table(found: pd.DataFrame, x: str, y: str, metric: str) -> str:
    """The cells as text: how many grokked, and the median time or that it is censored."""
    median = found["median"].map("{:.0f}".format)
    median = median.mask(found["censored"], found["bound"].map(">{:.0f}".format))
    median = median.mask(found["median"].isna() & ~found["censored"], "-")
    counts = found["n_grokked"].astype(str) + "/" + found["n"].astype(str)
    wide = found.assign(text=counts + " " + median)
    wide = wide.pivot_table(index=y, columns=x, values="text", aggfunc="first")
    wide = wide.sort_index(ascending=False).fillna("")
    note = f"grokked/runs and median {metric}; > marks cells censored at their budgets"
    return f"{wide.to_string()}\n{note}"


def _zone_text(summary: Summary, found: Zone) -> str:
    edge, x, y = found.boundary, summary.x, summary.y
    lines = [f"Goldilocks zone, P(grok within {edge.budget:.0f} updates) ≥ ½ [95 %]:"]
    for row in _rows(found.table):
        plain = row["unit"] == "1" or row["unit"] in row["quantity"]
        unit = "" if plain else f" {row['unit']}"
        lines.append(f"  {row['quantity']:<30}{_interval(row)}{unit}")
    for row in _rows(found.places):
        where = f"{y} {row[y]:g}" if math.isnan(row[x]) else f"{x} {row[x]:g}, {y} {row[y]:g}"
        line = f"  {row['place']:<30}{where}: median {row['median']:.0f}"
        resampled = not math.isnan(row["agree"])
        lines.append(line + f", in {row['agree']:.0%} of the resamples" * resampled)
    lines.append(f"edges in {x} [95 %]; – is beyond the map:")
    every = -(-len(found.edges) // MOST_COLUMNS)
    for row in _rows(found.edges.iloc[::every]):
        names = [[f"{side}{end}" for end in ("", "_low", "_high")] for side in ("lower", "upper")]
        sides = " to ".join(_interval(row, *name) for name in names)
        lines.append(f"  {y} {row[y]:<10g}{sides if row['inside'] else 'no zone'}")
    shares = [f"{r['share of the map']:.0%} by {r['budget']:.0f}" for r in _rows(summary.budgets)]
    lines.append(f"share of the map inside: {', '.join(shares)}")
    return "\n".join(lines)


def _law_text(summary: Summary, axis: str) -> str:
    law, runs = summary.laws[axis], summary.law_runs
    (b,) = _rows(law.parameters.loc[["b"]])
    within = f", a constant for each {' and '.join(law.within)}" if law.within else ""
    side = f" up to the fastest cell of each {summary.y}" * (runs is not summary.runs)
    lines = [
        f"t_grok ∝ {axis}^b{within}: b = {_interval(b)} "
        f"({law.n} runs{side}, {law.n_censored} censored)"
    ]
    best = summary.forms[axis]
    best = best[(best["data"] == "all") & (best["distribution"] == law.distribution)]
    forms = ", ".join(f"{row['form']} {row['delta']:.1f}" for row in _rows(best))
    lines.append(f"  AIC above the best form: {forms}")
    checks = ", ".join(f"{n} {v:.2g}" for n, v in law_checks.diagnose(runs, law).items())
    lines.append(f"  residuals: {checks}")
    out = law_checks.held_out(runs, law)
    if len(out):
        gain = (out["score"] - out["score_constant"]).mean()
        lines.append(
            f"  seeds held out: {out['inside'].mean():.0%} inside their 95 % intervals, "
            f"{gain:+.2f} nats a run over no dependence on {axis}"
        )
    return "\n".join(lines)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _interval(
    row: Mapping[str, Any], value: str = "value", low: str = "low", high: str = "high"
) -> str:
    words = ["–" if math.isnan(row[name]) else f"{row[name]:.3g}" for name in (value, low, high)]
    return "{} [{}, {}]".format(*words)


def write(summary: Summary, metric: str, folder: Path) -> list[Path]:
    """Every figure that the sweep has the axes for, as PNG and PDF, and `report.html`."""
    from grokjax import report
    from grokjax.figures import style
    from grokjax.figures.gallery import curve_groups, gallery

    groups = curve_groups(summary)
    drawn = [str(run_id) for runs in groups.values() for run_id in runs["run_id"]]
    wanted = list(dict.fromkeys([*report.curve_runs(summary), *drawn]))
    curves = summary.results.curves_of(wanted, ["step", *report.CURVES, "weight_norm"])
    paths: list[Path] = []
    for name, figure in gallery(summary, metric, curves).items():
        paths += style.save(figure, folder / "figures", name)
    page = folder / "report.html"
    write_text(page, report.html(summary, curves))
    return [*paths, page]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
