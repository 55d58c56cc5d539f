"""Optimisers built inside the step from traced numbers.

An optimiser here is a direction: a gradient goes in, what to descend along comes out. Decay,
rates by group, schedules and modifiers are put around it in one place, `update`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokjax import models
from grokjax.config import Optimizer
from grokjax.training.spec import Spec

Numbers = Mapping[str, jax.Array]
Direction = Callable[[Numbers, Any], optax.GradientTransformation]
"""Numbers and the optimiser's configuration → what makes a direction of a gradient."""


def _adam(numbers: Numbers, _: Any) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=numbers["b1"], b2=numbers["b2"], eps=numbers["eps"])


def _sgd(numbers: Numbers, optimizer: Any) -> optax.GradientTransformation:
    return optax.trace(numbers["momentum"], nesterov=optimizer.nesterov)


def _lion(numbers: Numbers, _: Any) -> optax.GradientTransformation:
    return optax.scale_by_lion(b1=numbers["b1"], b2=numbers["b2"])


def _rmsprop(numbers: Numbers, _: Any) -> optax.GradientTransformation:
    return optax.scale_by_rms(decay=numbers["b2"], eps=numbers["eps"], eps_in_sqrt=False)


def _muon(numbers: Numbers, optimizer: Any) -> optax.GradientTransformation:
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
        optax.contrib.scale_by_muon(beta=numbers["momentum"], weight_dimension_numbers=matrices),
        optax.stateless(scaled),
    )
    return optax.partition({"muon": momentum, "adam": _adam(numbers, optimizer)}, labels)


def _matrix(path: tuple, leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers:
    """Which axes of a weight are inputs; heads are outputs where they are made."""
    axes = tuple(range(leaf.ndim))
    makes_heads = path[-2].key in ("query", "key", "value")
    inputs = axes[:1] if makes_heads else axes[:-1]
    return optax.contrib.MuonDimensionNumbers(inputs, axes[len(inputs) :])


def _shape_factor(path: tuple, leaf: jax.Array) -> float:
    """√max(1, fan_out / fan_in), as Jordan 2024 scales what is orthogonal."""
    axes = _matrix(path, leaf)
    fan_in, fan_out = (
        math.prod(leaf.shape[axis] for axis in of) for of in (axes.reduction_axis, axes.output_axis)
    )
    return math.sqrt(max(1, fan_out / fan_in))


DIRECTIONS: dict[str, Direction] = {
    "adamw": _adam,
    "adam": _adam,
    "sgd": _sgd,
    "muon": _muon,
    "lion": _lion,
    "rmsprop": _rmsprop,
}
"""Kind of optimiser → its direction."""
COUPLED = ("adam", "rmsprop")
"""Optimisers whose decay is always part of the gradient."""


def direction(spec: Spec, numbers: Numbers) -> optax.GradientTransformation:
    """The direction of a spec's optimiser."""
    return DIRECTIONS[spec.optimizer.kind](numbers, spec.optimizer)


def is_coupled(optimizer: Optimizer) -> bool:
    """Whether weight decay is part of the gradient."""
    return optimizer.kind in COUPLED or getattr(optimizer, "decay", "") == "coupled"


def learning_rate(optimizer: Optimizer, numbers: Numbers, step: jax.Array) -> jax.Array:
    """The rate of an update, counted from 0."""
    rate, warmup = numbers["learning_rate"], numbers["warmup_steps"]
    done = step.astype(rate.dtype)
    rate = rate * jnp.minimum(1, (done + 1) / jnp.maximum(warmup, 1))
    if optimizer.schedule == "constant":
        return rate
    part = jnp.minimum(1, done / numbers["schedule_steps"])
    left = 1 - part if optimizer.schedule == "linear" else (1 + jnp.cos(jnp.pi * part)) / 2
    return rate * (numbers["final_rate"] + (1 - numbers["final_rate"]) * left)


def factors(spec: Spec, numbers: Mapping[str, Numbers], params: dict) -> tuple[Any, Any]:
    """Of every parameter, the factors on its learning rate and on its weight decay."""
    adaptive = spec.optimizer.kind != "sgd"
    rates = models.rates(spec.model, params, adaptive)
    coupled = is_coupled(spec.optimizer)
    decays = jax.tree.map(lambda rate: 1.0 if coupled else 1 / rate, rates)
    if spec.groups is None:
        return rates, decays
    of_groups = numbers["groups"]

    def by_group(name: str) -> Any:
        return jax.tree_util.tree_map_with_path(
            lambda path, _: of_groups[f"{models.group(path)}_{name}"], params
        )

    def times(own: Any, of_group: Any) -> Any:
        return jax.tree.map(lambda a, b: a * b, own, of_group)

    return times(rates, by_group("learning_rate")), times(decays, by_group("decay"))
