"""The split of a task's rows into training and test set, as padded arrays.

A split is an order of the rows drawn from `split_seed`; the first `n_train` of it are the
training set. So with one `split_seed` smaller training sets lie inside larger ones, and a
training fraction is data, not a shape: every run of a program takes the same two windows of
its order and weights the rows.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.training.spec import Hparams, Spec

SPLIT, INITIALISATION, LABELS, BATCHES, NOISE, MASK = range(6)
"""Streams of random numbers, folded into a run's keys."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """Some rows of a table in G tiles, with weights that sum to one over the rows that count."""

    index: jax.Array  # [G, N] int32, which rows of the table
    targets: jax.Array  # [G, N, ...], what is trained on
    truth: jax.Array  # [G, N, ...], what is true
    weights: jax.Array  # [G, N], 1/n or 0


def stream(seed: jax.Array | int, number: int, step: jax.Array | int | None = None) -> jax.Array:
    """The key of a stream of random numbers, and of a step in it."""
    key = jax.random.fold_in(jax.random.key(seed), number)
    return key if step is None else jax.random.fold_in(key, step)


def split(spec: Spec, hp: Hparams, stage: int | jax.Array = 0) -> tuple[Rows, Rows]:
    """Training and test rows of a run at a stage, padded to the program's sizes."""
    table = tasks.build(spec.task)
    n_rows, n_train, seed = len(table.targets), hp.n_train[stage], hp.split_seed[stage]
    truth = jnp.asarray(table.targets.astype(spec.loss_dtype) if table.real else table.targets)
    order = row_order(spec, seed)
    noise = hp.label_noise[stage]
    labels = noisy_labels(truth, noise, seed)
    smallest, largest = spec.train_rows

    def window(start: int, stop: int, counted: jax.Array, number: jax.Array) -> Rows:
        weights = counted.astype(spec.loss_dtype) / number.astype(spec.loss_dtype)
        padding = (0, spec.padded(stop - start) - (stop - start))
        index = jnp.pad(order[start:stop], padding).reshape(spec.tiles, -1)
        weights = jnp.pad(weights, padding).reshape(spec.tiles, -1)
        return Rows(index, labels[index], truth[index], weights)

    train = window(0, largest, jnp.arange(largest) < n_train, n_train)
    tested = jnp.arange(smallest, n_rows) >= n_train
    test = window(smallest, n_rows, tested, n_rows - n_train)
    return train, dataclasses.replace(test, targets=test.truth)


def splits(spec: Spec, hp: Hparams) -> tuple[Rows, Rows]:
    """Those of all stages, in a leading axis `[S]`."""
    each = [split(spec, hp, stage) for stage in range(spec.stages)]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *each)


def row_order(spec: Spec, split_seed: jax.Array | int) -> jax.Array:
    """Order `[N]` in which rows enter the training set, as the split has it."""
    table = tasks.build(spec.task)
    always, n_rows = spec.task.n_always, len(table.targets)
    if spec.split == "random":
        free = permutation(split_seed, n_rows - always)
        return jnp.concatenate([jnp.arange(always, dtype=np.int32), always + free])
    order = permutation(split_seed, n_rows)
    rank = jnp.argsort(order)
    if spec.split == "balanced":
        # How many rows of its class stand before a row: all first ones, then all second ones.
        classes = jnp.asarray(table.targets)
        in_classes = jnp.lexsort((rank, classes))
        counts = np.bincount(table.targets, minlength=table.n_classes)
        first = jnp.asarray(np.cumsum(counts) - counts)[classes[in_classes]]
        place = (
            jnp.zeros(n_rows, np.int32)
            .at[in_classes]
            .set((jnp.arange(n_rows) - first).astype(np.int32))
        )
        return jnp.lexsort((rank, place)).astype(np.int32)
    assert table.operands is not None  # checked when the experiment was built
    values = np.unique(table.operands[:, int(spec.split == "columns")], return_inverse=True)[1]
    whole = jnp.argsort(permutation(split_seed, values.max() + 1))[values]
    return jnp.lexsort((rank, whole)).astype(np.int32)


def permutation(split_seed: jax.Array | int, n_rows: int) -> jax.Array:
    """A random order of so many rows `[N]`."""
    return jax.random.permutation(stream(split_seed, SPLIT), np.arange(n_rows, dtype=np.int32))


def noisy_labels(truth: jax.Array, noise: jax.Array, split_seed: jax.Array | int) -> jax.Array:
    """Labels of which a share is that of a random row; a larger share holds a smaller one."""
    which, whose = jax.random.split(stream(split_seed, LABELS))
    others = truth[jax.random.randint(whose, (len(truth),), 0, len(truth))]
    replaced = jax.random.uniform(which, (len(truth),), jnp.float32) < noise.astype(jnp.float32)
    return jnp.where(replaced.reshape(-1, *[1] * (truth.ndim - 1)), others, truth)


def batch(spec: Spec, hp: Hparams, stage: jax.Array, step: jax.Array, train: Rows) -> Rows:
    """The rows of an update: everything, or the next part of this epoch's order.

    A stage begins with an epoch. The order is drawn anew at every step: to keep it would take
    a sort all the same, lanes being in different places of their epochs.
    """
    if spec.batch_size is None:
        return train
    size, largest = spec.batch_size, spec.train_rows[1]
    n_train = jnp.asarray(hp.n_train)[stage]
    parts = n_train // size
    step = step - jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.asarray(hp.change_steps)])[stage]
    key = jax.random.fold_in(stream(hp.seed, BATCHES, stage), step // parts)
    draws = jax.random.uniform(key, (largest,), jnp.float32)
    order = jnp.argsort(jnp.where(jnp.arange(largest) < n_train, draws, 2))
    chosen = jax.lax.dynamic_slice(order, ((step % parts) * size,), (size,))
    padding = spec.padded(size) - size

    def of(rows: jax.Array) -> jax.Array:
        flat = rows.reshape(-1, *rows.shape[2:])[chosen]
        padded = jnp.pad(flat, [(0, padding), *[(0, 0)] * (flat.ndim - 1)])
        return padded.reshape(spec.tiles, -1, *rows.shape[2:])

    weights = jnp.full(size, 1 / size, train.weights.dtype)
    weights = jnp.pad(weights, (0, padding)).reshape(spec.tiles, -1)
    return Rows(of(train.index), of(train.targets), of(train.truth), weights)
