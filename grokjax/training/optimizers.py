"""Optimisers built inside the step from traced hyperparameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax


def adamw(numbers: dict[str, jax.Array]) -> optax.GradientTransformation:
    """AdamW with decoupled decay on every parameter and linear warm-up."""

    def learning_rate(count: jax.Array) -> jax.Array:
        rate, warmup = numbers["learning_rate"], numbers["warmup_steps"]
        return rate * jnp.minimum(1, (count + 1).astype(rate.dtype) / jnp.maximum(warmup, 1))

    return optax.adamw(
        learning_rate,
        b1=numbers["b1"],
        b2=numbers["b2"],
        eps=numbers["eps"],
        weight_decay=numbers["weight_decay"],
    )


OPTIMIZERS = {"adamw": adamw}
