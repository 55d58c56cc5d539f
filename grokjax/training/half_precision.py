"""Losses in float16 and bfloat16, number by number as PyTorch computes them on processors.

Compilers take what is wide enough for what is asked for: by default they leave out conversions to a
shorter type and back again. Barriers hold them to it where it is the point.

Legend: C classes.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

SHORT = ("float16", "bfloat16")


def is_short(x: jax.Array) -> bool:
    """Whether an array is in half precision."""
    return str(x.dtype) in SHORT


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def shortened(x: jax.Array, dtype: str) -> jax.Array:
    """Numbers in half precision; the gradient that comes back is rounded to it, too."""
    return rounded(x, dtype)


def rounded(x: jax.Array, dtype: str | jnp.dtype) -> jax.Array:
    """The nearest numbers of a type."""
    return jax.lax.optimization_barrier(x.astype(dtype))


def _shortened(x: jax.Array, dtype: str) -> tuple[jax.Array, jax.Array]:
    return rounded(x, dtype), jnp.zeros((), x.dtype)  # forward over reverse goes through here


def _gradient(dtype: str, like: jax.Array, gradient: jax.Array) -> tuple[jax.Array]:
    return (rounded(gradient, dtype).astype(like.dtype),)


shortened.defvjp(_shortened, _gradient)


def log_shares(logs: jax.Array) -> jax.Array:
    """Logarithms of the classes' shares of Σ exp(logs), `[..., C]`.

    The sum, its logarithm and the result are rounded. A sum that differs from the power of the
    largest by less than half of the last digit has collapsed into it (Prieto et al. 2025).
    """
    wide = rounded(logs, logs.dtype).astype(jnp.float32)
    below = wide - jax.lax.stop_gradient(wide.max(axis=-1, keepdims=True))
    total = rounded(jnp.exp(below).sum(axis=-1, keepdims=True), logs.dtype)
    log_total = rounded(jnp.log(total.astype(jnp.float32)), logs.dtype)
    return rounded(below - log_total.astype(jnp.float32), logs.dtype)


def gradient_of_logs(logs: jax.Array, is_target: jax.Array, gradient: jax.Array) -> jax.Array:
    """The gradient of −log_shares at the targets, for a given gradient of each loss `[...]`.

    Args:
      logs: `[..., C]`.
      is_target: whether a class is the target, `[..., C]`.
      gradient: in half precision too, such as the share 1/n of a row in a mean: what is smaller
        than any number of the type is lost.
    """
    given = rounded(gradient, logs.dtype).astype(jnp.float32)[..., None]
    shares = jnp.exp(log_shares(logs).astype(jnp.float32))
    return rounded(given * (shares - is_target), logs.dtype)
