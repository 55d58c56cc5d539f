"""Losses and scores of outputs against targets.

Legend: N rows, A answers of a row, C classes. Where a row has answers, outputs are
`[N, A, C]` and targets `[N, A]`, else `[N, C]` and `[N]`.
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
    StableMax,
    Task,
)
from grokjax.config.fields import blamed
from grokjax.models.stream import last_axis
from grokjax.training import loss_kernel

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
    return jax.nn.logsumexp(logs, axis=-1) - output_of_target(logs, targets)


def _from_logs_forward(logs: jax.Array, targets: jax.Array) -> tuple[jax.Array, tuple]:
    return _value(logs, targets), (logs, targets)  # forward over reverse goes through here


def _from_logs_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, None]:
    logs, targets = saved
    arrays = logs, targets, gradient
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


def weighted_loss(
    loss: Loss,
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    key: jax.Array | None = None,
) -> jax.Array:
    """The weighted sum of a loss over rows `[N]`, in the dtype of the weights.

    Args:
      loss: which loss; the answers of a row count alike.
      outputs: what the network gives, `[N, C]` or `[N, A, C]`.
      targets: the right classes or numbers, `[N]` or `[N, A]`.
      weights: share of each row in the loss, `[N]`.
      key: of the random numbers of a loss that is `random`; None: its expectation.
    """
    drawn = () if key is None else (key,)
    losses = per_target(loss, outputs.astype(weights.dtype), targets, *drawn)
    return jnp.sum(weights * losses.reshape(len(weights), -1).mean(axis=1))


def count_right(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    tolerance: float,
    task: Task | None = None,
) -> jax.Array:
    """How many rows are right, at every one of their answers; rows of weight zero do not count.

    A task of a user may say itself which rows are (`Task.right`). Else a number is right within the
    tolerance. A class is right if its output is the largest, and of
    several largest ones the first; where outputs are NaN, none is.

    Args:
      outputs: what the network gives, `[N, C]` or `[N, A, C]`.
      targets: the right classes or numbers, `[N]` or `[N, A]`.
      weights: share of each row in the loss, `[N]`.
      tolerance: largest distance from a number at which a prediction is right.
      task: that the rows are of; None: any that leaves it at that.
    """
    by_task = None if task is None else _right_by(task, outputs, targets)
    if by_task is not None:
        right = by_task
    elif jnp.issubdtype(targets.dtype, jnp.integer):
        right = _is_largest(outputs, targets)
    else:
        right = jnp.abs(outputs[..., 0] - targets) <= tolerance
    return jnp.sum(right.reshape(len(weights), -1).all(axis=1) & (weights > 0))


def _right_by(task: Task, outputs: jax.Array, targets: jax.Array) -> jax.Array | None:
    """Whether each row is right `[N]`, as its task says; None where it does not."""
    with blamed(task):
        right = task.right(outputs, targets)
    if right is not None and jnp.shape(right) != targets.shape[:1]:
        raise ConfigError(
            f"task={task.kind!r}: of {len(targets)} rows its method `right` gives "
            f"{list(jnp.shape(right))}, return whether each row is right."
        )
    return right


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
