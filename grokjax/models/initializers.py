"""Initialisation families, by the role of a parameter, and embeddings that are not drawn.

| family | linear weights | biases | token and position embeddings |
|---|---|---|---|
| normal | N(0, 1/width) | 0 | N(0, 1/width) |
| lecun | truncated N(0, 1/fan_in) | 0 | N(0, 1/width) |
| torch | U(±1/√fan_in) | U(±1/√fan_in) | N(0, 1) |
| kaiming_normal, kaiming_uniform | N(0, 2/fan_in), U(±√(6/fan_in)) | 0 | N(0, 1/width) |
| xavier_normal, xavier_uniform | N(0, 2/fans), U(±√(6/fans)) | 0 | N(0, 1/width) |
| gpt2 | N(0, 0.02²), over √(2 layers) where they add to the residual stream | 0 | N(0, 0.02²) |

`normal` follows Nanda et al. 2023 (every matrix by the residual width, also those
whose inputs are wider; in an MLP by fan_in), `lecun` the defaults of Flax, `torch`
those of PyTorch's `nn.Linear` and `nn.Embedding`. Fans are fan_in + fan_out. In mean-field scaling
every weight is N(0, 1) whatever the family.

Legend: T positions, V tokens, D width, F hidden units, K frequencies.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Network, Transformer
from grokjax.config.coercion import require
from grokjax.models.roles import Role, init_factor

GPT2_DEVIATION = 0.02
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
    adding: float = 1.0
    """Factor on the weights of maps that add to the residual stream."""


def _normal(deviation: float) -> Init:
    return lambda key, shape: deviation * jax.random.normal(key, shape, jnp.float32)


def _truncated(deviation: float) -> Init:
    # The factor is the standard deviation of N(0, 1) cut at ±2.
    scale = deviation / 0.87962566103423978
    return lambda key, shape: scale * jax.random.truncated_normal(key, -2, 2, shape, jnp.float32)


def _uniform(bound: float) -> Init:
    return lambda key, shape: jax.random.uniform(key, shape, jnp.float32, -bound, bound)


def _by_both_fans(draw: Callable[[float], Init], fan_in: int, square: float) -> Init:
    """`draw` with √(square / (fan_in + fan_out)), of which the shape tells the second."""

    def init(key: jax.Array, shape: Sequence[int]) -> jax.Array:
        return draw(math.sqrt(square / (fan_in + math.prod(shape) / fan_in)))(key, shape)

    return init


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

    def with_zeros(linear: Callable[[int, Role], Init]) -> Family:
        return Family(linear, lambda fan_in: _zeros, embedding)

    families = {
        "normal": with_zeros(by_width),
        "lecun": with_zeros(lambda fan_in, role: _truncated(deviation(fan_in, role))),
        "torch": Family(
            lambda fan_in, role: _uniform(deviation(fan_in, role)),
            lambda fan_in: _uniform(1 / math.sqrt(fan_in)),
            _normal(1.0),
        ),
        "kaiming_normal": with_zeros(
            lambda fan_in, role: _normal(math.sqrt(2) * deviation(fan_in, role))
        ),
        "kaiming_uniform": with_zeros(
            lambda fan_in, role: _uniform(math.sqrt(6) * deviation(fan_in, role))
        ),
        "xavier_normal": with_zeros(lambda fan_in, role: _by_both_fans(_normal, fan_in, 2)),
        "xavier_uniform": with_zeros(lambda fan_in, role: _by_both_fans(_uniform, fan_in, 6)),
        "gpt2": Family(
            lambda fan_in, role: _normal(GPT2_DEVIATION),
            lambda fan_in: _zeros,
            _normal(GPT2_DEVIATION),
            1 / math.sqrt(2 * max(model.layers, 1)),
        ),
    }
    return families[model.init]


def of_attention(model: Transformer, adds: bool) -> Family:
    """The family of attention's maps, as `model.attention_init` says.

    Args:
      model: its initialisation decides.
      adds: whether the map adds to the residual stream, which is that of the output.
    """
    init = family(model)
    if model.attention_init == "as_init":
        return init
    # One matrix makes all three, so that Xavier's rule sees the outputs of all of them.
    bound = math.sqrt(6 / (model.width + 3 * model.heads * model.size))
    linear = init.linear if adds else lambda fan_in, role: _uniform(bound)
    return dataclasses.replace(init, linear=linear, bias=lambda fan_in: _zeros)


def token_embedding(model: Network, vocabulary: int, n_classes: int) -> Init:
    """How the token embeddings `[V, D]` start, as `model.embed_init` says."""
    drawn = family(model).embedding
    if model.embed_init == "identity":
        remedy = f"there are {vocabulary} tokens, give as many or more"
        require(model.width >= vocabulary, "width", model.width, remedy)
        return lambda key, shape: jnp.eye(shape[0], shape[1], dtype=jnp.float32)
    if model.embed_init == "drawn":
        return drawn
    count = 2 * len(_checked(model, n_classes))
    remedy = f"each of {len(model.frequencies)} frequencies takes two columns, give {count} or more"
    require(model.width >= count, "width", model.width, remedy)
    angles = 2 * np.pi * np.outer(np.arange(n_classes), model.frequencies) / n_classes
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(n_classes, count)
    numbers = np.pad(waves / math.sqrt(count / 2), ((0, 0), (0, model.width - count)))

    def init(key: jax.Array, shape: Sequence[int]) -> jax.Array:
        signs = drawn(key, shape)[n_classes:]
        return jnp.concatenate([jnp.asarray(numbers, jnp.float32)[: shape[0]], signs])

    return init


def token_table(model: Network, fan_in: int, role: Role, n_classes: int) -> Init:
    """How the weights `[T, V, F]` of a layer that is linear in one-hot tokens start."""
    drawn = family(model).linear(fan_in, role)
    if model.embed_init == "drawn":
        return drawn
    frequencies = np.resize(_checked(model, n_classes), model.mlp_width)  # in turn
    angles = 2 * np.pi * np.outer(np.arange(n_classes), frequencies) / n_classes
    # The variance of a weight is that of mean-field scaling, or 1 / fan_in.
    size = math.sqrt(2 if model.scaling == "mean_field" else 2 / fan_in)

    def init(key: jax.Array, shape: Sequence[int]) -> jax.Array:
        of_phases, of_signs = jax.random.split(key)
        phases = jax.random.uniform(of_phases, (shape[0], 1, shape[2]), maxval=2 * np.pi)
        waves = size * jnp.cos(jnp.asarray(angles, jnp.float32)[None] + phases)
        return jnp.concatenate([waves, drawn(of_signs, shape)[:, n_classes:]], axis=1)

    return init


def _checked(model: Network, n_classes: int) -> tuple[int, ...]:
    """The frequencies, refused where numbers from 0 to `n_classes` - 1 cannot have them."""
    most = n_classes // 2
    remedy = f"there are {n_classes} classes, give frequencies from 1 to {most}"
    require(max(model.frequencies) <= most, "frequencies", model.frequencies, remedy)
    return model.frequencies
