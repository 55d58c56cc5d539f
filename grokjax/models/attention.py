"""Attention from one level of a layout to the next.

Legend: N rows, n askers (rows, or nodes of the next level), T positions seen,
Q positions asked, M nodes, D residual width, H heads, E head width.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Transformer
from grokjax.models.layers import Linear
from grokjax.models.layout import Level
from grokjax.models.stream import Places, Stream, row_places


class Askers(NamedTuple):
    """Who computes something at the next level, and what of this level it sees."""

    asked: Places
    seen: Places
    visible: np.ndarray  # [n or 1, Q, T]

    @property
    def ask_the_same(self) -> bool:
        """Whether all ask the same at each position, and see nothing but nodes."""
        one_node = all(count == 1 for _, count in self.asked.spans)
        return one_node and not self.asked.own and not self.seen.own


def rows_between(here: Level, there: Level, rows: jax.Array, causal: bool) -> Askers:
    """The rows, at the positions that they compute for themselves."""
    slots = here.shared + here.own
    visible = (np.array(slots) <= np.array(there.own)[None, :, None]) | (not causal)
    return Askers(row_places(here, there.own, rows), row_places(here, slots, rows), visible)


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
    )


class Attention(nn.Module):
    """What attention adds at the askers' positions, `[n, Q, D]`.

    A task's rows are short, so sums over positions are written out: compilers make better
    loops of them than of products of matrices with two or three rows.
    """

    model: Transformer

    @nn.compact
    def __call__(self, x: Stream, askers: Askers) -> jax.Array:
        model = self.model
        heads = (model.heads, model.head_width or model.width // model.heads)
        query = Linear(model, (model.width,), heads, name="query")
        key = Linear(model, (model.width,), heads, name="key")
        value = Linear(model, (model.width,), heads, name="value")
        if askers.ask_the_same and x.nodes is not None:
            # One query at each position: its scores of all nodes make a table, looked up by row.
            asked = query(x.nodes[askers.asked.starts])  # [Q, H, E]
            table = Stream(_products(asked, key(x.nodes)[:, None]), None)  # [M, Q, H]
            found = askers.seen.read(table)  # [n, T, Q, H]
            scores = [found[:, t] for t in range(found.shape[1])]
        else:
            asked = askers.asked.read(x, query)  # [n, Q, H, E]
            keys = askers.seen.read(x, key)  # [n, T, H, E]
            scores = [_products(asked, keys[:, t, None]) for t in range(keys.shape[1])]
        weights = _softmax(scores, askers.visible)
        values = askers.seen.read(x, value)
        mixed = functools.reduce(
            jnp.add, [w[..., None] * values[:, t, None] for t, w in enumerate(weights)]
        )  # [n, Q, H, E]
        return Linear(model, heads, (model.width,), name="output")(mixed)


def _products(query: jax.Array, key: jax.Array) -> jax.Array:
    """Scaled dot products over the last axis."""
    return jnp.sum(query * key, axis=-1) / math.sqrt(query.shape[-1])


def _softmax(scores: Sequence[jax.Array], visible: np.ndarray) -> list[jax.Array]:
    """Weights of what is visible, each `[n, Q, H]`, one for each position seen."""
    seen = [
        score if visible[..., t].all() else jnp.where(visible[..., t, None], score, -jnp.inf)
        for t, score in enumerate(scores)
    ]
    largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, seen))
    powers = [jnp.exp(score - largest) for score in seen]
    total = functools.reduce(jnp.add, powers)
    return [power / total for power in powers]
