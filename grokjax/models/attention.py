"""Attention from one level of a layout to the next.

Askers are what the next level computes: rows, at the positions that they compute themselves, or
nodes. Each asks at some positions (its queries) and sees some (keys and values).

Legend: N rows, n askers, Q positions asked, T positions seen, M nodes, D residual width, H heads,
E head width.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Transformer
from grokjax.models import attention_kernel
from grokjax.models.attention_kernel import Read
from grokjax.models.layers import Affine, Linear, Norm
from grokjax.models.layout import Level
from grokjax.models.looks import looked_at, shown
from grokjax.models.places import HeadNorms, dropout
from grokjax.models.roles import score_scale
from grokjax.models.stream import Map, Places, Stream, last_axis, row_places, take

ROTARY_BASE = 10_000.0
"""Base of rotary positions where a model says none (Su et al. 2021)."""


class Askers(NamedTuple):
    """What the next level computes, and where it finds its inputs at this level."""

    asked: Places
    """Where the inputs of queries are."""
    seen: Places
    """Where the inputs of keys and values are."""
    visible: np.ndarray  # [n or 1, Q, T], whether an asked position may see another
    asked_positions: np.ndarray  # [n or 1, Q]
    seen_positions: np.ndarray  # [T]
    node_positions: np.ndarray  # [M], of every node of this level

    @property
    def ask_the_same(self) -> bool:
        """Whether all askers have the same query at each position, and see nothing but nodes."""
        one_node = all(count == 1 for _, count in self.asked.spans)
        return one_node and not self.asked.own and not self.seen.own


def rows_between(here: Level, there: Level, rows: jax.Array, causal: bool) -> Askers:
    """The rows as askers, at the positions that they compute themselves.

    Args:
      here: level of the inputs.
      there: level of the outputs.
      rows: numbers of the rows in the dataset `[N]`.
      causal: whether attention sees no later positions.
    """
    slots = here.shared + here.own
    asked = np.array(there.own)[None]
    visible = (np.array(slots) <= asked[..., None]) | (not causal)
    places = row_places(here, there.own, rows), row_places(here, slots, rows)
    return Askers(*places, visible, asked, np.array(slots), here.position)


def nodes_between(here: Level, there: Level, causal: bool) -> Askers:
    """The nodes of the next level as askers.

    A node sees shared positions only: rows that agree in all the tokens it depends on agree in the
    fewer tokens that its inputs depend on, so these have no more nodes.

    Args:
      here: level of the inputs.
      there: level of the outputs.
      causal: whether attention sees no later positions.
    """
    index = here.index[there.example]
    column = np.searchsorted(here.shared, there.position)
    asked = index[np.arange(len(index)), column][:, None]
    visible = (np.array(here.shared) <= there.position[:, None, None]) | (not causal)
    return Askers(
        Places(jnp.asarray(asked), ((0, len(here.position)),), ()),
        Places(jnp.asarray(index), here.spans(range(len(here.shared))), ()),
        visible,
        there.position[:, None],
        np.array(here.shared),
        here.position,
    )


class Attention(nn.Module):
    """The output of attention at the askers' positions, `[n, Q, D]`.

    A task's rows are short, so sums over positions are written out: compilers make better
    loops of them than of products of matrices with two or three rows.
    """

    model: Transformer

    @nn.compact
    def __call__(
        self, x: Stream, askers: Askers, norms: HeadNorms, inside: Norm | None
    ) -> jax.Array:
        """The output `[n, Q, D]`.

        Args:
          x: the stream that is read.
          askers: what is computed.
          norms: of the inputs of some of the linear maps, and of their outputs.
          inside: of the output; None: there is none.
        """
        model = self.model
        if model.attention == "uniform":
            values = [value[:, 0] for value in askers.seen.slots(x, self._heads(norms, "value"))]
            mixed = self._mix(askers, None, values)
        elif askers.ask_the_same and x.nodes is not None:
            nodes = self._scores_of_nodes(x.nodes, askers, norms)
            scores = askers.seen.slots(Stream(nodes, None))
            values = [value[:, 0] for value in askers.seen.slots(x, self._heads(norms, "value"))]
            mixed = self._mix(askers, scores, values)
        else:
            mixed = self._attend(self._read(x, askers, norms), askers)
        mixed = shown(self, "heads", mixed)
        heads = (model.heads, model.size)
        output = Linear(model, heads, (model.width,), of="attention", adds=True, name="output")
        added = output(mixed) if inside is None else inside(output(mixed))
        return shown(self, "added", added)

    def _scores_of_nodes(self, nodes: jax.Array, askers: Askers, norms: HeadNorms) -> jax.Array:
        """Scores of all nodes `[M, Q, H]` for the query that all askers share at a position."""
        starts = askers.asked.starts
        queries = self._heads(norms, "query")(take(nodes, starts.tolist()))[:, 0]
        queries = self._rotate(queries, askers.node_positions[starts])  # [Q, H, E]
        keys = self._rotate(self._heads(norms, "key")(nodes)[:, 0], askers.node_positions)
        return score_scale(self.model) * _products(queries[None], keys[:, None])

    def _read(self, x: Stream, askers: Askers, norms: HeadNorms) -> Read:
        """Queries, keys and values, by one product where they are of the same positions."""
        asked, seen = askers.asked, askers.seen
        if (asked.spans, asked.own) == (seen.spans, seen.own):
            queries, read = None, seen.compute(x, self._heads(norms, "query", "key", "value"))
        else:
            queries = asked.read(x, self._heads(norms, "query"))
            read = seen.compute(x, self._heads(norms, "key", "value"))
        return Read(queries, read.nodes, None if read.nodes is None else seen.index, read.own)

    def _attend(self, read: Read, askers: Askers) -> jax.Array:
        """The mean of the values seen `[n, Q, H, E]`, weighted by the scores of each asker."""
        model = self.model

        def written_out(read: Read) -> jax.Array:
            seen = dataclasses.replace(askers.seen, index=read.index)

            def part(at: int) -> list[jax.Array]:
                """Keys or values, or queries at the same positions, `[n, …, H, E]` in pieces."""
                table = None if read.table is None else read.table[:, at]
                return seen.parts(Stream(table, None if read.own is None else read.own[:, :, at]))

            if read.queries is None:
                queries = jnp.concatenate(part(0), axis=1)
            else:
                queries = read.queries[:, :, 0]
            queries = self._rotate(queries, askers.asked_positions)
            keys, values = (
                [piece[:, t] for piece in part(at) for t in range(piece.shape[1])]
                for at in (-2, -1)
            )
            scores = []
            for position, key in zip(askers.seen_positions, keys, strict=True):
                turned = self._rotate(key[:, None], np.array([position]))  # [n, 1, H, E]
                scores.append(score_scale(model) * _products(queries, turned))
            return self._mix(askers, scores, values)

        if looked_at(self) or not attention_kernel.takes(askers.visible, read, model):
            return written_out(read)
        visible = tuple(tuple(row) for row in askers.visible[0].tolist())
        shape = attention_kernel.Shape(visible, score_scale(model), askers.seen.spans)
        by_kernel = partial(attention_kernel.attend, shape)
        return jax.lax.platform_dependent(read, cuda=by_kernel, default=written_out)

    def _mix(
        self,
        askers: Askers,
        scores: list[jax.Array] | None,
        values: list[jax.Array],
    ) -> jax.Array:
        """The weighted mean of values, `[n, Q, H, E]`.

        Args:
          askers: they say which positions are visible.
          scores: of each position seen, `[n, Q, H]`; None: all visible positions count alike.
          values: of each position seen, `[n, H, E]`.
        """
        model = self.model
        uniform = [v / askers.visible.sum(axis=-1)[..., None] for v in _slots(askers.visible)]
        if scores is None:
            weights = [jnp.asarray(share, values[0].dtype) for share in uniform]
        else:
            weights = _softmax(scores, askers.visible)
        if model.attention_rate is not None:
            rate = model.attention_rate
            weights = [
                rate * w + (1 - rate) * jnp.asarray(u, w.dtype)
                for w, u in zip(weights, uniform, strict=True)
            ]
        if model.dropout is not None and "weights" in model.dropout_places:
            drop = dropout(model, "weights", "dropout")
            each = (len(values[0]), weights[0].shape[1], model.heads)  # draws for itself
            weights = [drop(jnp.broadcast_to(w, each)) for w in weights]
        if looked_at(self):
            n = values[0].shape[:1] + weights[0].shape[1:]  # those of uniform attention are shared
            whole = [jnp.broadcast_to(w, n) if w.ndim == 3 else w for w in weights]
            shown(self, "pattern", jnp.stack(whole, axis=-1))
        parts = [w[..., None] * v[:, None] for w, v in zip(weights, values, strict=True)]
        return functools.reduce(jnp.add, parts)  # [n, Q, H, E]

    def _rotate(self, x: jax.Array, positions: np.ndarray) -> jax.Array:
        """Queries or keys as they are compared: rotated by their positions if those are rotary."""
        if self.model.positions != "rotary":
            return x
        return _rotated(x, positions, self.model.rotary_base)

    def _heads(self, norms: HeadNorms, *names: str) -> Map:
        """The linear maps of these names as one, `[..., D]` → `[..., number of names, H, E]`."""
        model = self.model
        heads = (model.heads, model.size)
        maps = {
            name: Linear(model, (model.width,), heads, of="attention", name=name).affine()
            for name in names
        }
        # One product for all that have the same inputs.
        groups = [
            (normed, Affine.join([maps[name] for name in group]))
            for normed, group in itertools.groupby(names, lambda name: name in norms.of_inputs)
        ]

        def project(x: jax.Array) -> jax.Array:
            parts = [
                together(norms.inputs(x) if normed and norms.inputs is not None else x)
                for normed, together in groups
            ]
            flat = parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=-1)
            y = flat.reshape(*x.shape[:-1], len(names), *heads)
            if not norms.outputs.keys() & set(names):
                return y
            each = [y[..., at, :, :] for at in range(len(names))]
            normal = [norms.outputs.get(name, lambda z: z) for name in names]
            return jnp.stack([norm(z) for norm, z in zip(normal, each, strict=True)], axis=-3)

        return project


def _slots(visible: np.ndarray) -> list[np.ndarray]:
    """Which askers see each position, each `[n or 1, Q, 1]`."""
    return [visible[..., t, None] for t in range(visible.shape[-1])]


def _products(query: jax.Array, key: jax.Array) -> jax.Array:
    """Dot products over the last axis."""
    return jnp.sum(query * key, axis=-1)


def _rotated(x: jax.Array, positions: np.ndarray, base: jax.Array | float | None) -> jax.Array:
    """X `[..., T, H, E]` at positions `[..., T]`, rotated by position · base^(−2i/E).

    Entry i of a head's first half and entry i of its second half are a pair. Without a base, which
    is then 10,000, the rotations are constants.
    """
    half = x.shape[-1] // 2
    rank = [1] * (x.ndim - positions.ndim - 2)
    shape = (*rank, *positions.shape, 1, half)
    places, powers = positions[..., None], -np.arange(half) / half
    if base is None:
        angles = places * ROTARY_BASE**powers
        cos, sin = (jnp.asarray(f(angles).reshape(shape), x.dtype) for f in (np.cos, np.sin))
    else:
        speeds = jnp.asarray(base, x.dtype) ** jnp.asarray(powers, x.dtype)
        turns = jnp.asarray(places, x.dtype).reshape(*shape[:-1], 1) * last_axis(speeds, x)
        cos, sin = jnp.cos(turns), jnp.sin(turns)
    one, other = x[..., :half], x[..., half:]
    return jnp.concatenate([one * cos - other * sin, one * sin + other * cos], axis=-1)


def _softmax(scores: Sequence[jax.Array], visible: np.ndarray) -> list[jax.Array]:
    """Softmax weights `[n, Q, H]`, an array for each position seen; 0 where it is invisible."""
    masked = [
        score if sees.all() else jnp.where(sees, score, -jnp.inf)
        for score, sees in zip(scores, _slots(visible), strict=True)
    ]
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, masked))
    powers = [jnp.exp(score - largest) for score in masked]
    total = functools.reduce(jnp.add, powers)
    return [power / total for power in powers]
