"""Losses and scores of logits `[N, C]` against targets `[N]`, weighted by row."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def cross_entropy(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted mean of -log softmax(logits)[target], in nats."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return jnp.sum(weights * losses)


def accuracy(logits: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Share of the weighted rows whose largest logit is the target; exactly 1 when all are."""
    right = jnp.sum((jnp.argmax(logits, axis=-1) == targets) & (weights > 0))
    return right.astype(logits.dtype) / jnp.sum(weights > 0).astype(logits.dtype)
