"""Accuracy and loss against steps, every seed faint and the median strong."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from grokjax.analysis.phase import censored_times, kaplan_meier_median
from grokjax.figures import style

SMALLEST_LOSS = 1e-9
"""Below this a mean loss in float32 is rounding, down to an exact zero."""
SPLITS = {"train": (style.TRAIN, "--"), "test": (style.TEST, "-")}


def learning_curves(curves: pd.DataFrame, groups: dict[str, pd.DataFrame]) -> Figure:
    """A column a group: accuracy above, loss below, over log steps.

    Args:
      curves: of all runs of the groups, as the curves table has them.
      groups: title → rows of the runs table. Dotted and solid vertical lines mark the
        Kaplan–Meier medians of t_mem and t_grok, where half of the runs got there.
    """
    wide = len(groups) > 1
    with style.paper():
        figure = Figure(figsize=(style.PAGE if wide else style.COLUMN, 3.1))
        axes = figure.subplots(2, len(groups), sharex=True, sharey="row", squeeze=False)
        for column, (title, runs) in enumerate(groups.items()):
            rows = curves[curves["run_id"].isin(runs["run_id"])]
            _draw(axes[0, column], rows, "accuracy")
            _draw(axes[1, column], rows, "loss")
            axes[0, column].set_title(title)
            axes[1, column].set_yscale("log")
            axes[1, column].set_xlabel("step")
            for axis in axes[:, column]:
                axis.set_xscale("log")
                _mark(axis, runs)
        axes[0, 0].set(ylabel="accuracy", ylim=(-0.03, 1.03))
        axes[1, 0].set_ylabel("loss (nats)")
        lowest, highest = axes[1, 0].get_ylim()
        axes[1, 0].set_ylim(max(lowest, SMALLEST_LOSS), highest)
        handles = [Line2D([], [], color=c, ls=ls, label=name) for name, (c, ls) in SPLITS.items()]
        handles += [
            Line2D([], [], color="0.4", lw=0.8, ls=":", label="$t_{\\mathrm{mem}}$"),
            Line2D([], [], color="0.4", lw=0.8, ls="-", label="$t_{\\mathrm{grok}}$"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, what: str) -> None:
    rows = rows[rows["step"] > 0]  # step 0 has no place on a log axis
    for split, (colour, dashes) in SPLITS.items():
        table = rows.pivot_table(index="step", columns="run_id", values=f"{split}_{what}")
        axis.plot(table.index, table, color=colour, ls=dashes, lw=0.5, alpha=0.3)
        # A run that has ended counts with its last values: the median is of all runs throughout.
        axis.plot(table.index, table.ffill().median(axis=1), color=colour, ls=dashes)


def _mark(axis: Axes, runs: pd.DataFrame) -> None:
    for name, dashes in (("t_mem", ":"), ("t_grok", "-")):
        time = kaplan_meier_median(*censored_times(runs, name))
        if time:
            axis.axvline(time, color="0.4", lw=0.8, ls=dashes, zorder=0)
