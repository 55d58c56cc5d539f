"""The residual stream of a layout: nodes that rows share, and what rows have for themselves.

Legend: N rows, n askers (rows, or nodes of the next level), S shared and R own
positions, M nodes, D residual width, F features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.models.layout import Level

Map = Callable[[jax.Array], jax.Array]
Span = tuple[int, int]
"""First node and number of nodes: where the indices of a slot lie."""


class Stream(NamedTuple):
    """The residual stream at a level; a part that the level has not is None."""

    nodes: jax.Array | None  # [M, D]
    own: jax.Array | None  # [N, R, D]

    def map(self, function: Map) -> Stream:
        """The function of both parts."""
        return Stream(*(x if x is None else function(x) for x in self))


@dataclasses.dataclass(frozen=True)
class Places:
    """Where askers find the inputs of some positions of a level."""

    index: jax.Array  # [n, S]
    spans: tuple[Span, ...]
    own: tuple[int, ...]
    """Slots of the own positions."""

    @property
    def starts(self) -> np.ndarray:
        """First node of each shared position."""
        return np.array([start for start, _ in self.spans], int)

    def read(self, x: Stream, function: Map = lambda x: x) -> jax.Array:
        """The function of the inputs, `[n, S + R, ...]`."""
        parts = []
        if self.spans:
            assert x.nodes is not None
            table = function(x.nodes)
            found = lookup(table.reshape(len(table), -1), self.index, self.spans)
            parts.append(found.reshape(*self.index.shape, *table.shape[1:]))
        if self.own:
            assert x.own is not None
            everything = self.own == tuple(range(x.own.shape[1]))
            parts.append(function(x.own if everything else x.own[:, self.own]))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)


def row_places(level: Level, positions: tuple[int, ...], rows: jax.Array) -> Places:
    """Where rows find these positions, shared ones first."""
    columns = [level.shared.index(p) for p in positions if p in level.shared]
    own = tuple(level.own.index(p) for p in positions if p in level.own)
    index = jnp.asarray(level.index[:, columns])[rows]
    return Places(index, level.spans(columns), own)


def lookup(table: jax.Array, index: jax.Array, spans: tuple[Span, ...]) -> jax.Array:
    """Table `[M, F]`, index `[n, S]` → `[n, S, F]`.

    Accelerators get the gradient as products with one-hot matrices: a scatter there adds up
    in another order every time. A processor scatters, which took it a tenth of the time of
    those products (width 128, 3831 rows, two cores).
    """
    # Both branches take every traced value as an argument: one that they closed over could be
    # lowered for no platform but the host's.
    by_products = partial(_by_products, spans)
    return jax.lax.platform_dependent(table, index, cpu=_by_scatter, default=by_products)


def _by_scatter(table: jax.Array, index: jax.Array) -> jax.Array:
    return table[index]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _by_products(spans: tuple[Span, ...], table: jax.Array, index: jax.Array) -> jax.Array:
    return table[index]


@_by_products.defjvp
def _by_products_jvp(
    spans: tuple[Span, ...], primals: tuple, tangents: tuple
) -> tuple[jax.Array, jax.Array]:
    (table, index), (tangent, _) = primals, tangents
    slots = [
        jnp.tensordot(
            jax.nn.one_hot(index[:, slot] - start, count, dtype=table.dtype),
            tangent[start : start + count],
            1,
            precision="highest",
        )
        for slot, (start, count) in enumerate(spans)
    ]
    return table[index], jnp.stack(slots, axis=1)
