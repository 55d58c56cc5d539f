"""The axes of maps: where cells lie, ticks, labels, numbers as text."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from grokjax.analysis.scales import Scale

LABELS = {
    "weight_decay": "weight decay",
    "train_fraction": "train fraction",
    "learning_rate": "learning rate",
    "init_scale": "initial scale",
    "n_train": "training rows",
    "width": "width",
    "p": "modulus $p$",
    "t_grok": "median $t_{\\mathrm{grok}}$ (steps)",
    "t_grok_sustained": "median sustained $t_{\\mathrm{grok}}$ (steps)",
    "t_mem": "median $t_{\\mathrm{mem}}$ (steps)",
    "grok_gap": "median gap $t_{\\mathrm{grok}} - t_{\\mathrm{mem}}$ (steps)",
}
MOST_TICKS = 8


def label(name: str) -> str:
    """A column as a figure calls it."""
    return LABELS.get(name, name.replace("*", " × ").replace("_", " "))


def steps(number: float) -> str:
    """A number of steps in at most four characters; a dash where there is none."""
    if np.isnan(number):
        return "–"
    if number < 1000:
        return f"{number:.0f}".replace("-", "−")
    return f"{number / 1000:.2g}k" if number < 9950 else f"{number / 1000:.0f}k"


def symbol(time: str) -> str:
    """t_grok as mathematics."""
    return f"$t_{{\\mathrm{{{time[2:]}}}}}$"


def level_text(level: object) -> str:
    """A level of an axis as a label has it; "none" for an empty list, of modifiers say."""
    if isinstance(level, str) and not level:
        return "none"
    plain = isinstance(level, (int, float, np.number)) and not isinstance(level, (bool, np.bool_))
    return f"{level:g}" if plain else str(level)


def log_where_positive(axis: Axes, which: str) -> None:
    """A log scale on the `which` axis, "x" or "y", unless nothing drawn so far is positive."""
    if np.isfinite(getattr(axis.dataLim, f"minpos{which}")):
        getattr(axis, f"set_{which}scale")("log")


def round_numbers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    numbers = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return [number for number in numbers if low <= number <= high]


@dataclasses.dataclass(frozen=True)
class CellAxis:
    """Where the cells of one axis lie: on its scale, or side by side where it has none."""

    name: str
    kind: str
    levels: list[Any]
    positions: np.ndarray
    edges: np.ndarray

    @classmethod
    def of(cls, column: pd.Series) -> CellAxis:
        """Log where levels grow by factors, linear where they are about even, else ordinal."""
        scale, places = Scale.of(column), np.arange(column.nunique(), dtype=float)
        if scale.kind != "ordinal":
            at = scale.forward(scale.levels)
            if np.isfinite(at).all() and (scale.kind == "log" or _even(at)):
                levels = np.array(scale.levels, float)
                return cls(scale.name, scale.kind, scale.levels, levels, scale.back(_edges(at)))
        return cls(scale.name, "ordinal", scale.levels, places, _edges(places))

    def place(self, values: np.ndarray) -> np.ndarray:
        """Where values between the levels lie."""
        if self.kind != "ordinal":
            return values
        scale = Scale.between(self.levels)
        return np.interp(scale.forward(values), scale.forward(self.levels), self.positions)

    def apply(self, axis: Axes, which: str) -> None:
        """Set scale, ticks and label of the `which` axis, "x" or "y"."""
        if self.kind == "log":
            getattr(axis, f"set_{which}scale")("log")
        every = -(-len(self.levels) // MOST_TICKS)
        labels = [level_text(level) for level in self.levels]
        getattr(axis, f"set_{which}ticks")(self.positions[::every], labels[::every])
        getattr(axis, f"set_{which}ticks")([], minor=True)
        getattr(axis, f"set_{which}label")(label(self.name))


@dataclasses.dataclass(frozen=True)
class LevelAxis:
    """Where the levels of one field lie: on its scale, or beside it where that has no place."""

    scale: Scale
    positions: dict[Any, float]
    """Level → place; None is the absence of one."""

    @classmethod
    def of(cls, column: pd.Series) -> LevelAxis:
        """Words in their order; 0 of a log scale before the others, absent ones after them."""
        scale = Scale.of(column)
        places = range(len(scale.levels)) if scale.kind == "ordinal" else scale.levels
        at = scale.forward(places)
        on_scale = np.isfinite(at)
        on = at[on_scale]
        low, high = (on.min(), on.max()) if len(on) else (0.0, 0.0)
        gap = (high - low) / max(len(on) - 1, 1) or 1.0
        before, after = scale.back([low - gap, high + gap])
        positions: dict[Any, float] = {
            level: float(place) if known else before
            for level, place, known in zip(scale.levels, places, on_scale, strict=True)
        }
        return cls(scale, positions | ({None: after} if column.isna().any() else {}))

    def place(self, values: pd.Series) -> np.ndarray:
        """Where values of the column lie."""
        return np.array([self.positions[None if pd.isna(v) else v] for v in values], float)

    def on_scale(self, values: pd.Series) -> np.ndarray:
        """Which values lie on the scale itself."""
        zero = (values == 0) & (self.scale.kind == "log")
        return ~(values.isna() | zero).to_numpy(bool, na_value=False)

    def apply(self, axis: Axes) -> None:
        """Set scale and ticks of the x axis."""
        if self.scale.kind == "log":
            axis.set_xscale("log")
        shown = self.scale.levels[:: -(-len(self.scale.levels) // MOST_TICKS)]
        shown += [None] * (None in self.positions)
        names = ["none" if level is None else level_text(level) for level in shown]
        axis.set_xticks([self.positions[level] for level in shown], names)
        axis.set_xticks([], minor=True)


def _even(values: np.ndarray) -> bool:
    return len(values) < 3 or np.diff(values).max() < 4 * np.diff(values).min()


def _edges(centres: np.ndarray) -> np.ndarray:
    """Cell borders halfway between neighbours."""
    if len(centres) == 1:
        half = 0.5 * abs(centres[0]) or 0.5
        return np.array([centres[0] - half, centres[0] + half])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])
