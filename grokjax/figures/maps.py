"""Heat maps of cells over two axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from grokjax.figures import style

LABELS = {
    "weight_decay": "weight decay",
    "train_fraction": "train fraction",
    "learning_rate": "learning rate",
    "init_scale": "initial scale",
    "t_grok": "median $t_{\\mathrm{grok}}$ (steps)",
    "t_grok_sustained": "median sustained $t_{\\mathrm{grok}}$ (steps)",
    "t_mem": "median $t_{\\mathrm{mem}}$ (steps)",
    "grok_gap": "median gap $t_{\\mathrm{grok}} - t_{\\mathrm{mem}}$ (steps)",
}
HATCHED: dict[str, Any] = {
    "facecolor": style.CENSORED,
    "edgecolor": "0.55",
    "hatch": "////",
    "linewidth": 0,
}
MOST_TICKS = 8
MOST_ANNOTATED = 9
"""Columns of a map beyond which numbers no longer fit into its cells."""


def probability_map(cells: pd.DataFrame, x: str, y: str) -> Figure:
    """Share of runs that grokked within their budget, with counts in the cells."""
    with style.paper():
        return _map(
            cells,
            x,
            y,
            values=cells["p_grok"],
            norm=Normalize(0, 1),
            colours=style.PROBABILITY_MAP,
            label="runs that grokked",
            text=lambda cell: f"{cell.n_grokked}/{cell.n}",
        )


def time_map(cells: pd.DataFrame, x: str, y: str, metric: str) -> Figure:
    """Kaplan–Meier median of a time; hatched where fewer than half of the runs got there."""
    # A gap is negative where a run generalises before it has memorised. Such a cell has
    # the colour of the smallest positive time, and its own number in it.
    positive = cells["median"][cells["median"] > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    wide = high / low > 3
    with style.paper():
        return _map(
            cells,
            x,
            y,
            values=cells["median"].clip(lower=low),
            norm=LogNorm(low, high) if wide else Normalize(low, max(high, low + 1)),
            colours=style.TIME_MAP,
            label=LABELS.get(metric, metric),
            text=lambda cell: f">{steps(cell.bound)}" if cell.censored else steps(cell.median),
            ticks=_round_numbers(low, high) if wide else None,
        )


def steps(number: float) -> str:
    """A number of steps in at most four characters; a dash where there is none."""
    if np.isnan(number):
        return "–"
    if number < 1000:
        return f"{number:.0f}".replace("-", "−")
    return f"{number / 1000:.2g}k" if number < 9950 else f"{number / 1000:.0f}k"


def level_text(level: object) -> str:
    """A level of an axis as a label has it."""
    plain = isinstance(level, (int, float, np.number)) and not isinstance(level, (bool, np.bool_))
    return f"{level:g}" if plain else str(level)


def _round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    numbers = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return [number for number in numbers if low <= number <= high]


@dataclasses.dataclass(frozen=True)
class AxisScale:
    """Where the cells of one axis lie: on a log, linear or ordinal scale."""

    name: str
    kind: str
    levels: list
    positions: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, column: pd.Series) -> AxisScale:
        """The scale that suits the levels: log when they grow by factors."""
        levels, name = sorted(column.unique()), str(column.name)
        places = np.arange(len(levels), dtype=float)
        if pd.api.types.is_numeric_dtype(column):
            numbers = np.array(levels, float)
            if len(levels) > 2 and numbers[0] > 0 and _geometric(numbers):
                return cls(name, "log", levels, numbers, 10 ** _edges(np.log10(numbers)))
            if _even(numbers):
                return cls(name, "linear", levels, numbers, _edges(numbers))
        return cls(name, "ordinal", levels, places, _edges(places))

    def apply(self, axis: Axes, which: str) -> None:
        """Set scale, ticks and label of the `which` axis, "x" or "y"."""
        if self.kind == "log":
            getattr(axis, f"set_{which}scale")("log")
        every = -(-len(self.levels) // MOST_TICKS)
        labels = [level_text(level) for level in self.levels]
        getattr(axis, f"set_{which}ticks")(self.positions[::every], labels[::every])
        getattr(axis, f"set_{which}ticks")([], minor=True)
        getattr(axis, f"set_{which}label")(LABELS.get(self.name, self.name.replace("_", " ")))


def _geometric(values: np.ndarray) -> bool:
    """Whether steps are evener in the logarithm, over at least a factor of four."""
    if values[-1] / values[0] < 4:
        return False
    linear, logarithmic = np.diff(values), np.diff(np.log(values))
    return np.ptp(logarithmic) / logarithmic.mean() < np.ptp(linear) / linear.mean()


def _even(values: np.ndarray) -> bool:
    return len(values) < 3 or np.diff(values).max() < 4 * np.diff(values).min()


def _edges(centres: np.ndarray) -> np.ndarray:
    """Cell borders halfway between neighbours."""
    if len(centres) == 1:
        half = 0.5 * abs(centres[0]) or 0.5
        return np.array([centres[0] - half, centres[0] + half])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _map(
    cells: pd.DataFrame,
    x: str,
    y: str,
    *,
    values: pd.Series,
    norm: Normalize,
    colours: str,
    label: str,
    text: Callable[[Any], str],
    ticks: list[float] | None = None,
) -> Figure:
    across, up = AxisScale.of(cells[x]), AxisScale.of(cells[y])
    figure = Figure(figsize=(style.COLUMN, 0.78 * style.COLUMN))
    axis = figure.subplots()
    grid = np.full((len(up.levels), len(across.levels)), np.nan)
    rows = [up.levels.index(level) for level in cells[y]]
    columns = [across.levels.index(level) for level in cells[x]]
    grid[rows, columns] = values
    shown = np.ma.masked_invalid(grid)
    image = axis.pcolormesh(across.edges, up.edges, shown, cmap=colours, norm=norm)
    annotated = max(grid.shape) <= MOST_ANNOTATED
    for row, column, cell in zip(rows, columns, cells.itertuples(), strict=True):
        value = grid[row, column]
        hatched = bool(cell.censored) and np.isnan(value)
        if hatched:
            corner = across.edges[column], up.edges[row]
            width, height = np.diff(across.edges)[column], np.diff(up.edges)[row]
            axis.add_patch(Rectangle(corner, width, height, **HATCHED))
        if annotated:
            dark = not np.isnan(value) and sum(image.to_rgba(value)[:3]) < 1.5
            plate = {"facecolor": style.CENSORED, "edgecolor": "none", "pad": 0.6}
            axis.text(
                across.positions[column],
                up.positions[row],
                text(cell),
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if dark else "black",
                bbox=plate if hatched else None,
            )
    across.apply(axis, "x")
    up.apply(axis, "y")
    axis.spines[["top", "right"]].set_visible(True)
    bar = figure.colorbar(image, ax=axis, label=label, pad=0.02)
    bar.outline.set_linewidth(0.6)
    if ticks is not None:
        bar.set_ticks(ticks, labels=[steps(tick) for tick in ticks])
        bar.set_ticks([], minor=True)
    legend = {}
    if (cells["censored"] & values.isna()).any():
        legend["median beyond the budget"] = Patch(**HATCHED)
    if (~cells["censored"] & values.isna()).any():
        legend["–  none memorised"] = Patch(visible=False)
    if legend:
        figure.legend(legend.values(), legend.keys(), loc="outside upper right", ncols=2)
    return figure
