"""Changes at moments of a run, which make its stage a part of its state.

A moment is seen at a log point, from the network there: the change holds from that very update on,
or from the end of its delay. What the row of the curves says of the log point is still said under
the numbers before it.

Legend: G stages of a run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Experiment
from grokjax.training.spec import NEVER, Hparams, Spec, moments_of


def begin(spec: Spec, hp: Hparams) -> jax.Array | None:
    """Update from which each change of a new run is due, `[G - 1]`: never, until its moment comes.

    None where all changes are at steps, which the run's numbers tell.
    """
    if not spec.change_moments:
        return None
    waits = np.array([moment is not None for moment in spec.change_moments])
    return jnp.where(waits, NEVER, jnp.asarray(hp.change_steps))


def numbers(hp: Hparams, due: jax.Array | None) -> Hparams:
    """The numbers of a run with the steps of its changes as far as they are known."""
    if due is None:
        return hp
    # None holds before those that stand before it in the list: the stages build on each other.
    return dataclasses.replace(hp, change_steps=jax.lax.cummax(due))


def seen(
    spec: Spec, hp: Hparams, step: jax.Array, due: jax.Array, accuracies: Mapping[str, jax.Array]
) -> jax.Array:
    """Update from which each change is due, now that a log point has been looked at, `[G - 1]`.

    Args:
      spec: the program.
      hp: the numbers of the run.
      step: of the log point.
      due: what was known before it.
      accuracies: train and test accuracy at the log point, by the names of the curves' columns.
    """
    delays = jnp.asarray(hp.change_steps)
    now = list(due)
    for at, moment in enumerate(spec.change_moments):
        if moment is not None:
            name, least = moment
            # In float32, as everywhere that accuracies are compared with thresholds.
            come = accuracies[name].astype(jnp.float32) >= jnp.float32(least)
            now[at] = jnp.where(come & (due[at] == NEVER), step + delays[at], due[at])
    return jnp.stack(now)


def changes_by(run: Experiment, step: int, curve: Any) -> int:
    """How many changes of a run that has been trained hold at a step.

    Args:
      run: its configuration.
      step: update.
      curve: `step` and accuracies of the run's log points, by name.
    """
    due = []
    for change, moment in zip(run.changes, moments_of(run), strict=True):
        if moment is None:
            due.append(change.when)
            continue
        name, least = moment
        come = np.asarray(curve[name], np.float32) >= np.float32(least)
        first = np.asarray(curve["step"])[come][:1]
        due.append(int(first[0]) + change.when if len(first) else NEVER)
    return int(np.sum(np.maximum.accumulate(np.array(due, np.int64)) <= step)) if due else 0
