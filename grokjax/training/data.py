"""The split of a task's rows into training and test set, as padded arrays.

A split is an order of the rows drawn from `split_seed`; the first `n_train` of it are the
training set. So with one `split_seed` smaller training sets lie inside larger ones, and a
training fraction is data, not a shape: every run of a program takes the same two windows of
its order, and rows of a window that are not in the run's set have weight zero.

Legend: N rows, B tiles that rows go through the network in, G stages of a run.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from grokjax import tasks
from grokjax.training import orders
from grokjax.training.spec import Hparams, Spec
from grokjax.training.streams import BATCHES, LABELS, stream


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Rows:
    """Some rows of a table in B tiles of N, with weights that sum to one.

    Padding, and rows that are in the window but not in the run's set, have weight zero.
    """

    index: jax.Array  # [B, N] int32, which rows of the table
    targets: jax.Array  # [B, N, ...], labels to train on, some of them noisy
    truth: jax.Array  # [B, N, ...], the true labels
    weights: jax.Array  # [B, N], 1/n for the n rows that count, else 0


def split(spec: Spec, hp: Hparams, stage: int | jax.Array = 0) -> tuple[Rows, Rows]:
    """Training and test rows of a run at a stage, padded to the program's sizes.

    Args:
      spec: the program.
      hp: the numbers of the run.
      stage: how many of the run's changes have happened.
    """
    table = tasks.build(spec.task)
    n_train, seed = hp.n_train[stage], hp.split_seed[stage]
    truth = jnp.asarray(table.targets.astype(spec.sum_dtype) if table.real else table.targets)
    order = row_order(spec, seed)
    noise = hp.label_noise[stage]
    labels = noisy_labels(spec, truth, noise, seed)
    # Shapes must be those of every run of the program. The training window reaches to the largest
    # training set among them, the test window begins after the smallest, and weights of zero leave
    # the rows out that belong to the other set of this run.
    largest = spec.train_rows[1]

    def window(start: int, stop: int, counted: jax.Array, number: jax.Array) -> Rows:
        weights = counted.astype(spec.sum_dtype) / number.astype(spec.sum_dtype)
        padding = (0, spec.padded(stop - start) - (stop - start))
        index = jnp.pad(order[start:stop], padding).reshape(spec.tiles, -1)
        weights = jnp.pad(weights, padding).reshape(spec.tiles, -1)
        return Rows(index, labels[index], truth[index], weights)

    train = window(0, largest, jnp.arange(largest) < n_train, n_train)
    first, end = spec.test_rows
    tested = jnp.arange(first, end) >= n_train
    test = window(first, end, tested, jnp.asarray(spec.n_test(n_train)))
    # Noisy labels are for training only: the test set is scored by the true ones.
    return train, dataclasses.replace(test, targets=test.truth)


def splits(spec: Spec, hp: Hparams) -> tuple[Rows, Rows]:
    """Training and test rows of all stages of a run, with a leading axis `[G]`."""
    each = [split(spec, hp, stage) for stage in range(spec.stages)]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *each)


def row_order(spec: Spec, split_seed: jax.Array | int) -> jax.Array:
    """Order `[N]` in which rows enter the training set as `train_fraction` grows."""
    return orders.row_order(spec.task, spec.split, split_seed)


def noisy_labels(
    spec: Spec, truth: jax.Array, noise: jax.Array, split_seed: jax.Array | int
) -> jax.Array:
    """Labels of all rows, a share of them replaced as `Experiment.label_noise_kind` says.

    Rows that are noisy at some share are so at every larger one, with the same labels.

    Args:
      spec: the program.
      truth: true labels `[N, ...]`.
      noise: share of rows to replace.
      split_seed: seed of which rows, and of their labels.
    """
    which, whose = jax.random.split(stream(split_seed, LABELS))
    others = _wrong_labels(spec, truth, whose)
    replaced = jax.random.uniform(which, (len(truth),), jnp.float32) < noise.astype(jnp.float32)
    return jnp.where(replaced.reshape(-1, *[1] * (truth.ndim - 1)), others, truth)


def _wrong_labels(spec: Spec, truth: jax.Array, key: jax.Array) -> jax.Array:
    """What the labels of all rows would be replaced with, in the shape of the true ones."""
    if spec.label_noise_kind == "random_row":
        return truth[jax.random.randint(key, (len(truth),), 0, len(truth))]
    if spec.label_noise_kind == "fixed":
        return jnp.full_like(truth, spec.noise_class)
    classes = tasks.build(spec.task).n_classes
    further: jax.Array | int = 1
    if spec.label_noise_kind == "other":
        further = jax.random.randint(key, truth.shape, 1, classes, truth.dtype)
    return (truth + further) % classes


def batch(spec: Spec, hp: Hparams, stage: jax.Array, step: jax.Array, train: Rows) -> Rows:
    """The rows of an update: all training rows, or the next part of this epoch's order.

    A stage begins with an epoch. The order of an epoch is computed again at every step: runs that
    train together are in different places of their epochs, so one that kept its order would pay
    for a sort at every step all the same.

    Args:
      spec: the program.
      hp: the numbers of the run.
      stage: how many of the run's changes have happened.
      step: updates before this one.
      train: the training rows of the stage.
    """
    if spec.batch_size is None:
        return train
    size, n_train = spec.batch_size, jnp.asarray(hp.n_train)[stage]
    step = step - jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.asarray(hp.change_steps)])[stage]
    chosen, weights = _drawn(spec, stream(hp.seed, BATCHES, stage), step, n_train)
    padding = spec.padded(size) - size

    def choose(rows: jax.Array) -> jax.Array:
        flat = rows.reshape(-1, *rows.shape[2:])[chosen]
        padded = jnp.pad(flat, [(0, padding), *[(0, 0)] * (flat.ndim - 1)])
        return padded.reshape(spec.tiles, -1, *rows.shape[2:])

    weights = jnp.pad(weights.astype(train.weights.dtype), (0, padding)).reshape(spec.tiles, -1)
    return Rows(choose(train.index), choose(train.targets), choose(train.truth), weights)


def _drawn(
    spec: Spec, key: jax.Array, step: jax.Array, n_train: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Places among the training rows that an update uses, and the shares of their losses.

    Args:
      spec: the program.
      key: of the batches of a stage.
      step: updates of the stage before this one.
      n_train: number of training rows.
    """
    size, largest = spec.batch_size, spec.train_rows[1]
    assert size is not None  # asked for where there are batches
    alike = jnp.full(size, 1 / size, spec.sum_dtype)
    if spec.batches == "replacement":
        return jax.random.randint(jax.random.fold_in(key, step), (size,), 0, n_train), alike
    keeps_last = spec.batches == "keep_last"
    parts = (n_train + keeps_last * (size - 1)) // size
    draws = jax.random.uniform(jax.random.fold_in(key, step // parts), (largest,), jnp.float32)
    # Draws lie below 1, so rows beyond this run's own training set come last and are never reached.
    order = jnp.argsort(jnp.where(jnp.arange(largest) < n_train, draws, 2))
    first = (step % parts) * size
    if not keeps_last:
        return jax.lax.dynamic_slice(order, (first,), (size,)), alike
    # A window that reached beyond the end would be moved back to rows that have had their turn.
    chosen = jax.lax.dynamic_slice(jnp.pad(order, (0, size)), (first,), (size,))
    counted = (first + jnp.arange(size) < n_train).astype(spec.sum_dtype)
    return chosen, counted / counted.sum()
