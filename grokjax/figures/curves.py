"""Runs against steps: accuracy and loss, how many have grokked, norm against accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from grokjax.analysis.survival import censored_times, kaplan_meier_curve, kaplan_meier_median
from grokjax.figures import style
from grokjax.figures.axes import log_where_positive
from grokjax.figures.drawn import Drawn, add_legend, new_figure, panel

SMALLEST_LOSS = 1e-9
"""Below this a mean loss in float32 is rounding, down to an exact zero."""
SPLITS = {"train": (style.TRAIN, "--"), "test": (style.TEST, "-")}


def learning_curves(
    curves: pd.DataFrame,
    groups: Mapping[str, pd.DataFrame],
    *,
    subfigure: Figure | SubFigure | None = None,
    legend: bool = True,
) -> Drawn:
    """A column a group: accuracy above, loss below, over log steps.

    Args:
      curves: of all runs of the groups, as the curves table has them.
      groups: title → rows of the runs table. Dotted and solid vertical lines mark the
        Kaplan–Meier medians of t_mem and t_grok, where half of the runs got there.
      subfigure: an empty figure or part of one to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    drawn: list[pd.DataFrame] = []
    with style.paper():
        width = style.PAGE if len(groups) > 1 else style.COLUMN
        figure = new_figure(width, 3.1) if subfigure is None else subfigure
        axes = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
        for column, (title, runs) in enumerate(groups.items()):
            rows = curves[curves["run_id"].isin(runs["run_id"])]
            drawn += [
                _draw(axes[row, column], rows, what).assign(group=title)
                for row, what in enumerate(("accuracy", "loss"))
            ]
            # A part of a page is narrow: a line a condition there.
            axes[0, column].set_title(title if subfigure is None else title.replace(", ", "\n"))
            axes[1, column].set_xlabel("step")
            for axis in axes[:, column]:
                log_where_positive(axis, "x", rows["step"])
                _mark(axis, runs)
            losses = rows.loc[rows["step"] > 0, [f"{split}_loss" for split in SPLITS]]
            log_where_positive(axes[1, column], "y", losses)
        axes[0, 0].set(ylabel="accuracy", ylim=(-0.03, 1.03))
        axes[1, 0].set_ylabel("loss")
        lowest, highest = axes[1, 0].get_ylim()
        axes[1, 0].set_ylim(max(lowest, SMALLEST_LOSS), highest)
        handles: list[Any] = [
            Line2D([], [], color=c, ls=ls, label=name) for name, (c, ls) in SPLITS.items()
        ]
        handles += [
            Line2D([], [], color="0.4", lw=0.8, ls=":", label="$t_{\\mathrm{mem}}$"),
            Line2D([], [], color="0.4", lw=0.8, ls="-", label="$t_{\\mathrm{grok}}$"),
        ]
        if legend:
            figure.legend(handles=handles, loc="outside upper center", ncols=4)
    shown = sum(len(runs) for runs in groups.values())
    data = {"curves": curves, "medians": pd.concat(drawn, ignore_index=True)}
    return Drawn(f"curves of {shown} runs in {len(groups)} groups", axes, handles, data)


def survival_curves(
    groups: Mapping[str, pd.DataFrame],
    metric: str = "t_grok",
    title: str = "",
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Share of the runs that have grokked by each step (Kaplan–Meier), with 95 % bands.

    A tick on a curve is a run that ended there without grokking.

    Args:
      groups: name → rows of the runs table.
      metric: the time.
      title: of the panel.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    drawn: list[pd.DataFrame] = []
    with style.paper():
        axis = panel(ax, style.COLUMN, 2.4)
        for (name, runs), (colour, dashes) in zip(groups.items(), style.SERIES, strict=False):
            times, seen = censored_times(runs, metric)
            last = times.max()
            curve = kaplan_meier_curve(times, seen)
            drawn.append(curve.assign(group=name))
            step = [0, *curve["step"], last]
            share = [0, *curve["share"], curve["share"].iloc[-1]]
            axis.step(step, share, where="post", color=colour, ls=dashes, label=name)
            low, high = ([0, *curve[side], curve[side].iloc[-1]] for side in ("low", "high"))
            axis.fill_between(step, low, high, step="post", color=colour, alpha=0.15, lw=0)
            ended = times[~seen]
            at = [curve["share"][curve["step"] <= time].max() for time in ended]
            axis.plot(ended, pd.Series(at, dtype=float).fillna(0), "|", color=colour, ms=5)
        axis.set(xlabel="step", ylabel="share of runs that grokked", ylim=(-0.03, 1.03))
        axis.set_xlim(left=0)
        axis.set_title(title, loc="left")
        handles, _ = axis.get_legend_handles_labels()
        add_legend(axis, ax, handles, legend)
    data = {"curves": pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame()}
    return Drawn(f"survival curves of {metric} in {len(groups)} groups", axis, handles, data)


def trajectories(
    curves: pd.DataFrame,
    groups: Mapping[str, pd.DataFrame],
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Weight norm against test accuracy, a line a run, with dots at t_mem and t_grok.

    Args:
      curves: of all runs of the groups, with `weight_norm`.
      groups: name → rows of the runs table.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    with style.paper():
        axis = panel(ax, style.COLUMN, 2.6)
        for (title, runs), (colour, dashes) in zip(groups.items(), style.SERIES, strict=False):
            rows = curves[curves["run_id"].isin(runs["run_id"])].sort_values(["run_id", "step"])
            for at, (_, run) in enumerate(rows.groupby("run_id")):
                axis.plot(
                    run["weight_norm"], run["test_accuracy"], color=colour, ls=dashes, lw=0.7,
                    alpha=0.8, label=title if at == 0 else None,
                )  # fmt: skip
            for name, marker in (("t_mem", "o"), ("t_grok", "s")):
                times = runs.set_index("run_id")[name].dropna().astype("int64")
                met = rows.merge(times.rename("at"), left_on="run_id", right_index=True)
                met = met[met["step"] == met["at"]]
                axis.plot(
                    met["weight_norm"], met["test_accuracy"], marker, color=colour, ms=3.5,
                    mec="white", mew=0.4,
                )  # fmt: skip
        axis.set(xlabel="weight norm", ylabel="test accuracy", ylim=(-0.03, 1.03))
        handles, _ = axis.get_legend_handles_labels()
        handles += [
            Line2D([], [], color="0.3", ls="", marker="o", ms=3.5, label="$t_{\\mathrm{mem}}$"),
            Line2D([], [], color="0.3", ls="", marker="s", ms=3.5, label="$t_{\\mathrm{grok}}$"),
        ]
        add_legend(axis, ax, handles, legend)
    return Drawn(f"trajectories of {len(groups)} groups", axis, handles, {"curves": curves})


def _draw(axis: Axes, rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """Draw every run and the median over runs of both splits; these medians."""
    rows = rows[rows["step"] > 0]  # step 0 has no place on a log axis
    medians = []
    for split, (colour, dashes) in SPLITS.items():
        table = rows.pivot_table(index="step", columns="run_id", values=f"{split}_{what}")
        axis.plot(table.index, table, color=colour, ls=dashes, lw=0.5, alpha=0.3)
        # A run that has ended counts with its last values: the median is of all runs throughout.
        median = table.ffill().median(axis=1)
        axis.plot(table.index, median, color=colour, ls=dashes)
        told = {"metric": f"{split}_{what}", "step": median.index, "median": median.to_numpy()}
        medians.append(pd.DataFrame(told))
    return pd.concat(medians, ignore_index=True)


def _mark(axis: Axes, runs: pd.DataFrame) -> None:
    for name, dashes in (("t_mem", ":"), ("t_grok", "-")):
        time = kaplan_meier_median(*censored_times(runs, name))
        if time:
            axis.axvline(time, color="0.4", lw=0.8, ls=dashes, zorder=0)
