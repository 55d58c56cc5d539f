"""Groups of rows: their accuracies over steps, and when each groks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from grokjax.analysis.row_groups import medians
from grokjax.analysis.survival import censored_times
from grokjax.figures import style
from grokjax.figures.axes import MOST_TICKS, log_where_positive
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import one_panel, several_panels

SHADES = "viridis"
"""Colours of groups that are too many to be told apart one by one."""


def group_curves(
    curves: pd.DataFrame,
    *,
    subfigure: SubFigure | Figure | None = None,
    legend: bool = True,
) -> Drawn:
    """Train and test accuracy of each group of rows of one run, over log steps.

    Args:
      curves: rows of one run and instrument, as `analysis.row_groups.curves` makes them.
      subfigure: an empty one to draw into; None: a figure of its own.
      legend: whether to draw one: of every group where they are few, else of the first and last.

    Returns:
      What was drawn, with `ax_[row]`, training rows above and test rows below; `data_` has
      `curves`.
    """
    groups = list(dict.fromkeys(curves["row_group"]))
    shown = curves[curves["step"] > 0]
    panels: dict[str, Any] = {"nrows": 2, "ncols": 1, "sharex": True, "sharey": True}
    with several_panels(subfigure, legend, (style.COLUMN, 3.1), **panels) as place:
        handles: list[Any] = []
        for group, (colour, dashes) in zip(groups, _styles(len(groups)), strict=True):
            of_group = shown[shown["row_group"] == group]
            for axis, split in zip(place.axes, ("train", "test"), strict=True):
                known = of_group[["step", f"{split}_accuracy"]].dropna()
                axis.plot(known["step"], known[f"{split}_accuracy"], color=colour, ls=dashes, lw=1)
            handles.append(Line2D([], [], color=colour, ls=dashes, label=group))
        for axis, split in zip(place.axes, ("train", "test"), strict=True):
            axis.set(ylabel=f"{split} accuracy", ylim=(-0.03, 1.03))
            log_where_positive(axis, "x")
        place.axes[-1].set_xlabel("step")
        few = handles if len(groups) <= len(style.SERIES) else [handles[0], handles[-1]]
        return place.drawn(f"accuracy of {len(groups)} groups of rows", {"curves": curves}, few)


def group_times(
    times: pd.DataFrame, metric: str = "t_grok", *, ax: Axes | None = None, legend: bool = True
) -> Drawn:
    """When each group of rows groks: every run a dot, Kaplan–Meier medians, censored runs open.

    Args:
      times: rows of one instrument, as `analysis.row_groups.table` makes them.
      metric: the time, `t_grok`, `t_grok_sustained` or `t_mem`.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `runs` (a `time` of each run and group, `reached` or the last
      step) and `medians`, as `analysis.row_groups.medians` makes them.
    """
    found = medians(times, metric)
    place_of = {group: at for at, group in enumerate(found["row_group"])}
    kept = times[times["row_group"].isin(place_of)]
    kept = kept[kept["censored"].notna()] if metric != "t_mem" else kept
    time, reached = censored_times(kept, metric)
    dots = kept[["run_id", "row_group"]].assign(time=time, reached=reached)
    at = dots["row_group"].map(place_of).to_numpy(float)
    # Side by side, or dots at the same log point would hide each other.
    runs = pd.factorize(dots["run_id"])[0]
    at = at + 0.5 * ((runs + 0.5) / max(runs.max(initial=0) + 1, 1) - 0.5)
    with one_panel(ax, legend, 2.5) as place:
        axis = place.axes
        axis.plot(at[reached], time[reached], "o", color=style.TEST, ms=3, alpha=0.45, mew=0)
        axis.plot(at[~reached], time[~reached], "^", color=style.TEST, mfc="none", ms=4)
        middle = np.arange(len(found))
        axis.hlines(found["median"], middle - 0.35, middle + 0.35, color="black", lw=1.4)
        log_where_positive(axis, "y")
        step = -(-len(found) // (2 * MOST_TICKS))
        axis.set_xticks(middle[::step], found["row_group"][::step], rotation=30, ha="right")
        axis.set(ylabel=f"${metric[0]}_{{\\mathrm{{{metric[2:].replace('_', ' ')}}}}}$ (steps)")
        handles = [
            Line2D([], [], ls="", marker="o", color=style.TEST, ms=3, label="a run"),
            Line2D([], [], ls="", marker="^", mfc="white", color=style.TEST, ms=4,
                   label="not by its last step"),
            Line2D([], [], color="black", lw=1.4, label="median"),
        ]  # fmt: skip
        data = {"runs": dots, "medians": found}
        return place.drawn(f"{metric} of {len(found)} groups of rows", data, handles, columns=3)


def _styles(count: int) -> list[tuple[Any, Any]]:
    """Colours and dashes, in the order of the groups."""
    if count <= len(style.SERIES):
        return list(style.SERIES[:count])
    return [(colormaps[SHADES](at), "-") for at in np.linspace(0, 0.92, count)]
