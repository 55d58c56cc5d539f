"""Initialisation families, by the role of a parameter.

| family | linear weights | biases | token and position embeddings |
|---|---|---|---|
| normal | N(0, 1/width) | 0 | N(0, 1/width) |
| lecun | truncated N(0, 1/fan_in) | 0 | N(0, 1/width) |
| torch | U(±1/√fan_in) | U(±1/√fan_in) | N(0, 1) |

`normal` follows Nanda et al. 2023 (every matrix by the residual width, also those
whose inputs are wider), `lecun` the defaults of Flax, `torch` those of PyTorch's
`nn.Linear` and `nn.Embedding`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from grokjax.config import Transformer

Init = Callable[[jax.Array, Sequence[int]], jax.Array]


@dataclasses.dataclass(frozen=True)
class Family:
    """Makes the initialiser of each role of parameter."""

    linear: Callable[[int], Init]  # fan_in → weights
    bias: Callable[[int], Init]  # fan_in of the map it belongs to → biases
    embedding: Init


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


def family(model: Transformer) -> Family:
    """The family that `model.init` names."""
    by_width = _normal(1 / math.sqrt(model.width))
    families = {
        "normal": Family(lambda fan_in: by_width, lambda fan_in: _zeros, by_width),
        "lecun": Family(
            lambda fan_in: _truncated(1 / math.sqrt(fan_in)), lambda fan_in: _zeros, by_width
        ),
        "torch": Family(
            lambda fan_in: _uniform(1 / math.sqrt(fan_in)),
            lambda fan_in: _uniform(1 / math.sqrt(fan_in)),
            _normal(1.0),
        ),
    }
    return families[model.init]
