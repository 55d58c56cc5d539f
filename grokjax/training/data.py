"""The split of a task's rows into training and test set, as padded arrays.

A split is a permutation of the rows drawn from `split_seed`; the first `n_train`
of it are the training set. So with one `split_seed` smaller training sets lie inside
larger ones, and a training fraction is data, not a shape: every run of a program
takes the same two windows of its permutation and weights the rows.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.training.spec import Hparams, Spec

SPLIT, INITIALISATION = range(2)
"""Streams of random numbers, folded into a run's keys."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """Some rows of a table in G tiles, with weights that sum to one over the rows that count."""

    index: jax.Array  # [G, N] int32, which rows of the table
    targets: jax.Array  # [G, N] int32
    weights: jax.Array  # [G, N], 1/n or 0


def split(spec: Spec, hp: Hparams) -> tuple[Rows, Rows]:
    """Training and test rows of a run, padded to the program's sizes."""
    targets = jnp.asarray(tasks.build(spec.task).targets)
    n_rows = len(targets)
    order = permutation(hp.split_seed, n_rows)
    smallest, largest = spec.train_rows

    def window(start: int, stop: int, counted: jax.Array, number: jax.Array) -> Rows:
        weights = counted.astype(spec.loss_dtype) / number.astype(spec.loss_dtype)
        padding = (0, -(stop - start) % spec.tiles)
        index = jnp.pad(order[start:stop], padding).reshape(spec.tiles, -1)
        weights = jnp.pad(weights, padding).reshape(spec.tiles, -1)
        return Rows(index, targets[index], weights)

    train = window(0, largest, jnp.arange(largest) < hp.n_train, hp.n_train)
    tested = jnp.arange(smallest, n_rows) >= hp.n_train
    return train, window(smallest, n_rows, tested, n_rows - hp.n_train)


def permutation(split_seed: jax.Array | int, n_rows: int) -> jax.Array:
    """Order `[N]` in which rows enter the training set."""
    key = jax.random.fold_in(jax.random.key(split_seed), SPLIT)
    return jax.random.permutation(key, np.arange(n_rows, dtype=np.int32))
