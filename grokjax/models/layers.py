"""Linear maps and normalisation, which every block is made of."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokjax.config import Transformer
from grokjax.models.initializers import family

NORM_EPSILON = 1e-5  # PyTorch's default


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
        flat = x.reshape(*x.shape[: x.ndim - len(self.inputs)], fan_in)
        y = product(flat.reshape(-1, fan_in), weight.reshape(fan_in, -1))
        y = y.reshape(*flat.shape[:-1], *self.outputs)
        if self.model.biases:
            y = y + self.param("bias", init.bias(fan_in), self.outputs)
        return y


def normalise(model: Transformer, name: str) -> Callable[[jax.Array], jax.Array]:
    """The model's kind of normalisation, with parameters under `name`."""
    if model.norm == "rms":
        return nn.RMSNorm(epsilon=NORM_EPSILON, name=name)
    return nn.LayerNorm(epsilon=NORM_EPSILON, use_bias=model.biases, name=name)
