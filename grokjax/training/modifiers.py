"""What is done to gradients, updates and weights beside the optimiser's own direction.

A modifier stands in one of three places: where the gradient is taken (`PLACES`), on the
gradient before the optimiser (`GRADIENTS`), on the update after it (`UPDATES`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from grokjax.config import Modifier

Numbers = Mapping[str, jax.Array]
Tree = Any
Make = Callable[[Numbers, Any], optax.GradientTransformationExtraArgs]
"""Numbers and the modifier's configuration → a transformation, given `key`, `rate` and `factors`
of the rate by parameter."""


class Average(NamedTuple):
    """What Grokfast keeps: how many gradients it has seen, and their average or the last ones."""

    seen: jax.Array
    kept: Tree


def _stateless(function: Callable[..., Tree]) -> optax.GradientTransformationExtraArgs:
    """A transformation without a state; `function` takes gradients, parameters and a key."""

    def update(grads: Tree, state: Tree, params: Tree, *, key: Any, **_: Any) -> tuple:
        return function(grads, params, key), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def noise_like(tree: Tree, key: jax.Array, std: jax.Array) -> Tree:
    """Independent normal numbers in the shape of a tree."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    draws = (jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, leaves, strict=True))
    return jax.tree.unflatten(structure, [std * draw for draw in draws])


def _grokfast_ema(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
    memory, factor = numbers["memory"], numbers["factor"]

    def init(params: Tree) -> Average:
        return Average(jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(grads: Tree, state: Average, params: Tree, **_: Any) -> tuple[Tree, Average]:
        kept = jnp.where(state.seen == 0, 0, memory)  # the first gradient is the first average
        average = jax.tree.map(lambda a, g: kept * a + (1 - kept) * g, state.kept, grads)
        grads = jax.tree.map(lambda g, a: g + factor * a, grads, average)
        return grads, Average(state.seen + 1, average)

    return optax.GradientTransformationExtraArgs(init, update)


def _grokfast_ma(numbers: Numbers, modifier: Any) -> optax.GradientTransformationExtraArgs:
    window, factor = modifier.window, numbers["factor"]

    def init(params: Tree) -> Average:
        last = jax.tree.map(lambda x: jnp.zeros((window, *x.shape), x.dtype), params)
        return Average(jnp.zeros((), jnp.int32), last)

    def update(grads: Tree, state: Average, params: Tree, **_: Any) -> tuple[Tree, Average]:
        last = jax.tree.map(lambda a, g: a.at[state.seen % window].set(g), state.kept, grads)
        amount = jnp.where(state.seen + 1 >= window, factor, 0)
        grads = jax.tree.map(lambda g, a: g + amount * a.mean(axis=0), grads, last)
        return grads, Average(state.seen + 1, last)

    return optax.GradientTransformationExtraArgs(init, update)


def _ortho_grad(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
    def across(gradient: jax.Array, weight: jax.Array) -> jax.Array:
        tiny = jnp.finfo(weight.dtype).tiny
        along = jnp.sum(gradient * weight) / jnp.maximum(jnp.sum(weight * weight), tiny)
        rest = gradient - along * weight
        lengths = (jnp.sqrt(jnp.sum(jnp.square(x))) for x in (gradient, rest))
        length, of_rest = lengths
        return rest * (length / jnp.maximum(of_rest, tiny))

    return _stateless(lambda grads, params, key: jax.tree.map(across, grads, params))


def _gradient_noise(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
    def noisy(grads: Tree, params: Tree, key: jax.Array) -> Tree:
        noise = noise_like(grads, key, numbers["gradient_std"])
        return jax.tree.map(jnp.add, grads, noise)

    return _stateless(noisy)


def _l1(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
    strength = numbers["l1_strength"]
    return _stateless(
        lambda grads, params, key: jax.tree.map(
            lambda g, w: g + strength * jnp.sign(w), grads, params
        )
    )


def _decay_to_start(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
    def update(
        updates: Tree, start: Tree, params: Tree, *, rate: Any, factors: Tree, **_: Any
    ) -> tuple:
        pull = rate * numbers["start_decay"]

        def pulled(update: jax.Array, weight: jax.Array, first: jax.Array, factor: Any) -> Any:
            return update - pull * factor * (weight - first)

        return jax.tree.map(pulled, updates, params, start, factors), start

    return optax.GradientTransformationExtraArgs(lambda params: params, update)


def _norm_held(name: str, clamps: bool) -> Make:
    """After an update all weights together have this share of their initial norm, or at most it."""

    def make(numbers: Numbers, _: Any) -> optax.GradientTransformationExtraArgs:
        def update(updates: Tree, first: jax.Array, params: Tree, **_: Any) -> tuple:
            moved = jax.tree.map(jnp.add, params, updates)
            wanted = numbers[name] * first / optax.tree.norm(moved)
            factor = jnp.minimum(1, wanted) if clamps else wanted
            return jax.tree.map(lambda m, w: factor * m - w, moved, params), first

        return optax.GradientTransformationExtraArgs(optax.tree.norm, update)

    return make


GRADIENTS: dict[str, Make] = {
    "grokfast_ema": _grokfast_ema,
    "grokfast_ma": _grokfast_ma,
    "ortho_grad": _ortho_grad,
    "gradient_noise": _gradient_noise,
    "l1": _l1,
}
UPDATES: dict[str, Make] = {
    "decay_to_start": _decay_to_start,
    "norm_projection": _norm_held("norm_ratio", clamps=False),
    "norm_clamp": _norm_held("largest_ratio", clamps=True),
}

Scored = Callable[[Tree], tuple[Any, Tree]]
"""Parameters → what was scored there, and the gradient."""


def _weight_noise(numbers: Numbers, score: Scored, params: Tree, key: jax.Array) -> tuple:
    noise = noise_like(params, key, numbers["weight_std"])
    return score(jax.tree.map(jnp.add, params, noise))


def _sam(numbers: Numbers, score: Scored, params: Tree, key: jax.Array) -> tuple:
    scored, grads = score(params)
    tiny = jnp.finfo(jax.tree.leaves(params)[0].dtype).tiny
    length = numbers["radius"] / jnp.maximum(optax.tree.norm(grads), tiny)
    _, grads = score(jax.tree.map(lambda w, g: w + length * g, params, grads))
    return scored, grads


PLACES: dict[str, Callable[[Numbers, Scored, Tree, jax.Array], tuple]] = {
    "weight_noise": _weight_noise,
    "sam": _sam,
}


def gradient(
    modifiers: tuple[Modifier, ...],
    numbers: Mapping[str, Numbers],
    score: Scored,
    params: Tree,
    key: jax.Array,
) -> tuple[Any, Tree]:
    """What was scored at the parameters, and the gradient where the modifiers want it."""
    for at, modifier in enumerate(modifiers):
        if modifier.kind in PLACES:
            return PLACES[modifier.kind](numbers[f"modifiers.{at}"], score, params, key)
    return score(params)


def transformations(
    place: Mapping[str, Make], modifiers: tuple[Modifier, ...], numbers: Mapping[str, Numbers]
) -> list[tuple[int, optax.GradientTransformationExtraArgs]]:
    """Those of a place, each with the number of its modifier."""
    return [
        (at, place[modifier.kind](numbers[f"modifiers.{at}"], modifier))
        for at, modifier in enumerate(modifiers)
        if modifier.kind in place
    ]
