"""Whether forecasts of t_grok are to be believed, and what tells understood from memorised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from grokjax.config.coercion import require
from grokjax.figures import style
from grokjax.figures.axes import label, round_numbers, steps, symbol
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import one_panel

MOST_ROWS = 24
"""Features that are named side by side."""
ROW = 0.15
"""Height of one of them, in inches."""
BEYOND = 3.0
"""How far beyond the longest time predictions are shown."""


def calibration_plot(
    coverage: pd.DataFrame, *, ax: Axes | None = None, legend: bool = True
) -> Drawn:
    """Share of times that fell where they were said to fall; on the diagonal it is right.

    Two lines: central intervals of a level, which say whether the spread is right, and the
    quantile of a level, which says whether predictions come early or late. Bands at 95 %.

    Args:
      coverage: as `forecast.calibration` makes it.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `coverage`.
    """
    handles: list[Any] = []
    kinds = (("covered", "inside the central interval"), ("below", "at or below the quantile"))
    with one_panel(ax, legend, 2.9) as place:
        axis = place.axes
        axis.plot([0, 1], [0, 1], color="0.6", lw=0.8, zorder=0)
        for (name, text), (colour, dashes) in zip(kinds, style.SERIES, strict=False):
            level, low, high = (coverage[c] for c in ("level", f"{name}_low", f"{name}_high"))
            axis.fill_between(level, low, high, color=colour, alpha=0.15, lw=0)
            handles += axis.plot(
                level, coverage[name], "o", ls=dashes, color=colour, ms=3, label=text
            )
        axis.set(xlabel="predicted share", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
        axis.set_aspect("equal", adjustable="box")
        last = coverage.iloc[-1]
        text = f"{last['n_seen']:.0f} of {last['n']:.0f} runs grokked"
        name = f"calibration of predicted t_grok: {text}"
        return place.drawn(name, {"coverage": coverage}, handles, columns=1, title=text)


def concordance_plot(
    scores: pd.DataFrame,
    *,
    most: int = MOST_ROWS,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """C-index of every feature within cells, and over all runs: what stratification takes away.

    At 0.5 a feature tells nothing; far to the left smaller values come sooner. Features lie in
    the order of C, not of its distance from 0.5, and the baselines are blue.

    Args:
      scores: as `forecast.score` makes them.
      most: features that are shown, baselines and both ends of the order first.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has the `scores` that are shown, from top to bottom.
    """
    require(most >= 1, "most", most, "give 1 feature or more")
    known = scores[scores["c"].notna()].sort_values("c", ascending=False, kind="stable")
    shown = _ends(known, known["baseline"], most)
    at = np.arange(len(shown))[::-1]
    with one_panel(ax, legend, 1.0 + ROW * len(shown)) as place:
        axis = place.axes
        axis.axvline(0.5, color="0.6", lw=0.8, zorder=0)
        axis.hlines(at, shown["c"], shown["pooled"], color="0.8", lw=0.8, zorder=1)
        axis.plot(shown["pooled"], at, "o", mfc="white", mec="0.3", ms=6)
        for is_baseline, colour in ((True, style.TRAIN), (False, style.TEST)):
            of = (shown["baseline"] == is_baseline).to_numpy()
            _intervals(axis, shown[of], "c", at[of], colour)
        _name_rows(axis, at, shown["feature"])
        axis.set_xlim(0, 1)
        axis.set_xlabel("C-index: larger values grok sooner", loc="right")
        handles = [
            _mark("within cells, 95 %", color=style.TEST),
            _mark("the same, a baseline", color=style.TRAIN),
            _mark("pooled over all cells", color="0.3", mfc="white"),
        ]
        name = f"C-index of {len(shown)} of {len(scores)} features"
        return place.drawn(name, {"scores": shown}, handles)


def prediction_plot(
    predictions: pd.DataFrame, *, ax: Axes | None = None, legend: bool = True
) -> Drawn:
    """Predicted against true t_grok, a run a dot with its middle half; arrows go on to later.

    What is predicted far beyond the end of the runs is drawn at the upper edge.

    Args:
      predictions: as `forecast.predict` makes them.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has the `predictions`.
    """
    low = max(float(predictions["step"].min()), 1.0)
    high = 1.25 * float(predictions["time"].max())
    top = BEYOND * high
    quantiles = ["q25", "q50", "q75"]
    shown = predictions.assign(**predictions[quantiles].clip(upper=top))
    met, late = shown[shown["seen"]], shown[~shown["seen"]]
    with one_panel(ax, legend, 3.1) as place:
        axis = place.axes
        axis.plot([low, top], [low, top], color="0.6", lw=0.8, zorder=0)
        axis.vlines(met["time"], met["q25"], met["q75"], color=style.TEST, lw=0.5, alpha=0.5)
        axis.plot(met["time"], met["q50"], "o", color=style.TEST, ms=2.5, mew=0, alpha=0.7)
        axis.plot(late["time"], late["q50"], ">", color="0.45", ms=3, mew=0, alpha=0.5)
        axis.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, 1.15 * top))
        axis.set(xlabel=f"true {symbol('t_grok')} (steps)")
        axis.set(ylabel=f"predicted {symbol('t_grok')} (steps)")
        for which, end in (("x", high), ("y", top)):
            numbers = round_numbers(low, end)
            getattr(axis, f"set_{which}ticks")(numbers, [steps(n) for n in numbers])
            getattr(axis, f"set_{which}ticks")([], minor=True)
        handles = [
            _mark("median and middle half", color=style.TEST),
            _mark("not by its last step", color="0.45", marker=">"),
        ]
        text = f"told at step {predictions['step'].iloc[0]:.0f}"
        name = f"predictions of {len(predictions)} runs, {text}"
        return place.drawn(name, {"predictions": predictions}, handles, title=text)


def understood_plot(
    table: pd.DataFrame, *, most: int = MOST_ROWS, ax: Axes | None = None, legend: bool = True
) -> Drawn:
    """How well each measure tells generalising from memorising networks, as bars from 0.5.

    Args:
      table: as `understood.compare` makes it.
      most: measures that are shown, `step` and both ends of the order first.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has the rows of the `table` that are shown, from top to bottom.
    """
    require(most >= 1, "most", most, "give 1 measure or more")
    order = table.sort_values("auroc", ascending=False, kind="stable")
    shown = _ends(order, order["measure"] == "step", most)
    at = np.arange(len(shown))[::-1]
    with one_panel(ax, legend, 1.0 + ROW * len(shown)) as place:
        axis = place.axes
        axis.barh(at, shown["auroc"] - 0.5, left=0.5, height=0.7, color=style.TRAIN, alpha=0.35)
        _intervals(axis, shown, "auroc", at, style.TRAIN, "|")
        axis.plot(shown["auroc_within"], at, "D", mfc="white", mec="black", ms=3)
        axis.axvline(0.5, color="0.6", lw=0.8)
        handles = [
            _mark("generalising against memorising, 95 %", color=style.TRAIN, marker="s"),
            _mark("the same within cells", color="black", marker="D", mfc="white"),
        ]
        if shown["auroc_control"].notna().any():
            axis.plot(shown["auroc_control"], at, "x", color=style.TEST, ms=4)
            text = "random labels against memorising"
            handles.append(_mark(text, color=style.TEST, marker="x"))
        _name_rows(axis, at, shown["measure"])
        axis.set(xlabel="AUROC: larger where it generalises", xlim=(-0.02, 1.02))
        name = f"memorised or understood by {len(shown)} of {len(table)} measures"
        return place.drawn(name, {"table": shown}, handles, columns=1)


def _ends(order: pd.DataFrame, always: pd.Series, most: int) -> pd.DataFrame:
    """At most so many rows of an order: those that are always shown, then from both its ends."""
    kept = always.to_numpy(bool)
    others = np.flatnonzero(~kept)
    room = int(np.clip(most - kept.sum(), 0, len(others)))
    first, last = others[: room - room // 2], others[len(others) - room // 2 :]
    return order.iloc[np.sort(np.concatenate([np.flatnonzero(kept), first, last]))]


def _intervals(
    axis: Axes, rows: pd.DataFrame, name: str, at: np.ndarray, colour: str, marker: str = "o"
) -> None:
    """Dots with intervals; none where they are not known."""
    limits = [rows[name] - rows[f"{name}_low"], rows[f"{name}_high"] - rows[name]]
    axis.errorbar(
        rows[name], at, xerr=np.nan_to_num(np.array(limits)).clip(min=0), fmt=marker, color=colour,
        ms=3.5, lw=1.0,
    )  # fmt: skip


def _name_rows(axis: Axes, at: np.ndarray, names: pd.Series) -> None:
    axis.set_yticks(at, [label(name) for name in names])
    axis.set_ylim(-0.7, len(at) - 0.3)
    axis.tick_params(axis="y", length=0)


def _mark(text: str, marker: str = "o", **look: Any) -> Line2D:
    return Line2D([], [], ls="", marker=marker, ms=4, label=text, **look)
