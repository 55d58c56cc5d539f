"""Multilayer perceptrons over tokens or features.

A first layer that is linear in tokens is a sum over positions of rows of a table, which is
looked up instead of multiplied with: for embeddings that table is their product with the
layer's weights, a row a token and not a row of the task.

Legend: N rows, T positions, V tokens, D embedding width, F hidden units, C classes.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import MLP
from grokjax.models.initializers import family, token_embedding, token_table
from grokjax.models.layers import ACTIVATIONS, Dropout, Linear
from grokjax.models.layout import Layout
from grokjax.models.looks import shown
from grokjax.models.roles import GATE, Role, multiplier
from grokjax.models.stream import lookup

FEW_POSITIONS = 4
"""Number of positions up to which each is looked up in its own table. The gradient of each table is
then added up by itself, where one table for all makes a copy of its gradient for each position:
0.05 ms instead of 0.16 on a processor, for two positions and 6,737 rows."""


class TokenLayer(nn.Module):
    """Tokens `[N, T]` → `[N, units]`, linear in one-hot tokens."""

    model: MLP
    vocabulary: int
    units: int
    role: Role
    n_classes: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        init, positions = family(self.model), tokens.shape[1]
        fan_in = positions * self.vocabulary
        shape = (positions, self.vocabulary, self.units)
        draw = token_table(self.model, fan_in, self.role, self.n_classes)
        table = self.param("weight", draw, shape)
        y = multiplier(self.model, self.role, fan_in) * _sum_over_positions(table, tokens)
        if self.model.biased(self.role):
            y = y + self.param("bias", init.bias(fan_in), (self.units,))[None]
        return y


class EmbeddedLayer(nn.Module):
    """Embeddings `[V, D]` and tokens `[N, T]` → `[N, F]`, linear in the sum or list of a row's."""

    model: MLP

    @nn.compact
    def __call__(self, embed: jax.Array, tokens: jax.Array) -> jax.Array:
        model, positions = self.model, tokens.shape[1]
        listed = model.token_inputs == "concatenate"
        copies = positions if listed else 1
        fan_in, init = copies * model.width, family(model)
        shape = (copies, model.width, model.mlp_width)
        weight = self.param("weight", init.linear(fan_in, "body"), shape)
        table = jnp.einsum("vd,tdf->tvf", embed, weight)
        if not listed:
            table = jnp.broadcast_to(table, (positions, *table.shape[1:]))
        y = multiplier(model, "body", fan_in) * _sum_over_positions(table, tokens)
        if model.biases:
            y = y + self.param("bias", init.bias(fan_in), (model.mlp_width,))[None]
        return y


class MLPNetwork(nn.Module):
    """Rows `[N]` of a layout's table → logits `[N, C]`; dropout is on hidden units."""

    model: MLP
    vocabulary: int
    n_classes: int

    @nn.compact
    def __call__(self, layout: Layout, rows: jax.Array) -> jax.Array:
        model = self.model
        inputs = jnp.asarray(layout.inputs)[rows]
        if model.layers == 0:
            return self._first(inputs, None, self.n_classes, "unembed")
        embed = None
        if self.vocabulary and model.token_inputs != "one_hot":
            draw = token_embedding(model, self.vocabulary, self.n_classes)
            embed = self.param("embed", draw, (self.vocabulary, model.width))
        hidden = (model.mlp_width,)
        x = inputs
        for depth in range(model.layers):

            def layer(suffix: str, x: jax.Array = x, depth: int = depth) -> jax.Array:
                if depth == 0:
                    return self._first(x, embed, model.mlp_width, "embed", suffix)
                return Linear(model, hidden, hidden, name=f"hidden_{depth}{suffix}")(x)

            y = ACTIVATIONS[model.activation](layer(""))
            y = y * layer(GATE) if model.gated else y
            y = shown(self, f"neurons_{depth}", y)
            y = Dropout(model.dropout, name=f"dropout_{depth}")(y)
            x = x + y if model.skip_connections and depth else y
        x = shown(self, "readout", x)
        if model.tied:
            assert embed is not None  # the configuration says so
            factor = multiplier(model, "unembed", model.width)
            y = x @ embed[: self.n_classes].T
            return y if factor == 1 else factor * y
        return Linear(model, hidden, (self.n_classes,), "unembed", name="unembed")(x)

    def _first(
        self, x: jax.Array, embed: jax.Array | None, units: int, role: Role, suffix: str = ""
    ) -> jax.Array:
        """The first layer: of a row's features, of its tokens, or of their embeddings."""
        name = f"{role}{suffix}"
        if not self.vocabulary:
            return Linear(self.model, x.shape[1:], (units,), role, name=name)(x)
        if embed is not None:
            return EmbeddedLayer(self.model, name=f"hidden_0{suffix}")(embed, x)
        return TokenLayer(self.model, self.vocabulary, units, role, self.n_classes, name=name)(x)


def _sum_over_positions(table: jax.Array, tokens: jax.Array) -> jax.Array:
    """The sum over positions `[N, F]` of rows of a table `[T, V, F]`, chosen by tokens `[N, T]`."""
    positions, vocabulary, units = table.shape
    if positions <= FEW_POSITIONS:
        span = ((0, vocabulary),)
        slots = [lookup(table[t], tokens[:, t : t + 1], span)[:, 0] for t in range(positions)]
        return functools.reduce(jnp.add, slots)
    starts = vocabulary * np.arange(positions)
    spans = tuple((int(start), vocabulary) for start in starts)
    values = lookup(
        table.reshape(-1, units), tokens + jnp.asarray(starts, tokens.dtype)[None], spans
    )
    return values.sum(axis=1)
