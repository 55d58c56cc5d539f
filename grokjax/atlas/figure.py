"""The figure of a claim: every run of every cell as a dot, and the cells' medians."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grokjax.analysis.survival import censored_times, kaplan_meier_median
from grokjax.analysis.times import TIMES
from grokjax.atlas.claim import Claim
from grokjax.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS = 90
"""Dots per inch: a page of the documentation has small figures, and a clone stays small."""
MOST_LABELS = 24
"""Cells whose names fit below an axis."""


def write(claim: Claim, table: pd.DataFrame, path: Path) -> None:
    """Draw the claim's table into a PNG file."""
    from matplotlib.figure import Figure

    with style.paper():
        figure = Figure(figsize=(5.2, 2.9), dpi=DOTS)
        draw(claim, table, figure.subplots())
        import matplotlib as mpl

        with mpl.rc_context({"savefig.dpi": DOTS}):
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata={"Software": None}, pil_kwargs={"optimize": True})


def draw(claim: Claim, table: pd.DataFrame, ax: Axes) -> None:
    """Draw the column that the claim shows, by cell; censored times point up at their bound."""
    axes = ["experiment"] * (table["experiment"].nunique() > 1)
    axes += [
        axis for axis in claim.cells if axis in table and table[axis].nunique(dropna=False) > 1
    ]
    groups = list(table.groupby(axes, dropna=False, sort=True)) if axes else [((), table)]
    times = claim.shown in TIMES
    for at, (_, cell) in enumerate(groups):
        values, seen = _values(cell, claim.shown, times)
        spread = at + np.linspace(-0.25, 0.25, max(2, len(values)))[: len(values)]
        ax.plot(spread[seen], values[seen], "o", ms=3, mew=0, color=style.TRAIN, alpha=0.8)
        ax.plot(spread[~seen], values[~seen], "^", ms=3.5, mfc="none", mew=0.7, color=style.TEST)
        middle = kaplan_meier_median(values, seen) if len(values) else None
        if middle is not None:
            ax.plot([at - 0.35, at + 0.35], [middle, middle], "-", color="black", lw=1.2)
    if times:
        ax.set_yscale("log")
        ax.set_ylabel(f"{claim.shown} (△ not by then)")
    else:
        ax.set_ylabel(claim.shown.replace("_", " "))
    every = -(-len(groups) // MOST_LABELS)
    ax.set_xticks(range(0, len(groups), every))
    labels = [_label(key) for key, _ in groups][::every]
    ax.set_xticklabels(labels, rotation=30 if max(map(len, labels)) > 4 else 0, ha="right")
    ax.set_xlabel(" · ".join(name.replace("_", " ") for name in axes))


def _values(cell: pd.DataFrame, column: str, times: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values `[n]` and whether each is more than a bound."""
    if times:
        values, seen = censored_times(cell, column)
        return np.maximum(values, 1.0), seen
    values = cell[column].dropna().to_numpy(float)
    return values, np.ones(len(values), bool)


def _label(key: Any) -> str:
    """The name of a cell on the axis."""
    parts = key if isinstance(key, tuple) else (key,)
    return " · ".join(f"{part:.3g}" if isinstance(part, float) else str(part) for part in parts)
