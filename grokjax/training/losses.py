"""Losses and scores of logits `[N, C]` against targets `[N]`, weighted by row."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted sum of -log softmax(logits)[target], in nats and in the dtype of the weights."""
    logits = logits.astype(weights.dtype)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.sum(weights * losses)


def hits(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """How many of the rows with a weight have their largest logit at the target."""
    return jnp.sum((jnp.argmax(logits, axis=-1) == targets) & (weights > 0))
