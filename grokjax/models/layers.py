"""Linear maps, activations, normalisation and dropout, which every network is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokjax.config import MLP, Transformer
from grokjax.models.initializers import family
from grokjax.models.roles import Role, multiplier

NORM_EPSILON = 1e-5  # PyTorch's default
Numbers = Mapping[str, jax.Array]
"""The traced numbers that a network has: `dropout`, `attention_rate`, `output_scale`."""
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "silu": nn.silu,
    "square": jnp.square,
    "identity": lambda x: x,
}


@jax.custom_vjp
def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Inputs `[N, I]`, weight `[I, O]` → `[N, O]`.

    The weight's gradient sums over rows, for which a processor transposes the left operand:
    the narrower one is put there. Differentiable in reverse, and forward over reverse.
    """
    return x @ weight


def _product_forward(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, tuple]:
    return x @ weight, (x, weight)  # not `product`: forward over reverse goes through here


def _product_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    if x.shape[1] <= gradient.shape[1]:
        of_weight = jnp.einsum("ni,no->io", x, gradient)
    else:
        of_weight = jnp.einsum("no,ni->oi", gradient, x).T
    return gradient @ weight.T, of_weight


product.defvjp(_product_forward, _product_backward)


class Linear(nn.Module):
    """x `[..., *inputs]` → `[..., *outputs]`: one matrix over the trailing axes."""

    model: Transformer | MLP
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    role: Role = "body"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        fan_in = math.prod(self.inputs)
        init = family(self.model)
        weight = self.param("weight", init.linear(fan_in, self.role), self.inputs + self.outputs)
        flat = x.reshape(*x.shape[: x.ndim - len(self.inputs)], fan_in)
        y = product(flat.reshape(-1, fan_in), weight.reshape(fan_in, -1))
        y = y.reshape(*flat.shape[:-1], *self.outputs)
        factor = multiplier(self.model, self.role, fan_in)
        y = y if factor == 1 else factor * y
        if self.model.biases:
            y = y + self.param("bias", init.bias(fan_in), self.outputs)
        return y


class Dropout(nn.Module):
    """Sets a share of activations to zero and scales the others up, where there is a key to draw.

    Every row draws for itself, so it takes a layout in which rows share nothing.
    """

    @nn.compact
    def __call__(self, x: jax.Array, numbers: Numbers) -> jax.Array:
        if not self.has_rng("dropout"):
            return x
        kept = 1 - numbers["dropout"].astype(x.dtype)
        draws = jax.random.uniform(self.make_rng("dropout"), x.shape, x.dtype)
        return jnp.where(draws < kept, x / kept, 0)


def normalise(model: Transformer, name: str) -> Callable[[jax.Array], jax.Array]:
    """The model's kind of normalisation, with parameters under `name`."""
    if model.norm == "rms":
        return nn.RMSNorm(epsilon=NORM_EPSILON, name=name)
    return nn.LayerNorm(epsilon=NORM_EPSILON, use_bias=model.biases, name=name)
