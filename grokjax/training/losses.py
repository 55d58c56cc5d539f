"""Losses and scores of outputs against targets.

Legend: N rows, A answers of a row, C classes. Where a row has answers, outputs are
`[N, A, C]` and targets `[N, A]`, else `[N, C]` and `[N]`. Where a row's target is K numbers, both
are `[N, K]`, and every number counts as an answer with one output.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from grokjax.config import (
    ConfigError,
    CrossEntropy,
    Hinge,
    Loss,
    MeanSquaredError,
    Sparsemax,
    StableMax,
    Task,
)
from grokjax.config.fields import blamed
from grokjax.config.parts import RowError
from grokjax.models.stream import last_axis, take
from grokjax.tasks import Dataset
from grokjax.training import half_precision, loss_kernel

WIDE = 16
"""Numbers of a row that a processor compares at once."""


@functools.singledispatch
def per_target(loss: Loss, outputs: jax.Array, targets: jax.Array, *key: Any) -> jax.Array:
    """The loss of every target, `[...]`; a user's loss is asked through its method `per_target`.

    Args:
      loss: which loss.
      outputs: what the network gives, `[..., C]`.
      targets: the right classes or numbers, `[...]`.
      *key: of an update's random numbers, for a loss that is `random`; left out, its expectation.
    """
    with blamed(loss):
        drawn = (key or (None,)) if loss.random else ()
        losses = loss.per_target(outputs, targets, *drawn)
    if jnp.shape(losses) != targets.shape:
        raise ConfigError(
            f"loss={loss.kind!r}: for targets {list(targets.shape)} it gives "
            f"{list(jnp.shape(losses))}, return one loss for each, not their mean."
        )
    return losses


@per_target.register
def _cross_entropy(_: CrossEntropy, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """−log softmax(z)_y, in nats."""
    return _from_logs(logits, targets)


@per_target.register
def _stablemax(_: StableMax, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """−log(s(z_y) / Σ s(z_j)), with s(x) = x + 1 from 0 on and 1 / (1 − x) below.

    Log s is taken as ±log(1 + |x|), which is exact where s itself would under- or overflow.
    """
    positive = logits >= 0
    above, below = jnp.where(positive, logits, 0), jnp.where(positive, 0, -logits)
    logs = jnp.where(positive, jnp.log1p(above), -jnp.log1p(below))
    return _from_logs(logs, targets)


@jax.custom_vjp
def _from_logs(logs: jax.Array, targets: jax.Array) -> jax.Array:
    """−log of the target's share of Σ exp(logs).

    Its gradient is written out, and needs nothing of the loss itself: so the compiler can leave the
    loss out of every update in which it is not recorded.
    """
    return _value(logs, targets)


def _value(logs: jax.Array, targets: jax.Array) -> jax.Array:
    if half_precision.is_short(logs):
        return -output_of_target(half_precision.log_shares(logs), targets)
    return jax.nn.logsumexp(logs, axis=-1) - output_of_target(logs, targets)


def _from_logs_forward(logs: jax.Array, targets: jax.Array) -> tuple[jax.Array, tuple]:
    return _value(logs, targets), (logs, targets)  # forward over reverse goes through here


def _from_logs_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, None]:
    logs, targets = saved
    arrays = logs, targets, gradient
    if half_precision.is_short(logs):
        is_target = last_axis(jnp.arange(logs.shape[-1]), logs) == targets[..., None]
        return half_precision.gradient_of_logs(logs, is_target, gradient), None
    if not loss_kernel.takes(logs):
        return _gradient_of_logs(*arrays), None
    log_grads = jax.lax.platform_dependent(
        *arrays, cuda=loss_kernel.gradient, default=_gradient_of_logs
    )
    return log_grads, None


_from_logs.defvjp(_from_logs_forward, _from_logs_backward)


def _gradient_of_logs(logs: jax.Array, targets: jax.Array, gradient: jax.Array) -> jax.Array:
    """The gradient of `_from_logs`, for a given gradient of each loss."""
    powers = jnp.exp(logs - jax.lax.stop_gradient(_largest(logs))[..., None])
    share = powers * (gradient / powers.sum(axis=-1))[..., None]
    is_target = last_axis(jnp.arange(logs.shape[-1]), logs) == targets[..., None]
    return share - jnp.where(is_target, gradient[..., None], 0)


def _largest(logs: jax.Array) -> jax.Array:
    """The largest of every row, `[..., C]` → `[...]`.

    A maximum over short rows is not vectorised by the compiler for processors, one of slices of
    rows is: 0.06 ms instead of 0.45 for 6,737 × 97 logits on one core, and half of the time that
    the whole gradient takes.
    """
    classes = logs.shape[-1]
    starts = [*range(0, classes - WIDE, WIDE), max(0, classes - WIDE)]
    slices = [logs[..., start : start + WIDE] for start in starts]
    return functools.reduce(jnp.maximum, slices).max(axis=-1)


@per_target.register
def _sparsemax(_: Sparsemax, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """½ + ½ Σ_{j: z_j > τ} (z_j² − τ²) − z_y."""
    # Half precision has too few digits for sums of so many.
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    return _sparse(wide, targets).astype(logits.dtype)


@jax.custom_vjp
def _sparse(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """The loss of sparsemax, whose gradient is written out as that of `_from_logs` is."""
    return _sparse_value(logits, targets)


def _sparse_value(logits: jax.Array, targets: jax.Array) -> jax.Array:
    # A constant on all logits changes nothing, and squares of large ones would not leave much.
    shifted = logits - jax.lax.stop_gradient(_largest(logits))[..., None]
    threshold = _threshold(shifted)[..., None]
    squares = jnp.where(shifted > threshold, jnp.square(shifted) - jnp.square(threshold), 0)
    return (1 + squares.sum(axis=-1)) / 2 - output_of_target(shifted, targets)


def _threshold(logits: jax.Array) -> jax.Array:
    """The number τ with Σ_j max(0, z_j − τ) = 1, `[..., C]` → `[...]`."""
    ordered = -jnp.sort(-jax.lax.stop_gradient(logits), axis=-1)
    sums, count = jnp.cumsum(ordered, axis=-1), last_axis(1 + jnp.arange(logits.shape[-1]), logits)
    sizes = jnp.sum(1 + count * ordered > sums, axis=-1)  # of the support
    is_last = count == sizes[..., None]
    fixed = jnp.sum(jnp.where(is_last, (sums - 1) / count, 0), axis=-1)
    # Once more over the support, so that derivatives of it are those of its mean.
    support = logits > fixed[..., None]
    return (jnp.sum(jnp.where(support, logits, 0), axis=-1) - 1) / support.sum(axis=-1)


def _sparse_forward(logits: jax.Array, targets: jax.Array) -> tuple[jax.Array, tuple]:
    return _sparse_value(logits, targets), (logits, targets)


def _sparse_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, None]:
    logits, targets = saved
    shifted = logits - jax.lax.stop_gradient(_largest(logits))[..., None]
    share = jnp.maximum(0, shifted - _threshold(shifted)[..., None])
    is_target = last_axis(jnp.arange(logits.shape[-1]), logits) == targets[..., None]
    return gradient[..., None] * (share - is_target), None


_sparse.defvjp(_sparse_forward, _sparse_backward)


@per_target.register
def _mse(_: MeanSquaredError, outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean over outputs of (z − t)²; a class stands for its one-hot vector."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        wanted = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    else:
        wanted = targets[..., None]
    return jnp.mean(jnp.square(outputs - wanted), axis=-1)


@per_target.register
def _hinge(loss: Hinge, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """max(0, margin + max_{j≠y} z_j − z_y)."""
    is_target = jax.nn.one_hot(targets, logits.shape[-1], dtype=bool)
    right = jnp.sum(jnp.where(is_target, logits, 0), axis=-1)
    best_other = jnp.max(jnp.where(is_target, -jnp.inf, logits), axis=-1)
    margin = jnp.asarray(loss.margin, logits.dtype)
    return jax.nn.relu(margin + best_other - right)


def in_dtype(
    loss: Loss, outputs: jax.Array, targets: jax.Array, dtype: str, *key: jax.Array
) -> jax.Array:
    """The loss of every target, `[...]`, computed in a type; in half precision given in float32.

    Args:
      loss: which loss.
      outputs: what the network gives, `[..., C]`.
      targets: the right classes or numbers, `[...]`.
      dtype: type of the loss.
      *key: as in `per_target`.
    """
    if dtype not in half_precision.SHORT:
        return per_target(loss, outputs.astype(dtype), targets, *key)
    losses = per_target(loss, half_precision.shortened(outputs, dtype), targets, *key)
    return half_precision.shortened(losses, dtype).astype(jnp.float32)


def weighted_loss(
    loss: Loss,
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    dtype: str | None = None,
    key: jax.Array | None = None,
) -> jax.Array:
    """The weighted sum of a loss over rows `[N]`, in the dtype of the weights.

    Args:
      loss: which loss; the answers of a row count alike.
      outputs: what the network gives, `[N, C]` or `[N, A, C]`.
      targets: the right classes or numbers, `[N]` or `[N, A]`, or K numbers a row `[N, K]`.
      weights: share of each row in the loss, `[N]`.
      dtype: type in which the losses of rows are computed; None: that of the weights.
      key: of the random numbers of a loss that is `random`; None: its expectation.
    """
    outputs, drawn = one_by_one(outputs, targets), () if key is None else (key,)
    losses = in_dtype(loss, outputs, targets, dtype or str(weights.dtype), *drawn)
    return jnp.sum(weights * losses.reshape(len(weights), -1).mean(axis=1))


def one_by_one(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The outputs of targets that are several numbers, `[N, K]` → `[N, K, 1]`, one for each.

    Outputs of other targets are as they should be: `[..., C]` for `[...]`.
    """
    return outputs[..., None] if outputs.ndim == targets.ndim else outputs


def hits(
    task: Task, dataset: Dataset, outputs: jax.Array, targets: jax.Array, weights: jax.Array
) -> jax.Array:
    """How many rows are right, as a task says itself (`Task.right`) or by its dataset's rule.

    Args:
      task: that the rows are of.
      dataset: of the task.
      outputs: what the network gives, `[N, C]` or `[N, A, C]`.
      targets: the right classes or numbers, `[N]` or `[N, A]`.
      weights: share of each row in the loss, `[N]`; rows of weight zero do not count.
    """
    with blamed(task):
        right = task.right(outputs, targets)
    if right is None:
        rule = dataset.tolerance, dataset.row_error, dataset.scored
        return count_right(outputs, targets, weights, *rule)
    if jnp.shape(right) != weights.shape:
        raise ConfigError(
            f"task={task.kind!r}: of {len(weights)} rows its method `right` gives "
            f"{list(jnp.shape(right))}, return whether each row is right."
        )
    return jnp.sum(right & (weights > 0))


def count_right(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    tolerance: float,
    row_error: RowError = "largest",
    scored: tuple[int, ...] | None = None,
) -> jax.Array:
    """How many rows are right, at every one of their answers; rows of weight zero do not count.

    Numbers are right where the largest distance from its target, or the mean of the squares of the
    row's distances, is within the tolerance. A class is right if its output is the largest, and of
    several largest ones the first; where outputs are NaN, none is.

    Args:
      outputs: what the network gives, `[N, C]` or `[N, A, C]`.
      targets: the right classes or numbers, `[N]` or `[N, A]`.
      weights: share of each row in the loss, `[N]`.
      tolerance: largest error of numbers at which a prediction is right.
      row_error: which error of a row's numbers.
      scored: which of a row's answers count; None: all.
    """
    if scored is not None:
        outputs, targets = (take(of_rows, scored, axis=1) for of_rows in (outputs, targets))
    outputs = one_by_one(outputs, targets)
    if jnp.issubdtype(targets.dtype, jnp.integer):
        right = _is_largest(outputs, targets)
    elif row_error == "largest":
        right = jnp.abs(outputs[..., 0] - targets) <= tolerance
    else:
        squares = jnp.square(outputs[..., 0] - targets).reshape(len(weights), -1)
        right = squares.mean(axis=1) <= tolerance
    return jnp.sum(right.reshape(len(weights), -1).all(axis=1) & (weights > 0))


def _is_largest(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Whether the targets are the argmax of the outputs.

    `argmax` itself is not called: comparing every output with the target's took a processor a third
    of its time (6,586 × 97 outputs, one core).
    """
    its_own = output_of_target(outputs, targets)[..., None]
    before = last_axis(jnp.arange(outputs.shape[-1]), outputs) < targets[..., None]
    is_target = last_axis(jnp.arange(outputs.shape[-1]), outputs) == targets[..., None]
    below = jnp.where(before, outputs < its_own, (outputs <= its_own) | is_target)
    return below.all(axis=-1) & ~jnp.isnan(its_own[..., 0])


def output_of_target(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """The output of each target: `[..., C]` and `[...]` → `[...]`.

    It compares class numbers instead of indexing: the gradient of an index is a scatter, for which
    accelerators need passes of their own, that of a comparison is a comparison.
    """
    is_target = last_axis(jnp.arange(outputs.shape[-1]), outputs) == targets[..., None]
    return jnp.sum(jnp.where(is_target, outputs, 0), axis=-1)
