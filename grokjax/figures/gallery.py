"""Which figures a sweep has the axes for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokjax.analysis.phase import variance_shares
from grokjax.analysis.summary import Summary
from grokjax.config.experiment import SEEDS, column
from grokjax.figures import curves as by_step
from grokjax.figures import maps, style, trends
from grokjax.figures.axes import label, level_text


def gallery(summary: Summary, metric: str, curves: pd.DataFrame) -> dict[str, Figure]:
    """Name → figure.

    Args:
      summary: of the sweep.
      metric: a time to map beside t_grok's gap.
      curves: at least those of `curve_groups(summary)`.
    """
    runs, x, y = summary.runs, summary.x, summary.y
    made: dict[str, Figure] = {}
    if summary.is_map:
        made["phases"] = maps.phase_map(summary.cells(), x, y, summary.boundary)
        made["p_grok"] = maps.probability_map(summary.cells(), x, y, summary.boundary)
        for time in dict.fromkeys([metric, "grok_gap"]):
            made[time] = maps.time_map(summary.cells(time), x, y, time)
    groups = curve_groups(summary)
    made["curves"] = by_step.learning_curves(curves, groups)
    if "weight_norm" in curves:
        made["trajectories"] = by_step.trajectories(curves, groups)
    title, rows = survival_groups(summary)
    made["survival"] = by_step.survival_curves(rows, title=title)
    for axis, by_level in _by_text(summary).items():
        made[f"survival_by_{axis}"] = by_step.survival_curves(by_level, title=label(axis))
    for axis, law in summary.laws.items():
        if summary.is_map or len(summary.varying) == 1:
            made[f"law_{axis}"] = trends.law_plot(summary.law_runs, law)
    for axis in summary.varying:
        others = [name for name in summary.varying if name != axis]
        part = _at_base(summary, runs, others)
        if not summary.is_map and part[axis].nunique() > 1:
            made[f"scan_{axis}"] = trends.scan(part, axis)
    crossed = _crossed(summary)
    if len(crossed):
        made["variance"] = trends.variance_plot(crossed, variance_shares(crossed))
    return made


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
    levels = np.array(summary.zone.boundary.y.levels)
    level = levels[np.abs(levels - centre).argmin()]
    row = runs[runs[y] == level]
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


def _crossed(summary: Summary) -> pd.DataFrame:
    """The runs of the largest cell, if it has every seed with every split; else none."""
    runs = summary.runs
    if not set(SEEDS) <= set(runs.columns):
        return runs[:0]
    sizes = runs.groupby([summary.x, summary.y], dropna=False)["run_id"].transform("size")
    largest = runs.loc[sizes == sizes.max()].iloc[0]
    cell = runs[(runs[[summary.x, summary.y]] == largest[[summary.x, summary.y]]).all(axis=1)]
    counts = [cell[name].nunique() for name in SEEDS]
    return cell if min(counts) > 1 and len(cell) == counts[0] * counts[1] else cell[:0]


def _at_base(summary: Summary, runs: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The runs with the base configuration's value on these axes."""
    base = {column(p): v for p, v in summary.results.manifest.get("base", {}).items()}
    for name in axes:
        value = base.get(name)
        runs = runs[runs[name] == (value if value is not None else runs[name].mode()[0])]
    return runs
