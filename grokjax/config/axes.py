"""Sweeps: which combinations of values an experiment runs.

Axes have the names of fields; `config.fields.resolve_path` says how they are looked up.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from grokjax.config.coercion import ConfigError, bounded
from grokjax.config.refusals import shown

__all__ = ["Sweep", "grid", "zipped"]

MOST_CELLS = 1_000_000
"""More cells than a folder of results is made for; a run takes a few kilobytes to plan."""


@dataclasses.dataclass(frozen=True, repr=False)
class Sweep:
    """The cells to run in order, each a mapping from names of fields to values.

    `a + b` runs the cells of both, `a * b` every pair of a cell of a and one of b.

    >>> from grokjax import grid, zipped
    >>> sizes = zipped(width=[64, 128], heads=[2, 4])
    >>> for cell in (sizes * grid(seed=range(2))).cells:
    ...     print(cell)
    {'width': 64, 'heads': 2, 'seed': 0}
    {'width': 64, 'heads': 2, 'seed': 1}
    {'width': 128, 'heads': 4, 'seed': 0}
    {'width': 128, 'heads': 4, 'seed': 1}
    >>> sizes + grid(width=[256])
    <Sweep of 3 cells: width (3) × heads (2)>
    """

    cells: tuple[Mapping[str, Any], ...] = ({},)
    """Names of fields → values, one mapping for each run."""

    def __post_init__(self) -> None:
        cells = tuple(self.cells) if isinstance(self.cells, (list, tuple)) else None
        if not cells or not all(
            isinstance(c, Mapping) and all(isinstance(k, str) for k in c) for c in cells
        ):
            given = shown(self.cells)
            raise ConfigError(f"sweep={given}: give grid(...), or a list of dictionaries.")
        _check_count(len(cells))
        object.__setattr__(self, "cells", cells)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names that any cell has, each once."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell))

    def __len__(self) -> int:
        return len(self.cells)

    def _levels(self) -> dict[str, list[str]]:
        """Name → the values that cells have there, as one would write them."""
        levels: dict[str, dict[str, None]] = {}
        for cell in self.cells:
            for name, value in cell.items():
                levels.setdefault(name, {})[repr(value)] = None
        return {name: list(values) for name, values in levels.items()}

    def _repr_html_(self) -> str:
        return as_table(f"{len(self)} cells", {n: ", ".join(v) for n, v in self._levels().items()})

    def __repr__(self) -> str:
        levels = self._levels()
        axes = " × ".join(f"{name} ({len(values)})" for name, values in levels.items())
        cells = f"{len(self)} cell{'s' * (len(self) != 1)}"
        return f"<Sweep of {cells}{': ' * bool(axes)}{axes}>"

    def __add__(self, other: Sweep) -> Sweep:
        return Sweep(self.cells + other.cells)

    def __mul__(self, other: Sweep) -> Sweep:
        _check_count(len(self) * len(other))
        return Sweep(tuple({**a, **b} for a in self.cells for b in other.cells))


def as_table(title: str, rows: Mapping[str, str]) -> str:
    """A table of names and texts as HTML, for a notebook."""
    cells = (f"<tr><th>{escape(n)}</th><td>{escape(text)}</td></tr>" for n, text in rows.items())
    return f"<p>{escape(title)}</p><table>{''.join(cells)}</table>"


def grid(axes: Mapping[str, Iterable[Any]] | None = None, **named: Iterable[Any]) -> Sweep:
    """Every combination of values: the product of the axes, the last one fastest.

    >>> from grokjax import grid
    >>> grid(weight_decay=[0.1, 1.0], seed=range(2)).cells[1]
    {'weight_decay': 0.1, 'seed': 1}
    >>> grid({"modifiers.0.factor": [1.0, 2.0]}, seed=[0]).cells[0]
    {'modifiers.0.factor': 1.0, 'seed': 0}

    Args:
      axes: dotted names of fields, which cannot be keywords, each with its list of values.
      named: names of fields, each with its list of values.
    """
    values = _values({**(axes or {}), **named})
    _check_count(math.prod(map(len, values.values())))
    return Sweep(
        tuple(dict(zip(values, cell, strict=True)) for cell in itertools.product(*values.values()))
    )


def zipped(axes: Mapping[str, Iterable[Any]] | None = None, **named: Iterable[Any]) -> Sweep:
    """Axes walked together: the first value of each, then the second of each, and so on.

    >>> from grokjax import zipped
    >>> zipped(width=[64, 128], heads=[2, 4]).cells
    ({'width': 64, 'heads': 2}, {'width': 128, 'heads': 4})

    Args:
      axes: dotted names of fields, which cannot be keywords, each with its list of values.
      named: names of fields, each with its list of values; all lists have the same length.
    """
    values = _values({**(axes or {}), **named})
    lengths = {name: len(axis) for name, axis in values.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigError(f"zipped: the axes differ in length ({lengths}), make them equal.")
    rows = zip(*values.values(), strict=True)
    return Sweep(tuple(dict(zip(values, row, strict=True)) for row in rows))


def _check_count(cells: int) -> None:
    if cells > MOST_CELLS:
        raise ConfigError(
            f"sweep: {cells} cells are more than {MOST_CELLS}, give axes of fewer values, or train "
            "them in several folders, which grokjax.load joins."
        )


def _values(axes: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {}
    for name, axis in axes.items():
        if isinstance(axis, str) or not isinstance(axis, Iterable):
            given = shown(axis)
            raise ConfigError(f"{name}={given}: an axis is a list of values, write [{given}].")
        values[name] = list(bounded(axis, name, MOST_CELLS))
        if not values[name]:
            raise ConfigError(f"{name}=[]: the axis is empty, give it at least one value.")
    return values
