"""Norms of the weights, how far they have come, and how they move."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokjax import models
from grokjax.config import Clipping, Norms, Trajectory
from grokjax.measures.observed import Observed, measured


def by_role(params: dict) -> dict[str, list[jax.Array]]:
    """The arrays of a network by their role: embed, body, unembed or bias."""
    found: dict[str, list[jax.Array]] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
        found.setdefault(models.group(path), []).append(leaf)
    return found


@measured.register
def norms(_: Norms, observed: Observed) -> dict[str, Any]:
    """‖w‖₂, ‖w‖∞ and the entropy of |w|, of all weights and by role."""
    groups = {"all": jax.tree.leaves(observed.params), **by_role(observed.params)}
    return {name: _of_weights(arrays) for name, arrays in groups.items()}


def _of_weights(arrays: list[jax.Array]) -> dict[str, jax.Array]:
    sizes = [jnp.abs(array) for array in arrays]
    total = sum((size.sum() for size in sizes), start=jnp.zeros((), sizes[0].dtype))
    shares = [size / jnp.maximum(total, jnp.finfo(total.dtype).tiny) for size in sizes]
    entropy = -sum(jax.scipy.special.xlogy(share, share).sum() for share in shares)
    count = sum(size.size for size in sizes)
    return {
        "norm": optax.tree.norm(arrays),
        "largest": jnp.stack([size.max() for size in sizes]).max(),
        "entropy": entropy / jnp.log(max(count, 2)),
    }


@measured.register
def clipping(_: Clipping, observed: Observed) -> dict[str, Any]:
    """Share of the updates since the last log point that each modifier has clipped."""
    return dict(observed.clipped or {})


@measured.register
def trajectory(_: Trajectory, observed: Observed) -> dict[str, Any]:
    """Distance and cosine to the start in all and by role; the next update beside the weights."""
    assert observed.start is not None  # the program is given it
    found: dict[str, Any] = {}
    now, start = by_role(observed.params), by_role(observed.start)
    both = {"all": (jax.tree.leaves(observed.params), jax.tree.leaves(observed.start))}
    for name, (here, there) in {**both, **{n: (now[n], start[n]) for n in now}}.items():
        found[name] = {
            "distance": optax.tree.norm(jax.tree.map(jnp.subtract, here, there)),
            "cosine": cosine(here, there),
        }
    if observed.update is not None:
        found["update"] = _of_update(observed, observed.update)
    return found


def _of_update(observed: Observed, update: dict) -> dict[str, jax.Array]:
    """The next update against the weights, and the gradient after it against that before."""
    norm = optax.tree.norm(observed.params)
    moved = jax.tree.map(jnp.add, observed.params, update)
    after = jax.grad(observed.train_loss)(moved)
    return {
        "relative": optax.tree.norm(update) / norm,
        # −d ln‖W‖ an update: to first order −⟨W, u⟩ / ‖W‖².
        "decay_rate": -optax.tree.vdot(observed.params, update) / norm**2,
        "gradient_cosine": cosine(observed.gradient, after),
        "gradient_norm": optax.tree.norm(observed.gradient),
    }


def cosine(one: Any, other: Any) -> jax.Array:
    """The cosine of two trees of arrays, 0 where either is 0."""
    lengths = optax.tree.norm(one) * optax.tree.norm(other)
    return optax.tree.vdot(one, other) / jnp.maximum(lengths, jnp.finfo(lengths.dtype).tiny)
