"""Losses and scores of outputs against targets.

Legend: N rows, A answers of a row, C classes. Where a row has answers, outputs are
`[N, A, C]` and targets `[N, A]`, else `[N, C]` and `[N]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

Numbers = Mapping[str, jax.Array]
Losses = Callable[[Numbers, jax.Array, jax.Array], jax.Array]
"""Numbers, outputs, targets → a loss for every target."""


def cross_entropy(numbers: Numbers, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """−log softmax(z)_y, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets)


def stablemax(numbers: Numbers, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """−log(s(z_y) / Σ s(z_j)), with s(x) = x + 1 from 0 on and 1 / (1 − x) below.

    Log s is taken as ±log(1 + |x|), which is exact where s itself would under- or overflow.
    """
    positive = logits >= 0
    above, below = jnp.where(positive, logits, 0), jnp.where(positive, 0, -logits)
    logs = jnp.where(positive, jnp.log1p(above), -jnp.log1p(below))
    return optax.softmax_cross_entropy_with_integer_labels(logs, targets)


def mse(numbers: Numbers, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over outputs of (z − t)²; a class stands for its one-hot vector."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        wanted = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    else:
        wanted = targets[..., None]
    return jnp.mean(jnp.square(outputs - wanted), axis=-1)


def hinge(numbers: Numbers, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """max(0, margin + max_{j≠y} z_j − z_y)."""
    is_target = jax.nn.one_hot(targets, logits.shape[-1], dtype=bool)
    right = jnp.sum(jnp.where(is_target, logits, 0), axis=-1)
    best_other = jnp.max(jnp.where(is_target, -jnp.inf, logits), axis=-1)
    return jax.nn.relu(numbers["margin"].astype(logits.dtype) + best_other - right)


LOSSES: dict[str, Losses] = {
    "cross_entropy": cross_entropy,
    "stablemax": stablemax,
    "mse": mse,
    "hinge": hinge,
}
"""Kind of loss → its function."""


def weighted(
    kind: str, numbers: Numbers, outputs: jax.Array, targets: jax.Array, weights: jax.Array
) -> jax.Array:
    """The weighted sum over rows, in the dtype of the weights; answers of a row count alike."""
    losses = LOSSES[kind](numbers, outputs.astype(weights.dtype), targets)
    return jnp.sum(weights * losses.reshape(len(weights), -1).mean(axis=1))


def predictions(outputs: jax.Array, real: bool) -> jax.Array:
    """What is answered: the class of the largest output, or the one output as a number."""
    return outputs[..., 0] if real else jnp.argmax(outputs, axis=-1)


def hits(
    predicted: jax.Array, targets: jax.Array, weights: jax.Array, tolerance: float
) -> jax.Array:
    """How many of the rows with a weight are right, at every one of their answers.

    A number is right within the tolerance, a class if it is the same.
    """
    if jnp.issubdtype(targets.dtype, jnp.integer):
        right = predicted == targets
    else:
        right = jnp.abs(predicted - targets) <= tolerance
    return jnp.sum(right.reshape(len(weights), -1).all(axis=1) & (weights > 0))
