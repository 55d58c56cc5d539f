"""Times against one hyperparameter: laws, scans, and whose variance it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from grokjax.analysis.cells import cells, finished
from grokjax.analysis.laws import Law, usable
from grokjax.analysis.scales import Scale
from grokjax.analysis.survival import censored_times
from grokjax.figures import style
from grokjax.figures.axes import MOST_TICKS, label, level_text, log_where_positive
from grokjax.figures.drawn import Drawn, add_legend, new_figure, panel

MOST_LINES = style.FEW
TIMES = (("t_grok", style.TEST, "o"), ("t_mem", style.TRAIN, "s"))


def law_plot(runs: pd.DataFrame, law: Law, *, ax: Axes | None = None, legend: bool = True) -> Drawn:
    """Kaplan–Meier medians of t_grok with 95 % intervals, and the law's medians.

    A line for each level of the other axis, evenly chosen where there are many; an arrow is a
    cell whose median lies beyond the budget.

    Args:
      runs: that the law was fitted to.
      law: from `analysis.laws.fit`.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    other = law.within[0] if law.within else None
    table = cells(usable(runs, law.axis, law.form), [law.axis, other] if other else [law.axis])
    levels = list(law.levels[other].unique()) if other else [None]
    shown = np.unique(np.linspace(0, len(levels) - 1, min(MOST_LINES, len(levels))).round())
    lines = []
    with style.paper():
        axis = panel(ax, style.COLUMN, 2.7)
        for at, (colour, dashes) in zip(shown.astype(int), style.SERIES, strict=False):
            part = table if other is None else table[table[other] == levels[at]]
            if other is not None:
                part = part[part[law.axis].between(*_fitted_range(runs, law, levels[at]))]
            known = part[part["median"].notna()]
            limits = known[["low", "high"]].sub(known["median"], axis=0).abs().fillna(0).T
            axis.errorbar(
                known[law.axis], known["median"], yerr=limits.to_numpy(), fmt="o", color=colour,
                ms=3, lw=0.8, capsize=1.5,
            )  # fmt: skip
            late = part[part["censored"]]
            axis.plot(late[law.axis], late["bound"], "^", color=colour, mfc="white", ms=4)
            x = _fine(part[law.axis])
            rows = pd.DataFrame({law.axis: x, **({other: levels[at]} if other else {})})
            name = f"{label(other)} {level_text(levels[at])}" if other else None
            medians = law.quantile(rows)
            axis.plot(x, medians, color=colour, ls=dashes, label=name)
            lines.append(rows.assign(median=medians))
        axis.set(xscale="log", yscale="log", xlabel=label(law.axis))
        _ticks(axis, Scale.of(table[law.axis]))
        axis.set_ylabel("$t_{\\mathrm{grok}}$ (steps)")
        b = law.parameters.loc["b"]
        handles, _ = axis.get_legend_handles_labels()
        handles.append(_triangle("median beyond the budget"))
        add_legend(axis, ax, handles, legend)
        text = f"exponent {b['value']:.2f} [{b['low']:.2f}, {b['high']:.2f}]".replace("-", "−")
        axis.set_title(text, loc="left")
    data = {"cells": table, "law": pd.concat(lines, ignore_index=True)}
    return Drawn(f"{law.form} law of t_grok in {law.axis}", axis, handles, data)


def scan(runs: pd.DataFrame, column: str, *, ax: Axes | None = None, legend: bool = True) -> Drawn:
    """t_mem and t_grok against one field: every run a dot, medians joined, censored runs open.

    Args:
      runs: the runs table with its onset columns.
      column: the field.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    kept = finished(runs)
    data = {"runs": kept}
    with style.paper():
        axis = panel(ax, style.COLUMN, 2.5)
        for metric, colour, marker in TIMES:
            times, seen = censored_times(kept, metric)
            axis.plot(
                kept[column][seen], times[seen], marker, color=colour, ms=3, alpha=0.45, mew=0
            )
            axis.plot(kept[column][~seen], times[~seen], "^", color=colour, mfc="none", ms=4.5)
            medians = cells(kept, [column], metric)
            data[metric] = medians
            name = f"$t_{{\\mathrm{{{metric[2:]}}}}}$"
            axis.plot(medians[column], medians["median"], "-", color=colour, label=name)
        _scaled(axis, kept[column])
        log_where_positive(
            axis, "y", np.concatenate([censored_times(kept, m)[0] for m, *_ in TIMES])
        )
        axis.set(xlabel=label(column), ylabel="steps")
        handles, _ = axis.get_legend_handles_labels()
        handles.append(_triangle("not by its last step"))
        add_legend(axis, ax, handles, legend)
    return Drawn(f"scan of {len(kept)} runs over {column}", axis, handles, data)


def variance_plot(
    runs: pd.DataFrame,
    shares: pd.DataFrame,
    metric: str = "t_grok",
    *,
    subfigure: Figure | SubFigure | None = None,
) -> Drawn:
    """The times of every seed with every split, and each source's share of their variance.

    Args:
      runs: of one cell, every seed with every split.
      shares: from `analysis.cells.variance_shares`.
      metric: the time.
      subfigure: an empty figure or part of one to draw in; None: a new figure.
    """
    times, _ = censored_times(runs, metric)
    wide = runs.assign(time=times).pivot(index="seed", columns="split_seed", values="time")
    wide = wide.loc[wide.median(axis=1).sort_values().index, wide.median().sort_values().index]
    with style.paper():
        figure = new_figure(style.PAGE, 2.3) if subfigure is None else subfigure
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.1])
        image = left.pcolormesh(np.log10(wide), cmap=style.TIME_MAP, rasterized=True)
        for which, names in (("y", wide.index), ("x", wide.columns)):
            getattr(left, f"set_{which}ticks")(np.arange(len(names)) + 0.5, names)
        left.set(xlabel="split seed (by median)", ylabel="seed (by median)")
        bar: Any = figure.colorbar(image, ax=left, label=f"$\\log_{{10}}$ {label(metric)[7:]}")
        bar.outline.set_linewidth(0.6)
        words = shares["source"].replace({"split_seed": "split", "interaction": "neither alone"})
        at, share = np.arange(len(shares))[::-1], shares["share"]
        right.barh(at, share, color=[style.TRAIN, style.TEST, "0.7"], height=0.6)
        limits = [share - shares["low"].clip(upper=share), shares["high"].clip(lower=share) - share]
        right.errorbar(share, at, xerr=limits, fmt="none", color="black", lw=0.8, capsize=2)
        right.set_yticks(at, words)
        right.set(xlabel="share of the variance of $\\log t$", xlim=(0, 1))
    data = {"times": wide, "shares": shares}
    return Drawn(f"variance of {metric} by seed and split", np.array([left, right]), [], data)


def _triangle(text: str) -> Line2D:
    """The mark of what had not come by the end, for a legend."""
    return Line2D([], [], ls="", marker="^", mfc="white", color="0.3", ms=4, label=text)


def _fitted_range(runs: pd.DataFrame, law: Law, level: object) -> tuple[float, float]:
    x = runs[law.axis][runs[law.within[0]] == level]
    return float(x.min()), float(x.max())


def _fine(levels: pd.Series) -> np.ndarray:
    return np.geomspace(levels.min(), levels.max(), 60)


def _scaled(axis: Axes, column: pd.Series) -> None:
    scale = Scale.of(column)
    if scale.kind == "log":
        axis.set_xscale("log")
    _ticks(axis, scale)


def _ticks(axis: Axes, scale: Scale) -> None:
    shown = scale.levels[:: -(-len(scale.levels) // MOST_TICKS)]
    axis.set_xticks(shown, [level_text(level) for level in shown])
    axis.set_xticks([], minor=True)
