"""The figures of grokjax's own, and which of them a sweep has the axes for."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokjax.analysis import progress
from grokjax.analysis import row_groups as groups_of_rows
from grokjax.analysis.cells import largest_crossed, variance_shares
from grokjax.analysis.summary import Summary
from grokjax.config import ConfigError
from grokjax.config.identity import column
from grokjax.config.synonyms import suggestion
from grokjax.figures import curves, instruments, maps, pyplots, row_groups, style, trends
from grokjax.figures.axes import label, level_text
from grokjax.figures.drawn import Drawn, figure_of
from grokjax.figures.registry import (
    KINDS,
    Drawings,
    Shown,
    curve_columns,
    figure_family,
    is_map,
)

HEADLINE = (
    "fourier.circulant",
    "representations.bi_invariant",
    "fourier.neurons.share",
    "spectra.readout.effective",
    "probes.readout",
    "numerics.softmax_collapse",
    "numerics.logit_scale",
    "norms.all.norm",
    "trajectory.all.cosine",
    "efficiency.margin_per_square",
)
"""Measures that are drawn over steps where there are any; the first of them over maps too."""


def gallery(summary: Summary, metric: str, rows: pd.DataFrame) -> dict[str, Figure]:
    """Name → figure, of every kind that the sweep has the axes for.

    Args:
      summary: of the sweep.
      metric: a time to map beside t_grok's gap.
      rows: of the curves, at least those of `curve_groups(summary)`.
    """
    shown = Shown(summary, metric, rows)
    chosen = [kind.choose(shown) for kind in KINDS.values()]
    with pyplots.apart():
        return {name: figure_of(draw()) for drawings in chosen for name, draw in drawings.items()}


def draw(summary: Summary, name: str | None = None, metric: str = "t_grok") -> Drawn | Figure:
    """One figure of a sweep: the first that it has the axes for, or that of a name.

    `map_COLUMN` is a map of any number of the runs table, or of any measure at the runs' ends.

    Raises:
      ConfigError: there is none of this name.
    """
    if name and name.startswith("map_") and summary.is_map:
        return _value_map(summary, name.removeprefix("map_"))
    shown = [run_id for runs in curve_groups(summary).values() for run_id in runs["run_id"]]
    rows = summary.results.curves_of(shown, curve_columns(summary.results))
    of_sweep = Shown(summary, metric, rows)
    drawings: Drawings = {}
    for kind in KINDS.values():
        drawings |= kind.choose(of_sweep)
    chosen = next(iter(drawings)) if name is None else name
    if chosen not in drawings:
        raise ConfigError(f"kind={name!r}: this sweep has {', '.join(drawings)}, choose of these.")
    return drawings[chosen]()


@figure_family("maps", needs=is_map)
def _maps(shown: Shown) -> Drawings:
    summary, metric = shown.summary, shown.metric
    x, y = summary.x, summary.y

    def cells(metric: str = "t_grok") -> pd.DataFrame:
        placed, waiting = summary.placed_cells(metric), summary.waiting
        return pd.concat([placed, waiting], ignore_index=True) if len(waiting) else placed

    drawings: Drawings = {
        "phases": lambda: maps.phase_map(cells(), x, y, summary.boundary),
        "p_grok": lambda: maps.probability_map(cells(), x, y, summary.boundary),
        metric: lambda: maps.time_map(cells(metric), x, y, metric),
        "grok_gap": lambda: maps.time_map(cells("grok_gap"), x, y, "grok_gap"),
    }
    if summary.runs["phase"].isna().all():  # curves of others, without training accuracies
        del drawings["phases"], drawings["grok_gap"]
    return drawings


@figure_family("curves over steps", columns=(*curves.MEASURES, "weight_norm"))
def _curves(shown: Shown) -> Drawings:
    if shown.curves.empty:  # a copy of results without them
        return {}
    groups = curve_groups(shown.summary)
    drawings: Drawings = {"curves": partial(curves.learning_curves, shown.curves, groups)}
    if "weight_norm" in shown.curves and shown.curves["weight_norm"].notna().any():
        drawings["trajectories"] = partial(curves.trajectories, shown.curves, groups)
    return drawings


@figure_family("survival curves")
def _survival(shown: Shown) -> Drawings:
    title, groups = survival_groups(shown.summary)
    drawings: Drawings = {"survival": partial(curves.survival_curves, groups, title=title)}
    for axis, by_level in _by_text(shown.summary).items():
        draw = partial(curves.survival_curves, by_level, title=label(axis))
        drawings[f"survival_by_{axis}"] = draw
    return drawings


@figure_family("law plots", needs=lambda summary: summary.is_map or len(summary.varying) == 1)
def _laws(shown: Shown) -> Drawings:
    summary = shown.summary
    return {
        f"law_{axis}": partial(trends.law_plot, summary.law_runs, law)
        for axis, law in summary.laws.items()
    }


@figure_family("scans", needs=lambda summary: not summary.is_map)
def _scans(shown: Shown) -> Drawings:
    summary, drawings = shown.summary, Drawings()
    for axis in summary.varying:
        part = _at_base(summary, [name for name in summary.conditions if name != axis])
        if part[axis].nunique(dropna=False) > 1:
            drawings[f"scan_{axis}"] = partial(trends.scan, part, axis)
    return drawings


@figure_family("variance plots")
def _variance(shown: Shown) -> Drawings:
    crossed = largest_crossed(shown.summary.runs, shown.summary.conditions)
    if crossed.empty:
        return {}
    return {"variance": lambda: trends.variance_plot(crossed, variance_shares(crossed))}


@figure_family("measures")
def _measures(shown: Shown) -> Drawings:
    summary = shown.summary
    wide = summary.results.measures_wide()
    headline = [name for name in HEADLINE if name in wide]
    if headline[:2] == list(HEADLINE[:2]):  # the same number on a cyclic group
        del headline[1]
    if not headline:
        return {}
    drawings: Drawings = {
        "measures": partial(instruments.measures_plot, wide, summary.runs, headline)
    }
    if summary.is_map:
        for name in headline[:2]:
            drawings[f"map_{name}"] = partial(_value_map, summary, name)
    if "fourier.restricted" in wide:
        telling = summary.runs.sort_values("grok_gap")["run_id"].iloc[-1:]
        for run_id in telling:
            drawings["progress"] = partial(_progress, summary, wide, str(run_id))
    return drawings


@figure_family("groups of rows")
def _row_groups(shown: Shown) -> Drawings:
    summary, drawings = shown.summary, Drawings()
    times = groups_of_rows.table(summary.results)
    times = times[times["run_id"].isin(summary.runs["run_id"])]
    for kind, of_kind in times.groupby("instrument"):
        name = "row_groups" if kind == "row_groups" else f"row_groups_{kind}"
        drawings[name] = partial(_group_curves, summary, of_kind)
        drawings[f"{name}_times"] = partial(row_groups.group_times, of_kind)
    return drawings


def _group_curves(summary: Summary, times: pd.DataFrame) -> Drawn:
    """The curves of the run whose groups grok at the most different times, or the first run."""
    spread = times.assign(t=times["t_grok"].astype("float64")).groupby("run_id", sort=False)["t"]
    run_id = (spread.max() - spread.min()).fillna(-1.0).idxmax()
    of_groups = groups_of_rows.curves(summary.results)
    kind = times["instrument"].iloc[0]
    chosen = (of_groups["run_id"] == run_id) & (of_groups["instrument"] == kind)
    return row_groups.group_curves(of_groups[chosen])


def _value_map(summary: Summary, name: str) -> Drawn:
    """A map of a number of the runs, or of a measure at their ends."""
    runs, wide = summary.runs, summary.results.measures_wide()
    if name not in runs and name in wide:
        last = wide.sort_values("step").groupby("run_id")[name].last().reset_index()
        runs = runs.merge(last, on="run_id")
    numbers = [str(column) for column in runs if pd.api.types.is_numeric_dtype(runs[column])]
    if name not in numbers:
        known = [*numbers, *(str(column) for column in wide if column not in ("run_id", "step"))]
        raise ConfigError(f"kind={'map_' + name!r}: {suggestion(name, known)}")
    return maps.value_map(runs, summary.x, summary.y, name)


def _progress(summary: Summary, wide: pd.DataFrame, run_id: str) -> Drawn:
    """The progress measures of one run."""
    row: Any = summary.runs.set_index("run_id").loc[run_id]
    curve = summary.results.curves_of(run_id, ["step", "train_loss", "test_loss"])
    phases = progress.phases(curve, row["t_mem"], row["t_grok"])
    return instruments.progress_plot(curve, wide[wide["run_id"] == run_id], phases)


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
    if summary.zone is None:
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
