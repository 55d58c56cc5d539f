"""Snapshots: which log points of a run the program stores, and the arrays of them.

Legend: places are as many snapshots as a segment may take.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.training.spec import Hparams, Spec, spaced_steps

if TYPE_CHECKING:
    from grokjax.training.loop import Metrics, State

Seen = dict[str, jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Captured:
    """Snapshots that a segment has taken, and one more place that is never read.

    Every log point writes somewhere, for whether it is wanted is a number in the program and not a
    branch: a snapshot that is not wanted goes to the last place.
    """

    step: jax.Array  # [places + 1], step of each snapshot, -1 where there is none
    stored: jax.Array  # [places + 1], whether it goes to disk
    measured: jax.Array  # [places + 1], whether the instruments of the table look at it
    count: jax.Array  # places that are taken
    kept: dict  # [places + 1, ...], parameters, and the optimiser's state where it is asked for


def begin(spec: Spec) -> tuple[Seen, jax.Array | None]:
    """What the state of a new run says of moments and of calm: none has come, and it is not."""
    seen = {moment: jnp.zeros((), bool) for moment in _thresholds(spec)}
    if spec.capture is None or spec.capture.ends is None:
        return seen, None
    return {**seen, "end": jnp.zeros((), bool)}, jnp.full((), -1, jnp.int32)


def nothing(spec: Spec, log_points: int, state: State) -> Captured | None:
    """Where a segment's snapshots go; None where it takes none."""
    if spec.capture is None:
        return None
    places = 1 + most_captured(spec, log_points)
    empty = jax.tree.map(lambda x: jnp.zeros((places, *x.shape), x.dtype), _snapshot(spec, state))
    none, never = jnp.full(places, -1, jnp.int32), jnp.zeros(places, bool)
    return Captured(none, never, never, jnp.zeros((), jnp.int32), empty)


def most_captured(spec: Spec, log_points: int) -> int:
    """Largest number of log points of a segment that are captured."""
    if spec.capture is None:
        return 0
    moments = len(_thresholds(spec)) + (spec.capture.ends is not None)
    # Steps that are evenly spaced in the logarithm are nowhere denser than at the start.
    first = sum(step < log_points * spec.log_every for step in _table_steps(spec))
    return min(log_points, spec.capture.steps + moments + first)


def _table_steps(spec: Spec) -> tuple[int, ...]:
    """Steps at which the instruments of the table look."""
    assert spec.capture is not None  # asked for by captures only
    return spaced_steps(spec.log_every, spec.capture.table) if spec.capture.table else ()


def take(
    spec: Spec, hp: Hparams, state: State, metrics: Metrics, captured: Captured
) -> tuple[Seen, jax.Array | None, Captured]:
    """Take a snapshot of this log point if its step, an accuracy or the run's end asks for it.

    Args:
      spec: the program.
      hp: the numbers of the run.
      state: the run at the log point.
      metrics: of the log point.
      captured: the segment's snapshots so far.

    Returns:
      Which moments have come by now, since when the run is calm, and the segment's snapshots with
      this one where it is wanted.
    """
    come = {
        # In float32, as everywhere that accuracies are compared with thresholds.
        moment: getattr(metrics, name).astype(jnp.float32) >= jnp.float32(least)
        for moment, (name, least) in _thresholds(spec).items()
    }
    calm_since = state.calm_since
    if calm_since is not None:
        calm_since, come["end"] = _stop(spec, hp, state, metrics)
    stored = jnp.any(hp.snapshot_steps == state.step)
    seen = dict(state.seen)
    for moment, reached in come.items():
        stored |= reached & ~seen[moment]
        seen[moment] |= reached
    measured = jnp.any(np.array(_table_steps(spec), np.int32) == state.step)
    wanted = stored | measured
    place = jnp.where(wanted, captured.count, len(captured.step) - 1)  # the last is never read
    step = captured.step.at[place].set(state.step)
    marks = captured.stored.at[place].set(stored), captured.measured.at[place].set(measured)
    both = jax.tree.map(
        lambda all, one: all.at[place].set(one), captured.kept, _snapshot(spec, state)
    )
    return seen, calm_since, Captured(step, *marks, captured.count + wanted, both)


def _stop(spec: Spec, hp: Hparams, state: State, metrics: Metrics) -> tuple[jax.Array, jax.Array]:
    """Since when the run is calm, and whether this log point ends it, as `engine.lanes` will say.

    The host learns where a run has ended when the segment is over and its parameters have gone on.
    So the program decides it too, by the same rule: diverged, out of budget, or settled.
    """
    assert spec.capture is not None and spec.capture.ends is not None  # asked for by captures only
    assert state.calm_since is not None
    budget, calm_steps = hp.stop
    changes = jnp.asarray(hp.change_steps)
    if spec.change_moments:  # `spec.calm_steps` sees to these
        waits = np.array([moment is not None for moment in spec.change_moments])
        changes = jnp.where(waits, 0, changes)
    calm = jnp.all(state.step >= changes)  # before its last change a run does not settle
    names = ("train_accuracy", "test_accuracy")
    for name, least in zip(names, spec.capture.ends, strict=True):
        accuracy = getattr(metrics, name).astype(jnp.float32)
        reached = accuracy >= jnp.float32(least)
        calm &= reached | jnp.isnan(accuracy) if spec.may_lack_tests else reached
    since = jnp.where(calm, jnp.where(state.calm_since < 0, state.step, state.calm_since), -1)
    settled = calm & (state.step - since >= calm_steps)
    diverged = ~jnp.isfinite(metrics.train_loss + metrics.weight_norm)
    return since, settled | diverged | (state.step >= budget)


def _thresholds(spec: Spec) -> dict[str, tuple[str, float]]:
    """Moment of a snapshot → the accuracy, and the value that is first reached then."""
    if spec.capture is None:
        return {}
    both = {
        "t_mem": ("train_accuracy", spec.capture.memorised),
        "t_grok": ("test_accuracy", spec.capture.grokked),
    }
    return {m: (name, float(least)) for m, (name, least) in both.items() if least is not None}


def _snapshot(spec: Spec, state: State) -> dict[str, Any]:
    """The arrays that a snapshot holds."""
    assert spec.capture is not None  # asked for by captures only
    optimizer = {"optimizer": state.optimizer} if spec.capture.optimizer else {}
    return {"params": state.params, **optimizer}
