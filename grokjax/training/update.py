"""From a gradient to an update: modifiers, decay, direction, rates, and modifiers again."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from grokjax.config import GradientModifier, UpdateModifier
from grokjax.training import masks, modifiers, optimizers
from grokjax.training.words import Words


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class OptimizerState:
    """The memories of the optimiser and of every modifier."""

    direction: Any
    modifiers: dict[str, Any]
    """Number of the modifier in the list → its memory."""


def init(words: Words, params: dict) -> OptimizerState:
    """The memories of optimiser and modifiers before the first update."""
    both = (
        *modifiers.transformations(words.modifiers, GradientModifier),
        *modifiers.transformations(words.modifiers, UpdateModifier),
    )
    memories = {str(at): transformation.init(params) for at, transformation in both}
    return OptimizerState(optimizers.direction(words.optimizer).init(params), memories)


def update(
    words: Words,
    grads: dict,
    state: OptimizerState,
    params: dict,
    mask: dict | None,
    step: jax.Array,
    key: jax.Array,
) -> tuple[dict, OptimizerState]:
    """The update to add to the parameters, and the optimiser's state after it.

    Args:
      words: optimiser, modifiers and groups with the numbers of the step.
      grads: gradient of the loss, in the structure of the parameters.
      state: memories before the update.
      params: parameters before the update.
      mask: 1 where a weight is trained, else 0; None: all are trained.
      step: number of updates before this one.
      key: key of the modifiers' random numbers at this step.
    """
    optimizer, model, groups = words.optimizer, words.model, words.groups
    rate = optimizers.learning_rate(optimizer, step)
    rates, decays = optimizers.factors(optimizer, model, groups, params)
    decayed = jax.tree.map(lambda w, factor: optimizer.weight_decay * factor * w, params, decays)
    memories: dict[str, Any] = {}

    def modify(place: type[GradientModifier | UpdateModifier], tree: dict) -> dict:
        for at, transformation in modifiers.transformations(words.modifiers, place):
            extra = {"key": jax.random.fold_in(key, at), "rate": rate, "factors": rates}
            before = state.modifiers[str(at)]
            tree, memories[str(at)] = transformation.update(tree, before, params, **extra)
        return tree

    grads = modify(GradientModifier, grads)
    if optimizer.coupled:
        grads = jax.tree.map(jnp.add, grads, decayed)
    direction = optimizers.direction(optimizer)
    along, direction_state = direction.update(grads, state.direction, params)
    if not optimizer.coupled:
        along = jax.tree.map(jnp.add, along, decayed)
    updates = jax.tree.map(lambda a, factor: -rate * factor * a, along, rates)
    updates = modify(UpdateModifier, masks.apply(mask, updates))
    return updates, OptimizerState(direction_state, memories)
