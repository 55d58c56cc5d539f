"""Optimisers built inside the step from traced numbers.

An optimiser here is a direction: it makes of a gradient the vector to subtract, times the learning
rate, from the weights. Decay, rates by group, schedules and modifiers are added in one place, the
function `update` in `training.update`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokjax import models
from grokjax.config import (
    SGD,
    Adam,
    AdamW,
    Lion,
    Model,
    Muon,
    Optimizer,
    ParameterGroups,
    RMSProp,
)
from grokjax.config.fields import blamed


@functools.singledispatch
def direction(optimizer: Optimizer) -> optax.GradientTransformation:
    """The transformation of a gradient into the direction that weights descend along.

    It has no learning rate and no decay. A user's optimiser is asked by its method `direction`.
    """
    with blamed(optimizer):
        return optimizer.direction()


@direction.register
def _adam(optimizer: AdamW | Adam) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=optimizer.b1, b2=optimizer.b2, eps=optimizer.eps)


@direction.register
def _sgd(optimizer: SGD) -> optax.GradientTransformation:
    return optax.trace(optimizer.momentum, nesterov=optimizer.nesterov)


@direction.register
def _lion(optimizer: Lion) -> optax.GradientTransformation:
    return optax.scale_by_lion(b1=optimizer.b1, b2=optimizer.b2)


@direction.register
def _rmsprop(optimizer: RMSProp) -> optax.GradientTransformation:
    return optax.scale_by_rms(decay=optimizer.b2, eps=optimizer.eps, eps_in_sqrt=False)


@direction.register
def _muon(optimizer: Muon) -> optax.GradientTransformation:
    def labels(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "muon" if models.group(path) == "body" else "adam", params
        )

    def matrices(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(_matrix, params)

    def scaled(updates: Any, _: Any) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, update: _shape_factor(path, update) * update, updates
        )

    momentum = optax.chain(
        optax.contrib.scale_by_muon(beta=optimizer.momentum, weight_dimension_numbers=matrices),
        optax.stateless(scaled),
    )
    adam = optax.scale_by_adam(b1=optimizer.b1, b2=optimizer.b2, eps=optimizer.eps)
    return optax.partition({"muon": momentum, "adam": adam}, labels)


def _matrix(path: tuple, leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers:
    """Which axes of a weight are inputs: of queries, keys, values the first, else all but one."""
    axes = tuple(range(leaf.ndim))
    makes_heads = path[-2].key in ("query", "key", "value")
    inputs = axes[:1] if makes_heads else axes[:-1]
    return optax.contrib.MuonDimensionNumbers(inputs, axes[len(inputs) :])


def _shape_factor(path: tuple, leaf: jax.Array) -> float:
    """The factor √max(1, fan_out / fan_in) on orthogonalised updates (Jordan 2024)."""
    axes = _matrix(path, leaf)
    fan_in, fan_out = (
        math.prod(leaf.shape[axis] for axis in of) for of in (axes.reduction_axis, axes.output_axis)
    )
    return math.sqrt(max(1, fan_out / fan_in))


def learning_rate(optimizer: Optimizer, step: jax.Array) -> jax.Array:
    """The learning rate at a step, counted from 0, with warmup and schedule."""
    rate: Any = optimizer.learning_rate
    done = step.astype(rate.dtype)
    rate = rate * _warmup(optimizer, done)
    if optimizer.schedule == "constant":
        return rate
    if optimizer.schedule == "inverse_sqrt":
        full = jnp.maximum(optimizer.warmup_steps, 1)
        return rate * jnp.minimum(1, jnp.sqrt(full / (done + 1)))
    if optimizer.schedule in ("step", "exponential"):
        length: Any = optimizer.schedule_steps
        # In whole numbers: a quotient that is rounded down a bit would drop the rate too late.
        whole = (step // length.astype(step.dtype)).astype(rate.dtype)
        times = whole if optimizer.schedule == "step" else done / length
        return rate * jnp.maximum(optimizer.final_rate, optimizer.schedule_factor**times)
    part = jnp.minimum(1, done / optimizer.schedule_steps)
    left = 1 - part if optimizer.schedule == "linear" else (1 + jnp.cos(jnp.pi * part)) / 2
    return rate * (optimizer.final_rate + (1 - optimizer.final_rate) * left)


def _warmup(optimizer: Optimizer, done: jax.Array) -> jax.Array:
    """The share of the learning rate that an update uses while it rises.

    Args:
      optimizer: with its warmup.
      done: number of updates before this one.
    """
    start: Any = optimizer.warmup_start
    steps = jnp.maximum(optimizer.warmup_steps, 1)
    if optimizer.warmup_shape == "linear":
        return jnp.minimum(1, (done + 1) / steps)
    part = jnp.minimum(1, done / steps)
    part = jnp.where(optimizer.warmup_steps > 0, part, 1)
    if optimizer.warmup_shape == "linear_from_start":
        return start + (1 - start) * part
    if optimizer.warmup_shape == "constant":
        return jnp.where(part < 1, start, 1)
    return start ** (1 - part)


def factors(
    optimizer: Optimizer, model: Model, groups: ParameterGroups | None, params: dict
) -> tuple[Any, Any]:
    """Factors on the learning rate and on the weight decay of every parameter.

    Args:
      optimizer: whether its decay is coupled. Decoupled decay takes the same share of every weight,
        so its factor makes up for that of the rate; coupled decay is part of the gradient.
      model: with µP, rates depend on a parameter's role.
      groups: the user's factors; None: all are 1.
      params: parameters, whose structure the two trees of factors have.
    """
    rates = models.rates(model, params, optimizer.adaptive)
    decays = jax.tree.map(lambda rate: 1.0 if optimizer.coupled else 1 / rate, rates)
    if groups is None:
        return rates, decays
    rates_of_groups = {
        "embed": groups.embed_learning_rate,
        "body": groups.body_learning_rate,
        "unembed": groups.unembed_learning_rate,
        "bias": groups.bias_learning_rate,
    }
    decays_of_groups = {
        "embed": groups.embed_decay,
        "body": groups.body_decay,
        "unembed": groups.unembed_decay,
        "bias": groups.bias_decay,
    }

    def times(factors: Any, by_group: dict[str, Any]) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, factor: factor * by_group[models.group(path)], factors
        )

    return times(rates, rates_of_groups), times(decays, decays_of_groups)
