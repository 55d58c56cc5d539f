"""Linear maps, activations, normalisation and dropout, which every network is made of."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from grokjax.config import Network, Transformer
from grokjax.models.initializers import Family, family, of_attention
from grokjax.models.roles import Role, multiplier
from grokjax.models.stream import last_axis

FEW_INPUTS = 64
"""Largest number of inputs of a linear map for which, on a processor, its bias is a row of the
weights beside a column of ones. The product is then so cheap that three passes over its outputs to
add the bias cost more: a step of the benchmark's `mlp` took 2.40 ms instead of 2.63 on one core.
With 128 inputs it took 4 % more."""
NORM_EPSILON = 1e-5  # PyTorch's default, and ours
Normalise = Callable[[jax.Array, jax.Array | None, jax.Array | None], jax.Array]
"""Inputs `[..., D]`, gain `[D]` or None, shift `[D]` or None → `[..., D]`."""
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
    "silu": nn.silu,
    "tanh": jnp.tanh,
    "sigmoid": nn.sigmoid,
    "leaky_relu": nn.leaky_relu,
    "square": jnp.square,
    "identity": lambda x: x,
}


@jax.custom_vjp
def product(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Inputs `[N, I]`, weight `[I, O]` → `[N, O]`.

    The weight's gradient sums over rows, for which a processor transposes the left operand, so the
    narrower one is put there. Derivatives may be taken in reverse, and forward over reverse.
    """
    return x @ weight


def _product_forward(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, tuple]:
    return x @ weight, (x, weight)  # not `product`: forward over reverse goes through here


def _product_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = saved
    if x.shape[1] <= gradient.shape[1]:
        weight_gradient = jnp.einsum("ni,no->io", x, gradient)
    else:
        weight_gradient = jnp.einsum("no,ni->oi", gradient, x).T
    return gradient @ weight.T, weight_gradient


product.defvjp(_product_forward, _product_backward)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Affine:
    """An affine map of vectors, x → factor · x W + b, with its parameters."""

    weight: jax.Array  # [I, O]
    bias: jax.Array | None  # [O]
    factor: float = dataclasses.field(metadata={"static": True})
    """Factor on x W, before the bias is added."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """X `[..., I]` → `[..., O]`."""
        flat = x.reshape(-1, len(self.weight))
        if self.bias is None or len(self.weight) > FEW_INPUTS:
            y = _add_bias(flat, self)
        else:
            y = jax.lax.platform_dependent(flat, self, cpu=_by_one_product, default=_add_bias)
        return y.reshape(*x.shape[:-1], -1)

    @classmethod
    def join(cls, maps: Sequence[Affine]) -> Affine:
        """Several maps of the same vectors as one, their outputs one after another."""
        biases = [one.bias for one in maps if one.bias is not None]
        bias = jnp.concatenate(biases) if biases else None
        return cls(jnp.concatenate([one.weight for one in maps], axis=1), bias, maps[0].factor)


def _add_bias(x: jax.Array, map_: Affine) -> jax.Array:
    """The map as a product to which the bias is added."""
    y = product(x, map_.weight)
    y = y if map_.factor == 1 else map_.factor * y
    return y if map_.bias is None else y + last_axis(map_.bias, y)


def _by_one_product(x: jax.Array, map_: Affine) -> jax.Array:
    """The map as one product, the bias being a row of the weights for a column of ones."""
    assert map_.bias is not None  # without one there is nothing to save
    ones = jnp.ones((len(x), 1), x.dtype)
    weight = jnp.concatenate([map_.factor * map_.weight, map_.bias[None]])
    return product(jnp.concatenate([x, ones], axis=1), weight)


class Linear(nn.Module):
    """x `[..., *inputs]` → `[..., *outputs]`: one matrix over the trailing axes."""

    model: Network
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    role: Role = "body"
    of: str = ""
    """Of what it is, where that has biases or not by itself: `attention`; else its role."""
    adds: bool = False
    """Whether its outputs are added to a residual stream."""

    @nn.compact
    def affine(self) -> Affine:
        """The map from all input axes, flattened, to all output axes."""
        fan_in, init, bias = math.prod(self.inputs), self._family(), None
        draw = init.linear(fan_in, self.role)
        if self.adds and init.adding != 1:
            whole = draw
            draw = lambda key, shape: init.adding * whole(key, shape)  # noqa: E731
        weight = self.param("weight", draw, self.inputs + self.outputs)
        if self.model.biased(self.of or self.role):
            bias = self.param("bias", init.bias(fan_in), self.outputs).reshape(-1)
        factor = multiplier(self.model, self.role, fan_in)
        return Affine(weight.reshape(fan_in, -1), bias, factor)

    def _family(self) -> Family:
        if self.of == "attention" and isinstance(self.model, Transformer):
            return of_attention(self.model, self.adds)
        return family(self.model)

    def __call__(self, x: jax.Array) -> jax.Array:
        leading = x.shape[: x.ndim - len(self.inputs)]
        y = self.affine()(x.reshape(*leading, math.prod(self.inputs)))
        return y.reshape(*leading, *self.outputs)


class Dropout(nn.Module):
    """Sets a share of activations to zero and scales the others up (Srivastava et al. 2014).

    It acts only where the module is applied with a key named "dropout", that is while training.
    Every row draws for itself, so the layout must be one in which rows share nothing.
    """

    rate: Any
    """Share of activations to set to zero, a traced number; None: no dropout."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if not self.has_rng("dropout"):
            return x
        share = 1 - jnp.asarray(self.rate, x.dtype)
        draws = jax.random.uniform(self.make_rng("dropout"), x.shape, x.dtype)
        return jnp.where(draws < share, x / share, 0)


def layer_norm(
    x: jax.Array,
    gain: jax.Array | None,
    shift: jax.Array | None,
    epsilon: float = NORM_EPSILON,
) -> jax.Array:
    """LayerNorm over the last axis (Ba et al. 2016)."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = jnp.maximum(0, jnp.square(x).mean(axis=-1, keepdims=True) - jnp.square(mean))
    centred, scale = x - mean, jax.lax.rsqrt(variance + epsilon)
    y = centred * (scale if gain is None else scale * last_axis(gain, x))
    return y if shift is None else y + last_axis(shift, x)


def rms_norm(
    x: jax.Array,
    gain: jax.Array | None,
    shift: jax.Array | None,
    epsilon: float = NORM_EPSILON,
) -> jax.Array:
    """X over its root mean square along the last axis (Zhang & Sennrich 2019); no shift."""
    scale = jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + epsilon)
    return x * scale if gain is None else x * scale * last_axis(gain, x)


@functools.cache
def _normalise(rms: bool, epsilon: float) -> Normalise:
    """One and the same function every time: kernels are compiled for each that they are given."""
    return functools.partial(rms_norm if rms else layer_norm, epsilon=epsilon)


class Norm(nn.Module):
    """The model's kind of normalisation, `[..., D]` → `[..., D]`."""

    model: Transformer
    width: int
    """Number D of entries that are normalised together."""

    @property
    def function(self) -> Normalise:
        """The normalisation as a function of inputs, gain and shift."""
        return _normalise(self.model.rms, self.model.norm_epsilon)

    @nn.compact
    def parameters(self) -> tuple[jax.Array | None, jax.Array | None]:
        """Gain and shift, each `[D]`, or None where it has none."""
        shape, gain, shift = (self.width,), None, None
        if self.model.norm_gains:
            gain = self.param("scale", nn.initializers.ones, shape)
        if self.model.biased("norm") and not self.model.rms:
            shift = self.param("bias", nn.initializers.zeros, shape)
        return gain, shift

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.function(x, *self.parameters())
