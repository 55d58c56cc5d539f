"""Times against one hyperparameter: laws, scans, and whose variance it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from grokjax.analysis.cells import cells, finished
from grokjax.analysis.laws import Law, usable
from grokjax.analysis.survival import censored_times
from grokjax.figures import style
from grokjax.figures.axes import LevelAxis, label, level_text, log_where_positive, symbol
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import one_panel, several_panels

MOST_LINES = style.FEW
TIMES = (("t_grok", style.TEST, "o"), ("t_mem", style.TRAIN, "s"))


def law_plot(runs: pd.DataFrame, law: Law, *, ax: Axes | None = None, legend: bool = True) -> Drawn:
    """Kaplan–Meier medians of t_grok with 95 % intervals, and the law's medians.

    A line for each level of the other axis, evenly chosen where there are many; an arrow is a
    cell whose median lies beyond the budget.

    Args:
      runs: that the law was fitted to.
      law: as `analysis.laws.fit` makes it.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `cells`, and `law`, points on its lines.
    """
    other = law.within[0] if law.within else None
    known = usable(runs, law.axis, law.form)
    parts = _cells_by_level(runs, known, law)
    lines = {level: _line(law, part[law.axis], level) for level, part in parts.items()}
    handles: list[Any] = []
    with one_panel(ax, legend, 2.7) as place:
        axis = place.axes
        for (level, part), (colour, dashes) in zip(parts.items(), style.SERIES, strict=False):
            _draw_medians(axis, part, law.axis, colour)
            name = f"{label(other)} {level_text(level)}" if other else None
            line = lines[level]
            drawn = axis.plot(line[law.axis], line["median"], color=colour, ls=dashes, label=name)
            handles += drawn if other else []
        axis.set(xscale="log", yscale="log", xlabel=label(law.axis))
        LevelAxis.of(known[law.axis]).apply(axis)
        axis.set_ylabel("$t_{\\mathrm{grok}}$ (steps)")
        handles.append(_triangle("median beyond the budget"))
        b = law.parameters.loc["b"]
        text = f"exponent {b['value']:.2f} [{b['low']:.2f}, {b['high']:.2f}]".replace("-", "−")
        data = {"cells": _stacked(parts.values()), "law": _stacked(lines.values())}
        return place.drawn(f"law of t_grok in {law.axis}: {text}", data, handles, title=text)


def scan(runs: pd.DataFrame, column: str, *, ax: Axes | None = None, legend: bool = True) -> Drawn:
    """t_mem and t_grok against one field: every run a dot, medians joined, censored runs open.

    Runs without a value, and those with 0 on a log scale, lie beside the others.

    Args:
      runs: the runs table, or those of its rows that are alike but for the field and seeds.
      column: the field.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `runs` (a `time` of each `metric`, `reached` or the last step),
      and `medians`, as `phase.cells` has them.
    """
    kept = finished(runs)
    times, medians = [], []
    for metric, *_ in TIMES:
        time, reached = censored_times(kept, metric)
        table = pd.DataFrame({column: kept[column].to_numpy(), "time": time, "reached": reached})
        times.append(table.assign(metric=metric))
        medians.append(cells(kept, [column], metric).assign(metric=metric))
    handles: list[Any] = []
    with one_panel(ax, legend, 2.5) as place:
        axis = place.axes
        levels = LevelAxis.of(kept[column])
        for (metric, colour, marker), dots, line in zip(TIMES, times, medians, strict=True):
            met, late = dots[dots["reached"]], dots[~dots["reached"]]
            at, beyond = levels.place(met[column]), levels.place(late[column])
            axis.plot(at, met["time"], marker, color=colour, ms=3, alpha=0.45, mew=0)
            axis.plot(beyond, late["time"], "^", color=colour, mfc="none", ms=4.5)
            at, on = levels.place(line[column]), levels.on_scale(line[column])
            median = line["median"]
            handles += axis.plot(at[on], median[on], "-", color=colour, label=symbol(metric))
            axis.plot(at[~on], median[~on], "_", color=colour, ms=9, mew=1.5)
        levels.apply(axis)
        data = {"runs": _stacked(times), "medians": _stacked(medians)}
        log_where_positive(axis, "y")
        axis.set(xlabel=label(column), ylabel="steps")
        handles.append(_triangle("not by its last step"))
        name = f"scan of {column} over {len(kept)} runs"
        return place.drawn(name, data, handles, columns=3)


def variance_plot(
    runs: pd.DataFrame,
    shares: pd.DataFrame,
    metric: str = "t_grok",
    *,
    subfigure: SubFigure | Figure | None = None,
) -> Drawn:
    """The times of every seed with every split, and each source's share of their variance.

    Args:
      runs: the runs table, every seed with every split.
      shares: as `analysis.cells.variance_shares` makes them.
      metric: the time, in updates.
      subfigure: an empty one to draw into; None: a figure of its own.

    Returns:
      What was drawn, with `ax_[column]` and no legend; `data_` has `times` (a row a seed, a column
      a split, each by its median), and `shares`.
    """
    times, _ = censored_times(runs, metric)
    wide = runs.assign(time=times).pivot(index="seed", columns="split_seed", values="time")
    wide = wide.loc[wide.median(axis=1).sort_values().index, wide.median().sort_values().index]
    panels = {"nrows": 1, "ncols": 2, "width_ratios": [1, 1.1]}
    with several_panels(subfigure, False, (style.PAGE, 2.3), **panels) as place:
        left, right = place.axes
        image = left.pcolormesh(np.log10(wide), cmap=style.TIME_MAP, rasterized=True)
        for which, names in (("y", wide.index), ("x", wide.columns)):
            getattr(left, f"set_{which}ticks")(np.arange(len(names)) + 0.5, names)
        left.set(xlabel="split seed (by median)", ylabel="seed (by median)")
        text = f"$\\log_{{10}}$ {label(metric)[7:]}"
        bar: Any = place.figure.colorbar(image, ax=left, label=text)
        bar.outline.set_linewidth(0.6)
        words = shares["source"].replace({"split_seed": "split", "interaction": "neither alone"})
        at, share = np.arange(len(shares))[::-1], shares["share"]
        right.barh(at, share, color=[style.TRAIN, style.TEST, "0.7"], height=0.6)
        limits = [share - shares["low"].clip(upper=share), shares["high"].clip(lower=share) - share]
        right.errorbar(share, at, xerr=limits, fmt="none", color="black", lw=0.8, capsize=2)
        right.set_yticks(at, words)
        right.set(xlabel="share of the variance of $\\log t$", xlim=(0, 1))
        name = f"variance of {metric} over {len(runs)} runs: seeds × splits"
        return place.drawn(name, {"times": wide, "shares": shares}, [])


def _cells_by_level(runs: pd.DataFrame, known: pd.DataFrame, law: Law) -> dict[Any, pd.DataFrame]:
    """Level of the other axis → its cells in the range that was fitted, of a few levels."""
    if not law.within:
        return {None: cells(known, [law.axis])}
    other = law.within[0]
    table, levels = cells(known, [law.axis, other]), list(law.levels[other].unique())
    shown = np.unique(np.linspace(0, len(levels) - 1, min(MOST_LINES, len(levels))).round())
    parts = {}
    for level in (levels[at] for at in shown.astype(int)):
        fitted = table[law.axis].between(*_fitted_range(runs, law, level))
        parts[level] = table[(table[other] == level) & fitted]
    return parts


def _line(law: Law, column: pd.Series, level: Any) -> pd.DataFrame:
    """Points on the law's line for a level of the other axis, over the extent of a column."""
    line = pd.DataFrame({law.axis: np.geomspace(column.min(), column.max(), 60)})
    if law.within:
        line[law.within[0]] = level
    return line.assign(median=law.quantile(line))


def _draw_medians(axis: Axes, part: pd.DataFrame, column: str, colour: str) -> None:
    """Medians with their intervals, and arrows where they are beyond the budget."""
    known = part[part["median"].notna()]
    limits = known[["low", "high"]].sub(known["median"], axis=0).abs().fillna(0).T
    axis.errorbar(
        known[column], known["median"], yerr=limits.to_numpy(), fmt="o", color=colour, ms=3, lw=0.8,
        capsize=1.5,
    )  # fmt: skip
    late = part[part["censored"]]
    axis.plot(late[column], late["bound"], "^", color=colour, mfc="white", ms=4)


def _stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(tables), ignore_index=True)


def _triangle(text: str) -> Line2D:
    """The mark of what had not come by the end, for a legend."""
    return Line2D([], [], ls="", marker="^", mfc="white", color="0.3", ms=4, label=text)


def _fitted_range(runs: pd.DataFrame, law: Law, level: Any) -> tuple[float, float]:
    within = runs[law.within[0]]
    # A level may be the absence of a value, which equals nothing.
    x = runs[law.axis][within.isna() if pd.isna(level) else within == level]
    return float(x.min()), float(x.max())
