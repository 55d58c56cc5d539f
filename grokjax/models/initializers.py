"""Initialisation families, by the role of a parameter.

| family | linear weights | biases | token and position embeddings |
|---|---|---|---|
| normal | N(0, 1/width) | 0 | N(0, 1/width) |
| lecun | truncated N(0, 1/fan_in) | 0 | N(0, 1/width) |
| torch | U(±1/√fan_in) | U(±1/√fan_in) | N(0, 1) |

`normal` follows Nanda et al. 2023 (every matrix by the residual width, also those
whose inputs are wider; in an MLP by fan_in), `lecun` the defaults of Flax, `torch`
those of PyTorch's `nn.Linear` and `nn.Embedding`. In mean-field scaling every weight
is N(0, 1) whatever the family.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from grokjax.config import Network
from grokjax.models.roles import Role, init_factor

Init = Callable[[jax.Array, Sequence[int]], jax.Array]


@dataclasses.dataclass(frozen=True)
class Family:
    """A rule for drawing initial parameters."""

    linear: Callable[[int, Role], Init]
    """Number of inputs and role of a linear map → how its weights are drawn."""
    bias: Callable[[int], Init]
    """Number of inputs of a linear map → how its biases are drawn."""
    embedding: Init
    """How embeddings of tokens and positions are drawn."""


def _normal(deviation: float) -> Init:
    return lambda key, shape: deviation * jax.random.normal(key, shape, jnp.float32)


def _truncated(deviation: float) -> Init:
    # The factor is the standard deviation of N(0, 1) cut at ±2.
    scale = deviation / 0.87962566103423978
    return lambda key, shape: scale * jax.random.truncated_normal(key, -2, 2, shape, jnp.float32)


def _uniform(bound: float) -> Init:
    return lambda key, shape: jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def _zeros(key: jax.Array, shape: Sequence[int]) -> jax.Array:
    return jnp.zeros(shape, jnp.float32)


def family(model: Network) -> Family:
    """The family that `model.init` names."""
    if model.scaling == "mean_field":
        return Family(lambda fan_in, role: _normal(1.0), lambda fan_in: _zeros, _normal(1.0))
    embedding = _normal(init_factor(model, "embed") / math.sqrt(model.width))

    def deviation(fan_in: int, role: Role) -> float:
        return init_factor(model, role) / math.sqrt(fan_in)

    def by_width(fan_in: int, role: Role) -> Init:
        return _normal(deviation(model.width if model.residual else fan_in, role))

    families = {
        "normal": Family(
            by_width,
            lambda fan_in: _zeros,
            embedding,
        ),
        "lecun": Family(
            lambda fan_in, role: _truncated(deviation(fan_in, role)),
            lambda fan_in: _zeros,
            embedding,
        ),
        "torch": Family(
            lambda fan_in, role: _uniform(deviation(fan_in, role)),
            lambda fan_in: _uniform(1 / math.sqrt(fan_in)),
            _normal(1.0),
        ),
    }
    return families[model.init]
