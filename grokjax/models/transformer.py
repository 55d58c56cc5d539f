"""The transformer, its options as fields of one module.

It computes what a layout lists: each distinct activation once, where that pays.

Legend: N rows, Q positions read, M nodes, C classes, D residual width, F hidden units.
"""

from __future__ import annotations

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Transformer
from grokjax.models.attention import Askers, Attention, nodes_between, rows_between
from grokjax.models.initializers import family
from grokjax.models.layers import Linear, normalise
from grokjax.models.layout import Layout, Level
from grokjax.models.stream import Map, Stream, lookup, row_places

ACTIVATIONS: dict[str, Map] = {
    "relu": nn.relu,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "silu": nn.silu,
    "square": jnp.square,
}


class MLP(nn.Module):
    """One hidden layer, position by position: x `[..., D]` → `[..., D]`."""

    model: Transformer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width, hidden = (self.model.width,), (self.model.mlp_width,)
        x = Linear(self.model, width, hidden, name="in")(x)
        return Linear(self.model, hidden, width, name="out")(ACTIVATIONS[self.model.activation](x))


class Network(nn.Module):
    """Rows `[N]` of a layout's table → logits `[N, C]`."""

    model: Transformer
    vocabulary: int
    n_classes: int

    @nn.compact
    def __call__(self, layout: Layout, rows: jax.Array) -> jax.Array:
        model = self.model
        init = family(model)
        embed = self.param("embed", init.embedding, (self.vocabulary, model.width))
        shape = (layout.tokens.shape[1], model.width)
        places = self.param("position", init.embedding, shape)
        x = _embedded(embed, places, layout, rows)
        for depth, (here, there) in enumerate(itertools.pairwise(layout.levels)):
            x = self.block(depth, x, here, there, rows)
        last = layout.levels[-1]
        y = row_places(last, last.shared + last.own, rows).read(x)
        if model.final_norm:
            y = normalise(model, "final_norm")(y)
        y = y.mean(axis=1)  # over the one position of readout "last", or over all
        if model.tied:
            return y @ embed[: self.n_classes].T
        return Linear(model, (model.width,), (self.n_classes,), name="unembed")(y)

    def block(self, depth: int, x: Stream, here: Level, there: Level, rows: jax.Array) -> Stream:
        """Attention and MLP of a layer: the stream at its level → at the next."""
        model, names = self.model, (f"attention_{depth}", f"mlp_{depth}")
        attention, mlp = Attention(model, name=names[0]), MLP(model, name=names[1])
        before = after = [lambda x: x] * 2
        if model.norm == "post":
            after = [normalise(model, f"norm_{name}") for name in names]
        elif model.norm != "none":
            before = [normalise(model, f"norm_{name}") for name in names]
        seen = x.map(before[0])

        def advance(askers: Askers) -> jax.Array:
            y = after[0](askers.asked.read(x) + attention(seen, askers))
            return after[1](y + mlp(before[1](y)))

        nodes = advance(nodes_between(here, there, model.causal))[:, 0] if there.shared else None
        own = advance(rows_between(here, there, rows, model.causal)) if there.own else None
        return Stream(nodes, own)


def _embedded(embed: jax.Array, places: jax.Array, layout: Layout, rows: jax.Array) -> Stream:
    """The stream at the first level."""
    level, tokens = layout.levels[0], layout.tokens
    vocabulary = (0, len(embed))
    nodes = own = None
    if level.shared:
        token = jnp.asarray(tokens[level.example, level.position][:, None])
        nodes = lookup(embed, token, (vocabulary,))[:, 0] + places[level.position]
    if level.own:
        token = jnp.asarray(tokens[:, level.own])[rows]
        own = lookup(embed, token, (vocabulary,) * len(level.own)) + places[np.array(level.own)]
    return Stream(nodes, own)


def init(network: Network, key: jax.Array, layout: Layout, scale: jax.Array) -> dict:
    """Parameters of a fresh network, in the dtype of `scale`.

    Drawn in float32 whatever the dtype, so that a run in float64 starts from the
    same network. `scale` multiplies everything but the gains of norms.
    """
    params = network.init(key, layout, jnp.zeros(1, jnp.int32))["params"]

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        is_gain = path[-1].key == "scale"
        return leaf.astype(scale.dtype) * (1 if is_gain else scale)

    return jax.tree_util.tree_map_with_path(scaled, params)


def apply(network: Network, params: dict, layout: Layout, rows: jax.Array) -> jax.Array:
    """Logits `[N, C]` for rows `[N]` of the layout's table."""
    logits = network.apply({"params": params}, layout, rows)
    assert isinstance(logits, jax.Array)  # apply also returns mutated collections if asked
    return logits
