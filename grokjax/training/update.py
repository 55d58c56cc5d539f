"""From a gradient to an update: modifiers, decay, direction, rates, and modifiers again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from grokjax.training import masks, modifiers, optimizers
from grokjax.training.spec import Spec

Numbers = Mapping[str, Mapping[str, jax.Array]]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OptimizerState:
    """What the optimiser and every modifier remember."""

    direction: Any
    modifiers: dict[str, Any]
    """Number of the modifier → what it keeps."""


def init(spec: Spec, numbers: Numbers, params: dict) -> OptimizerState:
    """Before the first update."""
    makers = {**modifiers.GRADIENTS, **modifiers.UPDATES}
    around = modifiers.transformations(makers, spec.modifiers, numbers)
    direction = optimizers.direction(spec, numbers["optimizer"])
    kept = {str(at): transformation.init(params) for at, transformation in around}
    return OptimizerState(direction.init(params), kept)


def update(
    spec: Spec,
    numbers: Numbers,
    grads: dict,
    state: OptimizerState,
    params: dict,
    mask: dict | None,
    step: jax.Array,
    key: jax.Array,
) -> tuple[dict, OptimizerState]:
    """What to add to the parameters at a step, and the state after it."""
    optimizer, own = spec.optimizer, numbers["optimizer"]
    rate = optimizers.learning_rate(optimizer, own, step)
    rates, decays = optimizers.factors(spec, numbers, params)
    decayed = jax.tree.map(lambda w, factor: own["weight_decay"] * factor * w, params, decays)
    kept: dict[str, Any] = {}

    def modified(place: Mapping[str, modifiers.Make], tree: dict) -> dict:
        for at, transformation in modifiers.transformations(place, spec.modifiers, numbers):
            extra = {"key": jax.random.fold_in(key, at), "rate": rate, "factors": rates}
            before = state.modifiers[str(at)]
            tree, kept[str(at)] = transformation.update(tree, before, params, **extra)
        return tree

    grads = modified(modifiers.GRADIENTS, grads)
    if optimizers.is_coupled(optimizer):
        grads = jax.tree.map(jnp.add, grads, decayed)
    direction = optimizers.direction(spec, own)
    along, direction_state = direction.update(grads, state.direction, params)
    if not optimizers.is_coupled(optimizer):
        along = jax.tree.map(jnp.add, along, decayed)
    updates = jax.tree.map(lambda a, factor: -rate * factor * a, along, rates)
    updates = modified(modifiers.UPDATES, masks.apply(mask, updates))
    return updates, OptimizerState(direction_state, kept)
