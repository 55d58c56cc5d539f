"""Sweeps: which cells of an experiment to run.

`grid(weight_decay=[0.1, 1], seed=range(5))` is a product, `zipped(width=[64, 128],
heads=[2, 4])` walks its axes in step, `a + b` is the union of two sweeps and `a * b`
their product. Names are those of fields; `resolve_path` says how they are looked up.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from grokjax.config.fields import ConfigError

__all__ = ["Sweep", "grid", "zipped"]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """An ordered set of cells, each a mapping from field name to value."""

    cells: tuple[Mapping[str, Any], ...] = ({},)

    def __post_init__(self) -> None:
        cells = tuple(self.cells) if isinstance(self.cells, (list, tuple)) else None
        if not cells or not all(
            isinstance(c, Mapping) and all(isinstance(k, str) for k in c) for c in cells
        ):
            raise ConfigError(f"sweep={self.cells!r}: give grid(...), or a list of dictionaries.")
        object.__setattr__(self, "cells", cells)

    def __add__(self, other: Sweep) -> Sweep:
        return Sweep(self.cells + other.cells)

    def __mul__(self, other: Sweep) -> Sweep:
        return Sweep(tuple({**a, **b} for a in self.cells for b in other.cells))


def grid(axes: Mapping[str, Iterable[Any]] | None = None, **named: Iterable[Any]) -> Sweep:
    """The product of the axes, the last one fastest. Dotted names go in the mapping."""
    values = _values({**(axes or {}), **named})
    return Sweep(
        tuple(dict(zip(values, cell, strict=True)) for cell in itertools.product(*values.values()))
    )


def zipped(axes: Mapping[str, Iterable[Any]] | None = None, **named: Iterable[Any]) -> Sweep:
    """The axes taken in step, all of the same length."""
    values = _values({**(axes or {}), **named})
    lengths = {name: len(axis) for name, axis in values.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"zipped: the axes differ in length ({lengths}), make them equal.")
    rows = zip(*values.values(), strict=True)
    return Sweep(tuple(dict(zip(values, row, strict=True)) for row in rows))


def _values(axes: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for name, axis in axes.items():
        if isinstance(axis, str) or not isinstance(axis, Iterable):
            raise ConfigError(f"{name}={axis!r}: an axis is a list of values, write [{axis!r}].")
        values[name] = list(axis)
        if not values[name]:
            raise ConfigError(f"{name}=[]: the axis is empty, give it at least one value.")
    return values
