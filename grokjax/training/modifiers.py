"""Changes to gradients, updates and weights beside the optimiser's own direction.

The base class of a modifier says which of three things it changes: where the gradient is taken
(`PerturbingModifier`), the gradient before the optimiser sees it (`GradientModifier`), or the
update after it (`UpdateModifier`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from grokjax.config import (
    L1,
    SAM,
    ClipNorm,
    ClipValue,
    DecayToStart,
    GradientModifier,
    GradientNoise,
    GrokfastEMA,
    GrokfastMA,
    Modifier,
    NormClamp,
    NormProjection,
    OrthoGrad,
    PerturbingModifier,
    UpdateModifier,
    WeightNoise,
)
from grokjax.config.fields import blamed

Tree = Any
Transformation: TypeAlias = optax.GradientTransformationExtraArgs
Scored = Callable[[Tree], tuple[Any, Tree]]
"""Parameters → scores of the network with them, and the gradient of its loss."""


@functools.singledispatch
def transformation(modifier: GradientModifier | UpdateModifier) -> Transformation:
    """The transformation of gradients, or of updates, that a modifier stands for.

    Its `update` is given the step's `key` of random numbers, the learning rate `rate`, and the
    `factors` on it by parameter. A user's modifier is asked through its method `transformation`.
    """
    with blamed(modifier):
        return optax.with_extra_args_support(modifier.transformation())


@functools.singledispatch
def gradient_at(modifier: PerturbingModifier, score: Scored, params: Tree, key: jax.Array) -> tuple:
    """Scores of the network, and the gradient at the point that the modifier chooses.

    A user's modifier is asked through its method `gradient_at`.

    Args:
      modifier: which modifier.
      score: parameters → scores and gradient there.
      params: the network's parameters.
      key: key of the update's random numbers.
    """
    with blamed(modifier):
        return modifier.gradient_at(score, params, key)


class Average(NamedTuple):
    """The memory of Grokfast: how many gradients it has had, and their average or the last ones."""

    seen: jax.Array
    kept: Tree


class Clipped(NamedTuple):
    """The memory of clipping: how many updates since the last log point it has clipped."""

    updates: jax.Array


def _stateless(function: Callable[..., Tree]) -> Transformation:
    """A transformation without a state, from a function of gradients, parameters and a key."""

    def update(grads: Tree, state: Tree, params: Tree, *, key: Any, **_: Any) -> tuple:
        return function(grads, params, key), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def noise_like(tree: Tree, key: jax.Array, std: jax.Array | float) -> Tree:
    """Independent numbers from N(0, std²) in the shapes of a tree.

    Args:
      tree: arrays whose shapes and dtypes the numbers have.
      key: key of the random numbers.
      std: standard deviation.
    """
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    draws = (jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, leaves, strict=True))
    return jax.tree.unflatten(structure, [std * draw for draw in draws])


@transformation.register
def _grokfast_ema(modifier: GrokfastEMA) -> Transformation:

    def init(params: Tree) -> Average:
        return Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(grads: Tree, state: Average, params: Tree, **_: Any) -> tuple[Tree, Average]:
        # The average starts as the first gradient, as in the authors' code: from zero it would be
        # too short for some 1 / (1 - memory) updates.
        memory = jnp.where(state.seen == 0, 0, modifier.memory)
        average = jax.tree.map(lambda a, g: memory * a + (1 - memory) * g, state.kept, grads)
        grads = jax.tree.map(lambda g, a: g + modifier.factor * a, grads, average)
        return grads, Average(state.seen + 1, average)

    return optax.GradientTransformationExtraArgs(init, update)


@transformation.register
def _grokfast_ma(modifier: GrokfastMA) -> Transformation:
    window = modifier.window

    def init(params: Tree) -> Average:
        last = jax.tree.map(lambda x: jnp.zeros((window, *x.shape), x.dtype), params)
        return Average(jnp.zeros((), jnp.int32), last)

    def update(grads: Tree, state: Average, params: Tree, **_: Any) -> tuple[Tree, Average]:
        last = jax.tree.map(lambda a, g: a.at[state.seen % window].set(g), state.kept, grads)
        amount = jnp.where(state.seen + 1 >= window, modifier.factor, 0)
        grads = jax.tree.map(lambda g, a: g + amount * a.mean(axis=0), grads, last)
        return grads, Average(state.seen + 1, last)

    return optax.GradientTransformationExtraArgs(init, update)


@transformation.register
def _clip_norm(modifier: ClipNorm) -> Transformation:
    def clipped(grads: Tree) -> tuple[Tree, jax.Array]:
        factor = modifier.max_norm / (optax.tree.norm(grads) + 1e-6)
        return jax.tree.map(lambda g: jnp.minimum(1, factor) * g, grads), factor < 1

    return _counting(clipped)


@transformation.register
def _clip_value(modifier: ClipValue) -> Transformation:
    def clipped(grads: Tree) -> tuple[Tree, jax.Array]:
        limit = modifier.clip_value
        beyond = [jnp.any(jnp.abs(g) > limit) for g in jax.tree.leaves(grads)]
        return jax.tree.map(lambda g: jnp.clip(g, -limit, limit), grads), jnp.stack(beyond).any()

    return _counting(clipped)


def _counting(clipped: Callable[[Tree], tuple[Tree, jax.Array]]) -> Transformation:
    """A transformation from a function of gradients that also says whether it has changed them."""

    def update(grads: Tree, state: Clipped, params: Tree, **_: Any) -> tuple[Tree, Clipped]:
        grads, is_clipped = clipped(grads)
        return grads, Clipped(state.updates + is_clipped)

    return optax.GradientTransformationExtraArgs(
        lambda params: Clipped(jnp.zeros((), jnp.int32)), update
    )


def clipped_updates(modifiers: tuple[Modifier, ...], memories: dict[str, Any]) -> dict[str, Any]:
    """Updates that were clipped since the last log point, by the kind of what clips.

    Args:
      modifiers: all modifiers of the experiment.
      memories: number of the modifier in the list → its memory.
    """
    found: dict[str, Any] = {}
    for at, modifier in enumerate(modifiers):
        if modifier.clips:
            name = f"{modifier.kind}.{at}" if modifier.kind in found else modifier.kind
            found[name] = memories[str(at)].updates
    return found


def counted_anew(memories: dict[str, Any]) -> dict[str, Any]:
    """The memories of modifiers at a log point, from which clipped updates are counted anew."""
    return {
        at: jax.tree.map(jnp.zeros_like, memory) if isinstance(memory, Clipped) else memory
        for at, memory in memories.items()
    }


@transformation.register
def _ortho_grad(modifier: OrthoGrad) -> Transformation:
    def across(gradient: jax.Array, weight: jax.Array) -> jax.Array:
        tiny = jnp.finfo(weight.dtype).tiny
        along = jnp.sum(gradient * weight) / jnp.maximum(jnp.sum(weight * weight), tiny)
        rest = gradient - along * weight
        lengths = (jnp.sqrt(jnp.sum(jnp.square(x))) for x in (gradient, rest))
        length, rest_length = lengths
        return rest * (length / jnp.maximum(rest_length, tiny))

    return _stateless(lambda grads, params, key: jax.tree.map(across, grads, params))


@transformation.register
def _gradient_noise(modifier: GradientNoise) -> Transformation:
    def noisy(grads: Tree, params: Tree, key: jax.Array) -> Tree:
        noise = noise_like(grads, key, modifier.gradient_std)
        return jax.tree.map(jnp.add, grads, noise)

    return _stateless(noisy)


@transformation.register
def _l1(modifier: L1) -> Transformation:
    return _stateless(
        lambda grads, params, key: jax.tree.map(
            lambda g, w: g + modifier.l1_strength * jnp.sign(w), grads, params
        )
    )


@transformation.register
def _decay_to_start(modifier: DecayToStart) -> Transformation:
    def update(
        updates: Tree, start: Tree, params: Tree, *, rate: Any, factors: Tree, **_: Any
    ) -> tuple:
        pull = rate * modifier.start_decay

        def pulled(update: jax.Array, weight: jax.Array, first: jax.Array, factor: Any) -> Any:
            return update - pull * factor * (weight - first)

        return jax.tree.map(pulled, updates, params, start, factors), start

    return optax.GradientTransformationExtraArgs(lambda params: params, update)


@transformation.register
def _norm_projection(modifier: NormProjection) -> Transformation:
    return _hold_norm(modifier.norm_ratio, lambda factor: factor)


@transformation.register
def _norm_clamp(modifier: NormClamp) -> Transformation:
    return _hold_norm(modifier.largest_ratio, lambda factor: jnp.minimum(1, factor))


def _hold_norm(ratio: Any, allowed: Callable[[jax.Array], jax.Array]) -> Transformation:
    """A transformation after which all weights together have, or do not exceed, a given norm.

    Args:
      ratio: the norm, as a multiple of that before the first update.
      allowed: factor that would give the weights this norm → factor to scale them by.
    """

    def update(updates: Tree, first: jax.Array, params: Tree, **_: Any) -> tuple:
        moved = jax.tree.map(jnp.add, params, updates)
        factor = allowed(ratio * first / optax.tree.norm(moved))
        return jax.tree.map(lambda m, w: factor * m - w, moved, params), first

    return optax.GradientTransformationExtraArgs(optax.tree.norm, update)


@gradient_at.register
def _weight_noise(modifier: WeightNoise, score: Scored, params: Tree, key: jax.Array) -> tuple:
    noise = noise_like(params, key, modifier.weight_std)
    return score(jax.tree.map(jnp.add, params, noise))


@gradient_at.register
def _sam(modifier: SAM, score: Scored, params: Tree, key: jax.Array) -> tuple:
    scored, grads = score(params)
    tiny = jnp.finfo(jax.tree.leaves(params)[0].dtype).tiny
    length = modifier.radius / jnp.maximum(optax.tree.norm(grads), tiny)
    _, grads = score(jax.tree.map(lambda w, g: w + length * g, params, grads))
    return scored, grads


def gradient(
    modifiers: tuple[Modifier, ...], score: Scored, params: Tree, key: jax.Array
) -> tuple[Any, Tree]:
    """Scores of the network, and the gradient at its parameters or at a modifier's point.

    Args:
      modifiers: all modifiers of the experiment; at most one chooses another point.
      score: parameters → scores and gradient there.
      params: the network's parameters.
      key: key of the update's random numbers.
    """
    for modifier in modifiers:
        if isinstance(modifier, PerturbingModifier):
            return gradient_at(modifier, score, params, key)
    return score(params)


def transformations(
    modifiers: tuple[Modifier, ...], place: type[GradientModifier | UpdateModifier]
) -> list[tuple[int, Transformation]]:
    """The transformations of all modifiers of one class, each with its number in the whole list."""
    return [
        (at, transformation(modifier))
        for at, modifier in enumerate(modifiers)
        if isinstance(modifier, place)
    ]
