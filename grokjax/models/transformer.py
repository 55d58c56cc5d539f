"""The transformer, its options as fields of one module.

It computes the activations that a layout lists: each distinct one once, where that pays.

Legend: N rows, A answers, C classes, D residual width.
"""

from __future__ import annotations

import functools
import itertools
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Transformer
from grokjax.models import kernels
from grokjax.models.attention import Askers, Attention, nodes_between, rows_between
from grokjax.models.initializers import family, token_embedding
from grokjax.models.layers import ACTIVATIONS, Affine, Linear, Norm
from grokjax.models.layout import Layout, Level
from grokjax.models.looks import looked_at, shown
from grokjax.models.places import Norms, dropout, norms_of, norms_of_heads
from grokjax.models.roles import GATE
from grokjax.models.stream import Map, Stream, lookup, row_places, take


class MLPBlock(nn.Module):
    """One hidden layer beside the residual stream: `x + mlp(norm(x))`, x `[..., D]`.

    Where a GPU has a kernel for it the hidden layer stays out of its memory.
    """

    model: Transformer

    @nn.compact
    def __call__(self, x: jax.Array, norms: Norms, drop: Map) -> jax.Array:
        model, norm = self.model, norms.before
        width, hidden = (model.width,), (model.mlp_width,)
        into = Linear(model, width, hidden, name="in").affine()
        gate = Linear(model, width, hidden, name=f"in{GATE}").affine() if model.gated else None
        out = Linear(model, hidden, width, adds=True, name="out").affine()
        activation = ACTIVATIONS[model.activation]
        arrays = (x, None if norm is None else norm.parameters(), into, out)

        def by_layers(x: jax.Array, gain_and_shift: Any, into: Affine, out: Affine) -> jax.Array:
            y = x if norm is None else norm.function(x, *gain_and_shift)
            hidden = activation(into(y))
            hidden = hidden if gate is None else hidden * gate(y)
            added = out(dropout(model, "hidden")(shown(self, "neurons", hidden)))
            added = added if norms.inside is None else norms.inside(added)
            return x + shown(self, "added", drop(added))

        # A kernel keeps the hidden layer to itself, so those who want to see it go without.
        if looked_at(self) or not kernels.takes(x, into, model):
            return by_layers(*arrays)
        inside = kernels.Hidden(activation, None if norm is None else norm.function)
        by_kernels = partial(kernels.mlp_block, inside)
        return jax.lax.platform_dependent(*arrays, cuda=by_kernels, default=by_layers)


class TransformerNetwork(nn.Module):
    """Rows `[N]` of a layout's table → logits `[N, C]`, or `[N, A, C]` at its answers."""

    model: Transformer
    vocabulary: int
    n_classes: int
    answers: tuple[int, ...] | None = None

    @nn.compact
    def __call__(self, layout: Layout, rows: jax.Array) -> jax.Array:
        model = self.model
        init = family(model)
        draw = token_embedding(model, self.vocabulary, self.n_classes)
        embed = self.param("embed", draw, (self.vocabulary, model.width))
        places = None
        if model.positions == "learned":
            shape = (layout.inputs.shape[1], model.width)
            places = self.param("position", init.embedding, shape)
        elif model.positions == "sinusoidal":
            places = jnp.asarray(sinusoids(layout.inputs.shape[1], model.width), embed.dtype)
        drop = dropout(model, "embeddings", "dropout")
        tokens = embed if model.embed_scale is None else model.embed_scale * embed
        x = _embed(tokens, places, layout, rows).map(drop)
        if x.own is not None and looked_at(self):
            x = x._replace(own=shown(self, "embedded", x.own))
        for depth, (here, there) in enumerate(itertools.pairwise(layout.levels)):
            x = self.block(depth, x, here, there, rows)
        last = layout.levels[-1]
        read = last.shared + last.own
        y = row_places(last, read, rows).read(x)
        if model.final_norm:
            y = Norm(model, model.width, name="final_norm")(y)
        # The mean is over the one position of readout "last", or over all.
        y = y.mean(axis=1) if self.answers is None else take(y, np.argsort(read).tolist(), axis=1)
        y = shown(self, "readout", y)
        if model.tied:
            return y @ embed[: self.n_classes].T / model.width_ratio
        last_map = Linear(model, (model.width,), (self.n_classes,), "unembed", name="unembed")
        return last_map(y)

    def block(self, depth: int, x: Stream, here: Level, there: Level, rows: jax.Array) -> Stream:
        """Attention and MLP of a layer: the stream at its level → at the next.

        Args:
          depth: number of the layer, from 0.
          x: the stream at the layer's level.
          here: that level.
          there: the next level.
          rows: numbers of the rows in the dataset `[N]`.
        """
        model, names = self.model, (f"attention_{depth}", f"mlp_{depth}")
        attention, mlp = Attention(model, name=names[0]), MLPBlock(model, name=names[1])
        drops = [
            dropout(model, place, f"dropout_{name}")
            for place, name in zip(("attention", "mlp"), names, strict=True)
        ]
        of_attention, of_mlp = (norms_of(model, name) for name in names)
        heads = norms_of_heads(model, depth)
        before = of_attention.before
        inputs = x if before is None else x.map(before)
        stream = inputs if model.norm == "stream" else x

        def advance(askers: Askers) -> jax.Array:
            y = askers.asked.read(stream)
            y = y + drops[0](attention(inputs, askers, heads, of_attention.inside))
            y = y if of_attention.after is None else of_attention.after(y)
            y = mlp(y, of_mlp, drops[1])
            return y if of_mlp.after is None else of_mlp.after(y)

        nodes = advance(nodes_between(here, there, model.causal))[:, 0] if there.shared else None
        own = advance(rows_between(here, there, rows, model.causal)) if there.own else None
        return Stream(nodes, own)


@functools.cache
def sinusoids(positions: int, width: int) -> np.ndarray:
    """Positions as sines and cosines `[T, D]` of t / 10,000^(2i / D), in columns 2i and 2i + 1."""
    column = np.arange(width)
    angles = np.arange(positions)[:, None] / 10_000.0 ** ((column - column % 2) / width)
    return np.where(column % 2 == 0, np.sin(angles), np.cos(angles))


def _embed(embed: jax.Array, places: jax.Array | None, layout: Layout, rows: jax.Array) -> Stream:
    """The stream at the first level: embeddings of tokens, and of positions if there are some."""
    level, tokens = layout.levels[0], layout.inputs
    vocabulary = (0, len(embed))
    nodes = own = None
    if level.shared:
        token = jnp.asarray(tokens[level.example, level.position][:, None])
        nodes = lookup(embed, token, (vocabulary,))[:, 0]
        if places is not None:
            # Written out: the gradient of an index that repeats is a scatter without an order.
            each = zip(level.shared, level.counts, strict=True)
            at = [jnp.broadcast_to(places[p], (count, places.shape[1])) for p, count in each]
            nodes = nodes + jnp.concatenate(at)
    if level.own:
        token = jnp.asarray(tokens[:, level.own])[rows]
        own = lookup(embed, token, (vocabulary,) * len(level.own))
        own = own if places is None else own + take(places, level.own)[None]
    return Stream(nodes, own)
