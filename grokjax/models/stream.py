"""The residual stream of a layout: nodes that rows share, and what rows have for themselves.

Legend: N rows, n askers (rows, or nodes of the next level), S shared and R own
positions, M nodes, D residual width, F features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

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
        parts = self.parts(self.compute(x, function))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    def slots(self, x: Stream, function: Map = lambda x: x) -> list[jax.Array]:
        """The same for each position by itself, each `[n, ...]`: nothing is put together for it."""
        parts = self.parts(self.compute(x, function))
        return [part[:, at] for part in parts for at in range(part.shape[1])]

    def compute(self, x: Stream, function: Map) -> Stream:
        """The function of what is read, of nodes once each: `[M, ...]` and `[n, R, ...]`."""
        nodes = own = None
        if self.spans:
            assert x.nodes is not None
            nodes = function(x.nodes)
        if self.own:
            assert x.own is not None
            everything = self.own == tuple(range(x.own.shape[1]))
            own = function(x.own if everything else take(x.own, self.own, axis=1))
        return Stream(nodes, own)

    def look_up(self, table: jax.Array) -> jax.Array:
        """Of a table of nodes `[M, ...]` those at the shared positions, `[n, S, ...]`."""
        found = lookup(table.reshape(len(table), -1), self.index, self.spans)
        return found.reshape(*self.index.shape, *table.shape[1:])

    def parts(self, y: Stream) -> list[jax.Array]:
        """What is looked up `[n, S, ...]` and what askers have for themselves `[n, R, ...]`."""
        shared = [] if y.nodes is None else [self.look_up(y.nodes)]
        return shared + ([] if y.own is None else [y.own])


def row_places(level: Level, positions: tuple[int, ...], rows: jax.Array) -> Places:
    """Where rows find these positions, shared ones first."""
    columns = [level.shared.index(p) for p in positions if p in level.shared]
    own = tuple(level.own.index(p) for p in positions if p in level.own)
    index = jnp.asarray(level.index[:, columns])[rows]
    return Places(index, level.spans(columns), own)


def take(x: jax.Array, places: Sequence[int], axis: int = 0) -> jax.Array:
    """Some places of an axis, each a slice: the gradient of an index array is a scatter."""
    parts = [jax.lax.slice_in_dim(x, at, at + 1, axis=axis) for at in places]
    return jnp.concatenate(parts, axis=axis)


def lookup(table: jax.Array, index: jax.Array, spans: tuple[Span, ...]) -> jax.Array:
    """Table `[M, F]`, index `[n, S]` → `[n, S, F]`.

    Accelerators get the gradient as products with one-hot matrices: a scatter there adds up
    in another order every time. A processor scatters, which took it a tenth of the time of
    those products (width 128, 3831 rows, two cores).
    """
    if all(count == 1 for _, count in spans):  # every row finds the same
        starts = [start for start, _ in spans]
        return jnp.broadcast_to(take(table, starts), (len(index), len(starts), table.shape[1]))
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
        jnp.matmul(
            _one_hot(index[:, slot], span, table.dtype), _nodes(tangent, span), precision="highest"
        )
        for slot, span in enumerate(spans)
    ]
    return table[index], jnp.stack(slots, axis=1)


def sum_by_node(
    nodes: int, slots: Sequence[jax.Array], index: jax.Array, spans: tuple[Span, ...]
) -> jax.Array:
    """The gradient `[M, F]` of a table that was looked up, from that of each slot `[n, F]`."""
    total = jnp.zeros((nodes, slots[0].shape[1]), slots[0].dtype)
    for at, (gradient, span) in enumerate(zip(slots, spans, strict=True)):
        start, count = span
        if count == 1:
            of_nodes = gradient.sum(axis=0, keepdims=True)
        else:
            chosen = _one_hot(index[:, at], span, gradient.dtype)
            of_nodes = jnp.matmul(chosen.T, gradient, precision="highest")
        total = total.at[start : start + count].add(of_nodes, unique_indices=True)
    return total


def _one_hot(index: jax.Array, span: Span, dtype: Any) -> jax.Array:
    """One-hot rows `[n, count]` of indices in a span."""
    return jax.nn.one_hot(index - span[0], span[1], dtype=dtype)


def _nodes(table: jax.Array, span: Span) -> jax.Array:
    return table[span[0] : sum(span)]
