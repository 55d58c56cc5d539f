"""Lottery tickets: which weights a run trains."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp

from grokjax import models
from grokjax.config import Mask


def make_mask(mask: Mask, donor: dict, key: jax.Array) -> dict:
    """1 where a weight is trained and 0 where it is held at 0, in the shapes of the donor.

    Args:
      mask: which weights to train, and what share of them: `round(keep · n)` of n.
      donor: parameters whose magnitudes decide.
      key: key of the random numbers of the controls.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(donor)
    weights = [leaf for path, leaf in paths if models.group(path) != "bias"]
    sizes = [jnp.abs(leaf).reshape(-1) for leaf in weights]
    keys = jax.random.split(key, len(weights))
    draws = [jax.random.uniform(k, x.shape, jnp.float32) for k, x in zip(keys, sizes, strict=True)]
    scores = draws if mask.rule == "random" else sizes
    chosen = _largest(scores, jnp.asarray(mask.keep), mask.by_layer)
    if mask.rule == "random_by_layer":
        counts = [jnp.sum(one) for one in chosen]
        chosen = [_top(x, count) for x, count in zip(draws, counts, strict=True)]
    masks = iter(chosen)
    leaves = [
        jnp.ones_like(leaf)
        if models.group(path) == "bias"
        else next(masks).reshape(leaf.shape).astype(leaf.dtype)
        for path, leaf in paths
    ]
    return jax.tree.unflatten(structure, leaves)


def apply(mask: dict | None, tree: dict) -> dict:
    """The tree with 0 where the mask is 0; without a mask the tree itself."""
    return tree if mask is None else jax.tree.map(jnp.multiply, tree, mask)


def _largest(scores: list[jax.Array], keep: jax.Array, by_layer: bool) -> list[jax.Array]:
    """Which scores are the largest.

    Args:
      scores: arrays of them.
      keep: share to choose.
      by_layer: whether to choose this share of each array, instead of all arrays together.
    """
    if by_layer:
        return [_top(x, jnp.round(keep * x.size).astype(jnp.int32)) for x in scores]
    together = jnp.concatenate(scores)
    count = jnp.round(keep * together.size).astype(jnp.int32)
    ends = list(itertools.accumulate(x.size for x in scores))
    return jnp.split(_top(together, count), ends[:-1])


def _top(scores: jax.Array, count: jax.Array) -> jax.Array:
    """Whether each score is among the `count` largest; of equal ones the first count as larger."""
    return jnp.argsort(jnp.argsort(-scores, stable=True)) < count
