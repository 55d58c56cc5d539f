"""On which scale an axis is even: logarithmic, linear, or by order alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class Scale:
    """The levels of one axis and where they lie."""

    name: str
    kind: str
    """log, linear or ordinal; on a log axis levels of 0 have no place and are left out."""
    levels: list[Any]

    @classmethod
    def of(cls, column: pd.Series) -> Scale:
        """The scale that suits the levels: log when they grow by factors."""
        levels, name = sorted(column.dropna().unique().tolist()), str(column.name)
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            return cls(name, "ordinal", levels)
        positive = np.array([level for level in levels if level > 0], float)
        if len(positive) > 2 and levels[0] >= 0 and _geometric(positive):
            return cls(name, "log", levels)
        return cls(name, "linear", levels)

    @classmethod
    def between(cls, levels: Sequence[float]) -> Scale:
        """The scale of numbers that are no column."""
        return cls.of(pd.Series(list(levels), dtype=float, name="level"))

    def forward(self, values: object) -> np.ndarray:
        """Where values lie on the axis: their log10 on a log axis, NaN for 0."""
        values = np.asarray(values, float)
        if self.kind != "log":
            return values
        with np.errstate(divide="ignore"):
            return np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), np.nan)

    def back(self, positions: object) -> np.ndarray:
        """The values at positions of the axis."""
        positions = np.asarray(positions, float)
        return 10.0**positions if self.kind == "log" else positions

    @property
    def unit(self) -> str:
        """What lengths along the axis are measured in."""
        return f"decades of {self.name}" if self.kind == "log" else self.name


def _geometric(values: np.ndarray) -> bool:
    """Whether steps are evener in the logarithm, over at least a factor of four."""
    if values[-1] / values[0] < 4:
        return False
    linear, logarithmic = np.diff(values), np.diff(np.log(values))
    return np.ptp(logarithmic) / logarithmic.mean() < np.ptp(linear) / linear.mean()
