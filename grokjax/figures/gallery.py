"""Which figures a sweep has the axes for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokjax.analysis.phase import largest_crossed, variance_shares
from grokjax.analysis.summary import Summary
from grokjax.config.identity import column
from grokjax.figures import curves as by_step
from grokjax.figures import maps, style, trends
from grokjax.figures.axes import label, level_text

Drawings = dict[str, Callable[[], Figure]]
"""Name → what draws the figure."""


def gallery(summary: Summary, metric: str, curves: pd.DataFrame) -> dict[str, Figure]:
    """Name → figure.

    Args:
      summary: of the sweep.
      metric: a time to map beside t_grok's gap.
      curves: at least those of `curve_groups(summary)`.
    """
    chosen = (choose(summary, metric, curves) for choose in FAMILIES.values())
    return {name: draw() for family in chosen for name, draw in family.items()}


def _maps(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    if not summary.is_map:
        return {}
    x, y = summary.x, summary.y
    cells = summary.placed_cells
    return {
        "phases": lambda: maps.phase_map(cells(), x, y, summary.boundary),
        "p_grok": lambda: maps.probability_map(cells(), x, y, summary.boundary),
        metric: lambda: maps.time_map(cells(metric), x, y, metric),
        "grok_gap": lambda: maps.time_map(cells("grok_gap"), x, y, "grok_gap"),
    }


def _by_step(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    groups = curve_groups(summary)
    made: Drawings = {"curves": partial(by_step.learning_curves, curves, groups)}
    if "weight_norm" in curves:
        made["trajectories"] = partial(by_step.trajectories, curves, groups)
    return made


def _survival(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    title, groups = survival_groups(summary)
    made: Drawings = {"survival": partial(by_step.survival_curves, groups, title=title)}
    for axis, by_level in _by_text(summary).items():
        draw = partial(by_step.survival_curves, by_level, title=label(axis))
        made[f"survival_by_{axis}"] = draw
    return made


def _laws(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    if not (summary.is_map or len(summary.varying) == 1):
        return {}
    return {
        f"law_{axis}": partial(trends.law_plot, summary.law_runs, law)
        for axis, law in summary.laws.items()
    }


def _scans(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    made: Drawings = {}
    for axis in {} if summary.is_map else summary.varying:
        part = _at_base(summary, [name for name in summary.conditions if name != axis])
        if part[axis].nunique() > 1:
            made[f"scan_{axis}"] = partial(trends.scan, part, axis)
    return made


def _variance(summary: Summary, metric: str, curves: pd.DataFrame) -> Drawings:
    crossed = largest_crossed(summary.runs, summary.conditions)
    if crossed.empty:
        return {}
    return {"variance": lambda: trends.variance_plot(crossed, variance_shares(crossed))}


FAMILIES: dict[str, Callable[[Summary, str, pd.DataFrame], Drawings]] = {
    "maps": _maps,
    "curves over steps": _by_step,
    "survival curves": _survival,
    "law plots": _laws,
    "scans": _scans,
    "variance plots": _variance,
}
"""What the figures of a kind are about → which of them a sweep has the axes for."""


def curve_groups(summary: Summary) -> dict[str, pd.DataFrame]:
    """Up to three telling cells: one that only memorises, the largest gap, the smallest gap."""
    x, y, runs = summary.x, summary.y, summary.runs
    gaps = summary.cells("grok_gap").sort_values([y, x])
    grokking = gaps[(gaps["p_grok"] >= 0.5) & gaps["median"].notna()].sort_values("median")
    memorising = gaps[(gaps["n_grokked"] == 0) & (gaps["p_memorization"] > 0.5)]
    memorising = memorising.sort_values(["p_memorization", y], ascending=False, kind="stable")
    chosen = [memorising.head(1), grokking.tail(1), grokking.head(1)]
    found = pd.concat([c for c in chosen if len(c)] or [gaps.head(3)]).drop_duplicates([x, y])
    return {
        f"{label(x)} {level_text(a)}, {label(y)} {level_text(b)}": runs[
            _at(runs[x], a) & _at(runs[y], b)
        ]
        for a, b in zip(found[x], found[y], strict=True)
    }


def _at(column: pd.Series, level: Any) -> pd.Series:
    """Which runs have a level, the absence of one included."""
    return column.isna() if pd.isna(level) else column == level


def survival_groups(summary: Summary) -> tuple[str, dict[str, pd.DataFrame]]:
    """A title, and levels of x, evenly chosen, at the level of y next to the zone's centre."""
    x, y, runs = summary.x, summary.y, summary.runs
    if isinstance(summary.zone, str):
        return "", curve_groups(summary)
    centre = summary.zone.table.set_index("quantity").at[f"centre in {y}", "value"]
    placed = runs[runs[[x, y]].notna().all(axis=1)]
    levels = np.array(sorted(placed[y].unique().tolist()))
    level = levels[np.abs(levels - centre).argmin()]
    row = placed[placed[y] == level]
    found = np.sort(row[x].unique())
    most = min(style.FEW, len(found))
    shown = found[np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
    groups = {f"{label(x)} {level_text(at)}": row[row[x] == at] for at in shown}
    return f"{label(y)} {level_text(level)}", groups


def _by_text(summary: Summary) -> dict[str, dict[str, pd.DataFrame]]:
    """Axes that are no numbers, a group or an optimiser say → the runs of each of their levels."""
    runs = summary.runs
    axes = [name for name in summary.results.axes if name in runs]
    words = {name: runs[name].dropna().unique() for name in axes if runs[name].dtype.kind in "OU"}
    return {
        name: {str(level) or "none": runs[runs[name] == level] for level in levels}
        for name, levels in words.items()
        if 1 < len(levels) <= len(style.SERIES)
    }


def _at_base(summary: Summary, axes: list[str]) -> pd.DataFrame:
    """The runs with one value on each of these axes.

    It is the base configuration's where runs have it, else that of the most runs, which may be
    the absence of one.
    """
    runs = summary.runs
    base = {column(p): v for p, v in summary.results.manifest.get("base", {}).items()}
    # As the table has them: lists in one string.
    lists = {name: " ".join(map(str, v)) for name, v in base.items() if isinstance(v, list)}
    base |= lists
    for name in axes:
        chosen = _at(runs[name], base[name]) if name in base else runs[name].isna() & False
        if not chosen.any():
            chosen = _at(runs[name], runs[name].value_counts(dropna=False).index[0])
        runs = runs[chosen]
    return runs
