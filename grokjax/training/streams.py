"""Streams of random numbers of a run, and orders that are drawn from them."""

from __future__ import annotations

import jax
import numpy as np

SPLIT, INITIALISATION, LABELS, BATCHES, NOISE, MASK, LOSS = range(7)
"""Numbers of the streams of random numbers that a run draws from, one for each purpose."""


def stream(seed: jax.Array | int, number: int, step: jax.Array | int | None = None) -> jax.Array:
    """The key of a stream of random numbers, or of one step in it.

    Args:
      seed: of the run, or of its split.
      number: which stream, such as `SPLIT` or `NOISE`.
      step: update that the numbers are for; None: one key for the whole run.
    """
    key = jax.random.fold_in(jax.random.key(seed), number)
    return key if step is None else jax.random.fold_in(key, step)


def permutation(split_seed: jax.Array | int, n_rows: int) -> jax.Array:
    """A random order of so many rows `[N]`."""
    return jax.random.permutation(stream(split_seed, SPLIT), np.arange(n_rows, dtype=np.int32))
