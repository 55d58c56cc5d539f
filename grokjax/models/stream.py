"""The residual stream of a layout: a table of nodes that rows share, and each row's own part.

*Askers* are what the next level computes: rows, at the positions that they compute themselves, or
nodes. Each asker reads inputs at some positions of this level, by looking up shared ones in the
table and by taking its own ones as they are.

Legend: N rows, n askers, S shared and R own positions, M nodes, D residual width, F width of a
table.
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
"""First node of a position in the table, and the number of its nodes."""


def last_axis(vector: jax.Array, array: jax.Array) -> jax.Array:
    """A vector `[F]` as `[1, …, 1, F]`, to meet the last axis of an array."""
    return vector.reshape((1,) * (array.ndim - 1) + vector.shape)


class Stream(NamedTuple):
    """The residual stream at a level. A part is None where the level has no such positions."""

    nodes: jax.Array | None  # [M, D]
    own: jax.Array | None  # [N, R, D]

    def map(self, function: Map) -> Stream:
        """The stream with a function applied to every activation of both parts."""
        return Stream(*(x if x is None else function(x) for x in self))


@dataclasses.dataclass(frozen=True)
class Places:
    """Where askers find their inputs at some positions of a level."""

    index: jax.Array  # [n, S], nodes to look up
    spans: tuple[Span, ...]
    """Where the nodes of each shared position lie in the table."""
    own: tuple[int, ...]
    """Which of the own positions of the level are read, by their places in `Stream.own`."""

    @property
    def starts(self) -> np.ndarray:
        """First node of each shared position."""
        return np.array([start for start, _ in self.spans], int)

    def read(self, x: Stream, function: Map = lambda x: x) -> jax.Array:
        """A function of the inputs, shared positions first, `[n, S + R, ...]`."""
        parts = self.parts(self.compute(x, function))
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=1)

    def slots(self, x: Stream, function: Map = lambda x: x) -> list[jax.Array]:
        """What `read` gives, one array `[n, ...]` for each position, without joining them."""
        parts = self.parts(self.compute(x, function))
        return [part[:, at] for part in parts for at in range(part.shape[1])]

    def compute(self, x: Stream, function: Map) -> Stream:
        """A function of all that is read: of the table `[M, ...]`, and of own inputs `[n, R, ...]`.

        It is applied before the lookup, once for each node and not for each row that has the node:
        this is what a layout saves.
        """
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
        """The nodes of a table `[M, ...]` at the shared positions, `[n, S, ...]`."""
        values = lookup(table.reshape(len(table), -1), self.index, self.spans)
        return values.reshape(*self.index.shape, *table.shape[1:])

    def parts(self, y: Stream) -> list[jax.Array]:
        """Inputs that are looked up `[n, S, ...]`, and askers' own `[n, R, ...]`, if any."""
        shared = [] if y.nodes is None else [self.look_up(y.nodes)]
        return shared + ([] if y.own is None else [y.own])


def row_places(level: Level, positions: tuple[int, ...], rows: jax.Array) -> Places:
    """Where rows find their inputs at some positions, shared ones first.

    Args:
      level: of the layout.
      positions: to read.
      rows: numbers of the rows in the dataset `[N]`.
    """
    columns = [level.shared.index(p) for p in positions if p in level.shared]
    own = tuple(level.own.index(p) for p in positions if p in level.own)
    index = jnp.asarray(level.index[:, columns])[rows]
    return Places(index, level.spans(columns), own)


def take(x: jax.Array, places: Sequence[int], axis: int = 0) -> jax.Array:
    """Some entries along an axis, in slices: the gradient of an index array would be a scatter."""
    parts = [jax.lax.slice_in_dim(x, at, at + 1, axis=axis) for at in places]
    return jnp.concatenate(parts, axis=axis)


def lookup(table: jax.Array, index: jax.Array, spans: tuple[Span, ...]) -> jax.Array:
    """Table `[M, F]`, index `[n, S]` → `[n, S, F]`.

    Accelerators get the gradient as products with one-hot matrices: a scatter there adds up
    in another order every time. A processor scatters, which took it a tenth of the time of
    those products (width 128, 3831 rows, two cores).

    Args:
      table: of nodes, `[M, F]`.
      index: nodes to look up, `[n, S]`.
      spans: where the indices of each column lie: the narrower, the smaller its one-hot matrix.
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
    """The gradient `[M, F]` of a table, from the gradients of what was looked up in it.

    Args:
      nodes: number M of nodes.
      slots: gradient `[n, F]` of what each column of the index looked up.
      index: nodes that were looked up `[n, S]`.
      spans: where the indices of each column lie.
    """
    total = jnp.zeros((nodes, slots[0].shape[1]), slots[0].dtype)
    for at, (gradient, span) in enumerate(zip(slots, spans, strict=True)):
        start, count = span
        if count == 1:
            by_node = gradient.sum(axis=0, keepdims=True)
        else:
            one_hot = _one_hot(index[:, at], span, gradient.dtype)
            by_node = jnp.matmul(one_hot.T, gradient, precision="highest")
        total = total.at[start : start + count].add(by_node, unique_indices=True)
    return total


def _one_hot(index: jax.Array, span: Span, dtype: Any) -> jax.Array:
    """One-hot rows `[n, count]` of indices in a span."""
    return jax.nn.one_hot(index - span[0], span[1], dtype=dtype)


def _nodes(table: jax.Array, span: Span) -> jax.Array:
    return table[span[0] : sum(span)]
