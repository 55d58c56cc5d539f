"""Runs against steps: accuracy and loss, how many have grokked, norm against accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from grokjax.analysis.survival import censored_times, kaplan_meier_curve, kaplan_meier_median
from grokjax.config.coercion import require
from grokjax.figures import style
from grokjax.figures.axes import log_where_positive, symbol
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import one_panel, several_panels

SMALLEST_LOSS = 1e-9
"""Below this a mean loss in float32 is rounding, down to an exact zero."""
SPLITS = {"train": (style.TRAIN, "--"), "test": (style.TEST, "-")}
MEASURES = tuple(f"{split}_{what}" for what in ("accuracy", "loss") for split in SPLITS)
TIMES = {"t_mem": (":", "o"), "t_grok": ("-", "s")}
"""Name → dashes of a line at that step, marker of a dot there."""


def learning_curves(
    curves: pd.DataFrame,
    groups: dict[str, pd.DataFrame],
    *,
    subfigure: SubFigure | Figure | None = None,
    legend: bool = True,
) -> Drawn:
    """A column a group: accuracy above, loss below where it was logged, over log steps.

    Args:
      curves: of all runs of the groups, as the curves table has them.
      groups: title → rows of the runs table. Dotted and solid vertical lines mark the
        Kaplan–Meier medians of t_mem and t_grok, where half of the runs got there.
      subfigure: an empty one to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn, with `ax_[row, column]`; `data_` has `curves`, `medians` over the runs of a
      group at each step, and `times`, a row a group.
    """
    parts = _curves_by_group(curves, groups, MEASURES)
    times = {title: _median_times(runs) for title, runs in groups.items()}
    medians = {}
    losses = [f"{split}_loss" for split in SPLITS]
    has_loss = any(rows[losses].notna().any(axis=None) for rows in parts.values())
    size = (style.PAGE if len(groups) > 1 else style.COLUMN, 3.1 if has_loss else 1.9)
    panels: dict[str, Any] = {"sharex": True, "sharey": "row", "squeeze": False}
    panels |= {"nrows": 1 + has_loss, "ncols": len(groups)}
    with several_panels(subfigure, legend, size, **panels) as place:
        axes = place.axes
        for column, (title, rows) in enumerate(parts.items()):
            medians[title] = _draw(axes[:, column], rows)
            _mark(axes[:, column], times[title])
            _set_title(axes[0, column], title, place.figure.bbox.width / len(groups))
            axes[-1, column].set_xlabel("step")
        axes[0, 0].set(ylabel="accuracy", ylim=(-0.03, 1.03))
        if has_loss:
            axes[1, 0].set_ylabel("loss")
            lowest, highest = axes[1, 0].get_ylim()
            axes[1, 0].set_ylim(max(lowest, SMALLEST_LOSS), highest)
        handles = [Line2D([], [], color=c, ls=ls, label=name) for name, (c, ls) in SPLITS.items()]
        handles += [
            Line2D([], [], color="0.4", lw=0.8, ls=dashes, label=symbol(name))
            for name, (dashes, _) in TIMES.items()
        ]
        data = {"curves": _joined(parts), "medians": _joined(medians), "times": _joined(times)}
        return place.drawn(_title("learning curves", groups), data, handles, columns=4)


def survival_curves(
    groups: dict[str, pd.DataFrame],
    metric: str = "t_grok",
    title: str = "",
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Share of the runs that have grokked by each step (Kaplan–Meier), with 95 % bands.

    A tick on a curve is a run that ended there without grokking.

    Args:
      groups: label → rows of the runs table.
      metric: the time, in updates.
      title: of the figure.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `curves` (`step`, `share`, `low`, `high`), and `ended`, the runs
      that ended without.
    """
    curves, ended, handles = {}, {}, []
    for name, runs in groups.items():
        times, crossed = censored_times(runs, metric)
        curve = kaplan_meier_curve(times, crossed)
        # From nobody at step 0 to the step at which the last run ended.
        last = curve.tail(1).assign(step=times.max())
        curves[name] = pd.concat([_START, curve, last], ignore_index=True)
        at = [curve["share"][curve["step"] <= time].max() for time in times[~crossed]]
        share = pd.Series(at, dtype=float).fillna(0)
        ended[name] = pd.DataFrame({"step": times[~crossed], "share": share})
    with one_panel(ax, legend, 2.4) as place:
        axis = place.axes
        for name, colour, dashes in _styled(groups):
            step, share, low, high = (curves[name][c] for c in ("step", "share", "low", "high"))
            handles += axis.step(step, share, where="post", color=colour, ls=dashes, label=name)
            axis.fill_between(step, low, high, step="post", color=colour, alpha=0.15, lw=0)
            axis.plot(ended[name]["step"], ended[name]["share"], "|", color=colour, ms=5)
        axis.set(xlabel="step", ylabel="share of runs that grokked", ylim=(-0.03, 1.03))
        axis.set_xlim(left=0)
        data = {"curves": _joined(curves), "ended": _joined(ended)}
        columns = 1 if len(groups) < 3 else 2
        return place.drawn(_title("survival curves", groups), data, handles, columns, title)


def trajectories(
    curves: pd.DataFrame,
    groups: dict[str, pd.DataFrame],
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Weight norm against test accuracy, a line a run, with dots at t_mem and t_grok.

    Args:
      curves: of all runs of the groups, with `weight_norm`.
      groups: label → rows of the runs table.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `curves`, and `times`, the rows of the curves at each `time`.
    """
    parts = _curves_by_group(curves, groups, ["weight_norm", "test_accuracy"])
    times = {title: _rows_at_times(parts[title], runs) for title, runs in groups.items()}
    handles: list[Any] = []
    with one_panel(ax, legend, 2.6) as place:
        axis = place.axes
        for title, colour, dashes in _styled(groups):
            by_run = [run for _, run in parts[title].groupby("run_id")]
            lines = [
                axis.plot(
                    run["weight_norm"], run["test_accuracy"], color=colour, ls=dashes, lw=0.7,
                    alpha=0.8, label=title if at == 0 else None,
                )[0]
                for at, run in enumerate(by_run)
            ]  # fmt: skip
            handles += lines[:1]
            for name, (_, marker) in TIMES.items():
                met = times[title][times[title]["time"] == name]
                axis.plot(
                    met["weight_norm"], met["test_accuracy"], marker, color=colour, ms=3.5,
                    mec="white", mew=0.4,
                )  # fmt: skip
        axis.set(xlabel="weight norm", ylabel="test accuracy", ylim=(-0.03, 1.03))
        handles += [
            Line2D([], [], color="0.3", ls="", marker=marker, ms=3.5, label=symbol(name))
            for name, (_, marker) in TIMES.items()
        ]
        data = {"curves": _joined(parts), "times": _joined(times)}
        return place.drawn(_title("trajectories", groups), data, handles)


_START = pd.DataFrame({"step": [0.0], "share": [0.0], "low": [0.0], "high": [0.0]})


def _styled(groups: dict[str, pd.DataFrame]) -> Iterator[tuple[str, Any, Any]]:
    """Each group with its colour and dashes."""
    for name, (colour, dashes) in zip(groups, style.SERIES, strict=False):
        yield name, colour, dashes


def _title(what: str, groups: dict[str, pd.DataFrame]) -> str:
    return f"{what} of {sum(map(len, groups.values()))} runs: {'; '.join(groups)}"


def _joined(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all groups, with the column `group`."""
    return pd.concat([part.assign(group=name) for name, part in parts.items()], ignore_index=True)


def _curves_by_group(
    curves: pd.DataFrame, groups: dict[str, pd.DataFrame], names: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The rows of each group's curves, in order; `names` are columns that must be there."""
    lacking = [name for name in ("run_id", "step", *names) if name not in curves]
    remedy = f"it lacks {', '.join(lacking)}, which this figure shows"
    require(not lacking, "curves", list(curves), remedy)
    curves = curves.sort_values(["run_id", "step"])
    return {title: curves[curves["run_id"].isin(runs["run_id"])] for title, runs in groups.items()}


def _median_times(runs: pd.DataFrame) -> pd.DataFrame:
    """Kaplan–Meier medians, a column a time; NaN where fewer than half of the runs got there."""
    medians = {name: kaplan_meier_median(*censored_times(runs, name)) for name in TIMES}
    return pd.DataFrame([medians], dtype=float)


def _rows_at_times(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of curves at each run's t_mem and t_grok, with the column `time`."""
    found = []
    for name in TIMES:
        times = runs.set_index("run_id")[name].dropna().astype("int64")
        met = rows.merge(times.rename("at"), left_on="run_id", right_index=True)
        found.append(met[met["step"] == met["at"]].drop(columns="at").assign(time=name))
    return pd.concat(found)


def _draw(axes: Any, rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and loss of a group, on one axis each; the medians over its runs at each step."""
    later = rows[rows["step"] > 0]  # step 0 has no place on a log axis
    medians = {}
    for axis, what in zip(axes, ("accuracy", "loss"), strict=False):
        for split, (colour, dashes) in SPLITS.items():
            name = f"{split}_{what}"
            table = later.pivot_table(index="step", columns="run_id", values=name)
            # A line goes on between the log points of a value, which other programs may log rarely.
            table = table.interpolate(method="index", limit_area="inside")
            # A run that has ended counts with its last values: the median is of all runs, always.
            medians[name] = table.ffill().median(axis=1)
            axis.plot(table.index, table, color=colour, ls=dashes, lw=0.5, alpha=0.3)
            axis.plot(table.index, medians[name], color=colour, ls=dashes)
        log_where_positive(axis, "x")
    for axis in axes[1:]:
        log_where_positive(axis, "y")
    return pd.DataFrame(medians).rename_axis("step").reset_index()


def _set_title(axis: Axes, title: str, width: float) -> None:
    """A title in one line, or in one for each of its parts if it is wider than `width` pixels."""
    text = axis.set_title(title)
    if text.get_window_extent().width > width:
        text.set_text(title.replace(", ", ",\n"))


def _mark(axes: Any, times: pd.DataFrame) -> None:
    for axis in axes:
        for name, (dashes, _) in TIMES.items():
            time = times[name].iloc[0]
            if time > 0:
                axis.axvline(time, color="0.4", lw=0.8, ls=dashes, zorder=0)
