"""Attention from one level of a layout to the next.

Legend: N rows, n askers (rows, or nodes of the next level), T positions seen,
Q positions asked, M nodes, D residual width, H heads, E head width.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Transformer
from grokjax.models.layers import Linear, Numbers
from grokjax.models.layout import Level
from grokjax.models.roles import score_scale
from grokjax.models.stream import Places, Stream, row_places


class Askers(NamedTuple):
    """Who computes something at the next level, and what of this level it sees."""

    asked: Places
    seen: Places
    visible: np.ndarray  # [n or 1, Q, T]
    asked_positions: np.ndarray  # [n or 1, Q]
    seen_positions: np.ndarray  # [T]
    node_positions: np.ndarray  # [M], of every node of this level

    @property
    def ask_the_same(self) -> bool:
        """Whether all ask the same at each position, and see nothing but nodes."""
        one_node = all(count == 1 for _, count in self.asked.spans)
        return one_node and not self.asked.own and not self.seen.own


def rows_between(here: Level, there: Level, rows: jax.Array, causal: bool) -> Askers:
    """The rows, at the positions that they compute for themselves."""
    slots = here.shared + here.own
    asked = np.array(there.own)[None]
    visible = (np.array(slots) <= asked[..., None]) | (not causal)
    places = row_places(here, there.own, rows), row_places(here, slots, rows)
    return Askers(*places, visible, asked, np.array(slots), here.position)


def nodes_between(here: Level, there: Level, causal: bool) -> Askers:
    """The nodes of the next level; all that they see is shared."""
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
    """What attention adds at the askers' positions, `[n, Q, D]`.

    A task's rows are short, so sums over positions are written out: compilers make better
    loops of them than of products of matrices with two or three rows.
    """

    model: Transformer

    @nn.compact
    def __call__(self, x: Stream, askers: Askers, numbers: Numbers) -> jax.Array:
        model = self.model
        heads = (model.heads, model.size)
        uniform = [v / askers.visible.sum(axis=-1)[..., None] for v in _slots(askers.visible)]
        if model.attention == "uniform":
            weights = [jnp.asarray(share, _dtype(x)) for share in uniform]
        else:
            weights = _softmax(self._scores(x, askers), askers.visible)
        if model.attention_rate is not None:
            rate = numbers["attention_rate"]
            weights = [
                rate * w + (1 - rate) * jnp.asarray(u, w.dtype)
                for w, u in zip(weights, uniform, strict=True)
            ]
        value = Linear(model, (model.width,), heads, name="value")
        values = askers.seen.read(x, value)  # [n, T, H, E]
        mixed = functools.reduce(
            jnp.add, [w[..., None] * values[:, t, None] for t, w in enumerate(weights)]
        )  # [n, Q, H, E]
        return Linear(model, heads, (model.width,), name="output")(mixed)

    def _scores(self, x: Stream, askers: Askers) -> list[jax.Array]:
        """Of every position seen, each `[n, Q, H]`."""
        model = self.model
        heads = (model.heads, model.size)
        query = Linear(model, (model.width,), heads, name="query")
        key = Linear(model, (model.width,), heads, name="key")
        turn = _rotated if model.positions == "rotary" else lambda x, positions: x
        scale = score_scale(model)
        if askers.ask_the_same and x.nodes is not None:
            # One query at each position: its scores of all nodes make a table, looked up by row.
            asks = askers.node_positions[askers.asked.starts]
            asked = turn(query(x.nodes[askers.asked.starts]), asks)  # [Q, H, E]
            keys = turn(key(x.nodes), askers.node_positions)
            table = Stream(scale * _products(asked, keys[:, None]), None)  # [M, Q, H]
            found = askers.seen.read(table)  # [n, T, Q, H]
            return [found[:, t] for t in range(found.shape[1])]
        asked = turn(askers.asked.read(x, query), askers.asked_positions)  # [n, Q, H, E]
        keys = turn(askers.seen.read(x, key), askers.seen_positions)  # [n, T, H, E]
        return [scale * _products(asked, keys[:, t, None]) for t in range(keys.shape[1])]


def _dtype(x: Stream) -> jnp.dtype:
    return next(part.dtype for part in x if part is not None)


def _slots(visible: np.ndarray) -> list[np.ndarray]:
    """Which askers see each position, each `[n or 1, Q, 1]`."""
    return [visible[..., t, None] for t in range(visible.shape[-1])]


def _products(query: jax.Array, key: jax.Array) -> jax.Array:
    """Dot products over the last axis."""
    return jnp.sum(query * key, axis=-1)


def _rotated(x: jax.Array, positions: np.ndarray) -> jax.Array:
    """X `[..., P, H, E]` at positions `[..., P]`, turned by position · 10000^(−2i/E).

    The two halves of a head make the pairs.
    """
    half = x.shape[-1] // 2
    angles = positions[..., None] * 10_000.0 ** (-np.arange(half) / half)
    cos, sin = (jnp.asarray(f(angles)[..., None, :], x.dtype) for f in (np.cos, np.sin))
    one, other = x[..., :half], x[..., half:]
    return jnp.concatenate([one * cos - other * sin, one * sin + other * cos], axis=-1)


def _softmax(scores: Sequence[jax.Array], visible: np.ndarray) -> list[jax.Array]:
    """Weights of what is visible, each `[n, Q, H]`, one for each position seen."""
    seen = [
        score if sees.all() else jnp.where(sees, score, -jnp.inf)
        for score, sees in zip(scores, _slots(visible), strict=True)
    ]
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, seen))
    powers = [jnp.exp(score - largest) for score in seen]
    total = functools.reduce(jnp.add, powers)
    return [power / total for power in powers]
