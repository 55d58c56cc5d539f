"""Networks that were captured on their way, and what instruments measure of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokjax import measures
from grokjax.config import Instrument
from grokjax.measures import Measures, sharpness
from grokjax.models.plainly import plainly
from grokjax.training import loop, update
from grokjax.training.data import splits
from grokjax.training.loop import Donors
from grokjax.training.observing import observed, training_rows
from grokjax.training.spec import Hparams, Spec
from grokjax.training.words import Words


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Point:
    """The network of a run at a step, as it was captured."""

    step: jax.Array
    params: dict
    optimizer: update.OptimizerState | None
    end: dict | None
    """The parameters of the run's last snapshot."""


def measure(
    spec: Spec, instruments: tuple[Instrument, ...], hp: Hparams, donors: Donors, point: Point
) -> Measures:
    """The measurements of a captured network.

    Args:
      spec: the program of its run.
      instruments: what to measure.
      hp: the numbers of its run.
      donors: arrays of other runs that it started from.
      point: the network.
    """
    stage, words = hp.at(point.step)
    train, _ = splits(spec, hp)
    state = dataclasses.replace(loop.init(spec, hp, donors), step=point.step)
    start, moved, preconditioner, gradient = state.params, None, None, None
    if point.optimizer is not None:
        state = dataclasses.replace(state, params=point.params, optimizer=point.optimizer)
        after, info = loop.step(spec, hp, train, state)
        if spec.updates_see_the_network and not words.modifiers:
            gradient = info.gradient  # which the update has computed already
        moved = jax.tree.map(jnp.subtract, after.params, point.params)
        preconditioner = _preconditioner(words, point.optimizer)
    rows = training_rows(train, stage)
    more = {"start": start, "update": moved, "preconditioner": preconditioner, "end": point.end}
    seen = observed(spec, words, loop.layout(spec), point.params, rows, **more)
    if gradient is not None:
        vars(seen)["gradient"] = gradient
    with plainly():
        return measures.measure(instruments, seen)


def _preconditioner(words: Words, state: update.OptimizerState) -> Any:
    """What Adam divides its next update by, as `sharpness.adam_preconditioner`; None for others."""
    optimizer: Any = words.optimizer
    found = [s for s in jax.tree.leaves(state.direction, is_leaf=_is_adam) if _is_adam(s)]
    if len(found) != 1 or not hasattr(optimizer, "b1"):
        return None
    (adam,) = found
    betas = optimizer.b1, optimizer.b2
    return sharpness.adam_preconditioner(adam.nu, adam.count, *betas, optimizer.eps)


def _is_adam(state: Any) -> bool:
    return isinstance(state, optax.ScaleByAdamState)
