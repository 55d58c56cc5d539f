"""The transformer, its options as fields of one module.

Legend: N rows, T positions, Q positions that ask, V vocabulary, C classes,
D residual width, H heads, E head width, F hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokjax.config import Transformer
from grokjax.models.initializers import family

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "silu": nn.silu,
    "square": jnp.square,
}
NORM_EPSILON = 1e-5  # PyTorch's default


class Linear(nn.Module):
    """x `[..., *inputs]` → `[..., *outputs]`: one matrix over the trailing axes."""

    model: Transformer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        fan_in = 1
        for size in self.inputs:
            fan_in *= size
        init = family(self.model)
        weight = self.param("weight", init.linear(fan_in), self.inputs + self.outputs)
        y = jnp.tensordot(x, weight, axes=len(self.inputs))
        if self.model.biases:
            y = y + self.param("bias", init.bias(fan_in), self.outputs)
        return y


def normalise(model: Transformer, name: str) -> Callable[[jax.Array], jax.Array]:
    """The model's kind of normalisation, with parameters under `name`."""
    if model.norm == "rms":
        return nn.RMSNorm(epsilon=NORM_EPSILON, name=name)
    return nn.LayerNorm(epsilon=NORM_EPSILON, use_bias=model.biases, name=name)


class Attention(nn.Module):
    """Attention of the last Q positions over all T: x `[N, T, D]` → `[N, Q, D]`."""

    model: Transformer
    queries: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        model = self.model
        heads = (model.heads, model.head_width or model.width // model.heads)

        def project(name: str, x: jax.Array) -> jax.Array:
            return Linear(model, (model.width,), heads, name=name)(x)

        positions = x.shape[1]
        query = project("query", x[:, positions - self.queries :])  # [N, Q, H, E]
        key, value = project("key", x), project("value", x)  # [N, T, H, E]
        scores = jnp.einsum("nqhe,nthe->nhqt", query, key) / math.sqrt(heads[1])
        if model.causal:
            asks = jnp.arange(positions - self.queries, positions)[:, None]
            visible = jnp.arange(positions) <= asks  # [Q, T]
            scores = jnp.where(visible, scores, -jnp.inf)
        mixed = jnp.einsum("nhqt,nthe->nqhe", nn.softmax(scores), value)
        return Linear(model, heads, (model.width,), name="output")(mixed)


class MLP(nn.Module):
    """One hidden layer, position by position: x `[N, Q, D]` → `[N, Q, D]`."""

    model: Transformer

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width, hidden = (self.model.width,), (self.model.mlp_width,)
        x = Linear(self.model, width, hidden, name="in")(x)
        return Linear(self.model, hidden, width, name="out")(ACTIVATIONS[self.model.activation](x))


class Network(nn.Module):
    """tokens `[N, T]` → logits `[N, C]`."""

    model: Transformer
    vocabulary: int
    n_classes: int

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        model, positions = self.model, tokens.shape[1]
        init = family(model)
        embed = self.param("embed", init.embedding, (self.vocabulary, model.width))
        x = embed[tokens] + self.param("position", init.embedding, (positions, model.width))
        for layer in range(model.layers):
            # Nothing looks at the other positions after the last attention.
            last = layer == model.layers - 1 and model.readout == "last"
            queries = 1 if last else positions
            x = self.block(x, Attention(model, queries, name=f"attention_{layer}"))
            x = self.block(x, MLP(model, name=f"mlp_{layer}"))
        if model.final_norm:
            x = normalise(model, "final_norm")(x)
        x = x.mean(axis=1)  # over the one position of readout "last", or over all
        if model.tied:
            return x @ embed[: self.n_classes].T
        return Linear(model, (model.width,), (self.n_classes,), name="unembed")(x)

    def block(self, x: jax.Array, inner: Attention | MLP) -> jax.Array:
        """The residual stream after one block, at the positions that the block answers for."""
        before = after = lambda x: x
        if self.model.norm == "post":
            after = normalise(self.model, f"norm_{inner.name}")
        elif self.model.norm != "none":
            before = normalise(self.model, f"norm_{inner.name}")
        y = inner(before(x))
        return after(x[:, -y.shape[1] :] + y)


def init(network: Network, key: jax.Array, tokens: jax.Array, scale: jax.Array) -> dict:
    """Parameters of a fresh network, in the dtype of `scale`.

    Drawn in float32 whatever the dtype, so that a run in float64 starts from the
    same network. `scale` multiplies everything but the gains of norms.
    """
    params = network.init(key, tokens[:1])["params"]

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        is_gain = path[-1].key == "scale"
        return leaf.astype(scale.dtype) * (1 if is_gain else scale)

    return jax.tree_util.tree_map_with_path(scaled, params)


def apply(network: Network, params: dict, tokens: jax.Array) -> jax.Array:
    """Logits `[N, C]` for tokens `[N, T]`."""
    logits = network.apply({"params": params}, tokens)
    assert isinstance(logits, jax.Array)  # apply also returns mutated collections if asked
    return logits
