"""L lanes of one compiled program, each with a run.

Between segments finished runs leave their lanes and waiting ones take them; what a run
computes depends on neither its lane, nor its neighbours, nor the moment it entered.
Several devices hold equal shares of the lanes and never speak to each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from grokjax.config import Thresholds
from grokjax.engine import donors
from grokjax.engine.compiling import (
    COMPILER_OPTIONS,
    RARELY_RUN,
    compiled,
    memory,
    modes,
    sharding,
    stacked,
    traced_over,
)
from grokjax.engine.ending import LogPoints, ending
from grokjax.engine.plan import Program, Run
from grokjax.training import loop
from grokjax.training.captures import Captured
from grokjax.training.loop import State
from grokjax.training.spec import Hparams, Spec, shapes


@dataclasses.dataclass(eq=False)
class Occupant:
    """A run in a lane, and how far it is."""

    run: Run
    step: int = 0
    """Update that its next row of the curves belongs to."""
    wall_s: float = 0.0
    calm_since: int | None = None
    """Step since which it has been above the thresholds of the stop rule."""
    passed: LogPoints | None = None
    """Log points that it passed before it entered this lane and has no rows of yet."""


@dataclasses.dataclass(frozen=True)
class SegmentRows:
    """The log points that a segment added to one run."""

    lane: int
    occupant: Occupant
    points: LogPoints
    stop_reason: str | None
    """Why the last of them is the run's last, if it is: diverged, budget or settled."""
    beyond: LogPoints
    """What its lane has passed since then."""


Resting = tuple[Occupant, list[np.ndarray]]
"""A run that has trained before, and the leaves of the state that it goes on from."""


def _begins(run: Run) -> None:
    """The run has no state to go on from."""


class Lanes:
    """The devices' side of one program."""

    def __init__(self, program: Program, thresholds: Thresholds) -> None:
        self.program = program
        self.occupants: list[Occupant | None] = [None] * program.lanes
        self._thresholds = thresholds
        self._hparams = [program.runs[0].hparams()] * program.lanes
        self._sharding = sharding(program.devices)
        self._refill, self._segment, state = _compiled(
            program.spec, program.log_points, program.lanes, program.devices
        )
        with self._modes():
            self.state: State = jax.tree.map(
                lambda x: jnp.zeros(x.shape, x.dtype, device=self._sharding), state
            )
        self._metrics: loop.Metrics | None = None
        self._captured: Captured | None = None

    @property
    def busy(self) -> bool:
        """Whether any lane has a run."""
        return any(self.occupants)

    def fill(self, queue: deque[Run], resting: Callable[[Run], Resting | None] = _begins) -> None:
        """Give every free lane the next run of the queue.

        Args:
          queue: of runs.
          resting: says what a run goes on from; None: it begins.
        """
        fresh = np.zeros(len(self.occupants), bool)
        given = donors.donor_shapes(self.program.spec)
        gifts = jax.tree.map(lambda x: np.zeros((len(fresh), *x.shape), x.dtype), given)
        states: dict[int, list[np.ndarray]] = {}
        for lane, occupant in enumerate(self.occupants):
            if occupant is not None or not queue:
                continue
            run = queue.popleft()
            self._hparams[lane] = run.hparams()
            if (rests := resting(run)) is not None:
                self.occupants[lane], states[lane] = rests
                continue
            self.occupants[lane], fresh[lane] = Occupant(run), True
            for all_lanes, one in zip(
                jax.tree.leaves(gifts),
                jax.tree.leaves(donors.read(self.program.spec, run.donors)),
                strict=True,
            ):
                all_lanes[lane] = one
        if fresh.any():
            with self._modes():
                placed = jax.device_put((gifts, fresh), self._sharding)
                self.state = self._refill(self._stacked_hparams(), *placed, self.state)
        if states:
            self._go_on(states)

    def _go_on(self, states: Mapping[int, list[np.ndarray]]) -> None:
        """Give lanes the states of runs that have trained before."""
        arrays = self.arrays()
        for lane, state in states.items():
            for all_lanes, one in zip(arrays, state, strict=True):
                all_lanes[lane] = one
        self._place(arrays)

    def advance(self) -> None:
        """Start a segment; returns before it is done."""
        with self._modes():
            outputs = self._segment(self._stacked_hparams(), self.state)
            self.state, self._metrics, self._captured = outputs

    def wait(self) -> None:
        """Wait for the segment."""
        jax.block_until_ready(self._metrics)

    def collect(self) -> list[SegmentRows]:
        """Wait for the segment and take its rows, cut at each run's end."""
        assert self._metrics is not None  # a segment was started
        columns, measures = jax.tree.map(
            np.asarray, (self._metrics.columns(), self._metrics.measures)
        )
        log_every = self.program.spec.log_every
        captured = self._taken()
        collected = []
        for lane, occupant in enumerate(self.occupants):
            if occupant is None:
                continue
            step = occupant.step + log_every * np.arange(self.program.log_points)
            metrics, measured = jax.tree.map(lambda x, lane=lane: x[lane], (columns, measures))
            points = LogPoints(step, metrics, measured, *self._kept(captured, lane))
            if occupant.passed is not None:
                shift = len(occupant.passed.step) * log_every
                points = dataclasses.replace(points, step=step + shift)
                points, occupant.passed = occupant.passed.followed_by(points), None
            end = ending(occupant.run.config, self._thresholds, points.curve(), occupant.calm_since)
            own, beyond = points.split(end.rows)
            collected.append(SegmentRows(lane, occupant, own, end.reason, beyond))
            occupant.step = int(own.step[-1]) + log_every
            occupant.calm_since = end.calm_since
        return collected

    def _kept(self, captured: Captured | None, lane: int) -> tuple[dict, dict]:
        """The arrays that a lane has captured in a segment: for the disk, and to be measured."""
        if captured is None:
            return {}, {}
        named = [
            donors.named(jax.tree.map(lambda x, at=at: x[lane, at], captured.kept))
            for at in range(captured.count[lane])
        ]
        both: tuple[dict, dict] = ({}, {})
        for which, marks in zip(both, (captured.stored, captured.measured), strict=True):
            which.update(
                (int(captured.step[lane, at]), arrays)
                for at, arrays in enumerate(named)
                if marks[lane, at]
            )
        schedule = self.program.runs[0].config.snapshots
        if schedule is not None and not schedule.with_optimizer:  # captured for instruments alone
            both[0].update({step: _params(arrays) for step, arrays in both[0].items()})
        return both

    def _taken(self) -> Captured | None:
        """What the lanes have captured, on the host; None where that is nothing."""
        if self._captured is None or not np.asarray(self._captured.count).any():
            return None
        return jax.tree.map(np.asarray, self._captured)

    def release(self, occupant: Occupant) -> None:
        """Free the lane of a run that has ended."""
        self.occupants[self.occupants.index(occupant)] = None

    def arrays(self) -> list[np.ndarray]:
        """A copy of the lanes' state on the host."""
        return [np.array(leaf) for leaf in jax.tree.leaves(self.state)]

    def restore(self, arrays: list[np.ndarray], occupants: list[Occupant | None]) -> None:
        """Go on from what `arrays` returned and the occupants of that moment."""
        self._place(arrays)
        self.occupants = occupants
        for lane, occupant in enumerate(occupants):
            if occupant is not None:
                self._hparams[lane] = occupant.run.hparams()

    def _place(self, arrays: list[np.ndarray]) -> None:
        """Make arrays of the host the lanes' state."""
        with self._modes():
            leaves = [jax.device_put(array, self._sharding) for array in arrays]
        self.state = jax.tree.unflatten(jax.tree.structure(self.state), leaves)

    def _stacked_hparams(self) -> Hparams:
        stacked = jax.tree.map(lambda *lanes: np.stack(lanes), *self._hparams)
        return jax.device_put(stacked, self._sharding)

    def memory(self) -> int:
        """Bytes that a device needs for a segment, as the compiler has it."""
        return memory(self._segment)

    def _modes(self) -> contextlib.AbstractContextManager[None]:
        return modes(self.program.spec)


def _params(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Those of some named arrays that are parameters."""
    return {name: array for name, array in arrays.items() if name.startswith("params/")}


@functools.lru_cache(maxsize=32)
def _compiled(
    spec: Spec, log_points: int, lanes: int, devices: int
) -> tuple[jax.stages.Compiled, jax.stages.Compiled, Any]:
    """Refill and segment of a program, and the shapes of its state.

    Compiled ahead: a call whose shapes had changed would fail, never recompile.
    """
    places = sharding(devices)
    refill, segment = traced_programs(spec, log_points, lanes, places)
    return (
        compiled(spec, refill, places, RARELY_RUN),
        compiled(spec, segment, places, COMPILER_OPTIONS),
        stacked(donors.state_shapes(spec), lanes, places),
    )


def _refill(spec: Spec, hp: Hparams, gifts: loop.Donors, fresh: jax.Array, state: State) -> State:
    """A new run's state where `fresh`, else the state as it is."""
    return jax.tree.map(partial(jnp.where, fresh), loop.init(spec, hp, gifts), state)


def traced_programs(
    spec: Spec, log_points: int, lanes: int, sharding: NamedSharding
) -> tuple[jax.stages.Traced, jax.stages.Traced]:
    """Refill and segment over the lanes, ready to be lowered for any platform.

    Args:
      spec: of the program.
      log_points: rows of a segment.
      lanes: on all devices together.
      sharding: the devices, which need not be there, and how lanes lie on them.
    """
    hparams, gifts, state = shapes(spec), donors.donor_shapes(spec), donors.state_shapes(spec)
    fresh = jax.ShapeDtypeStruct((), bool)
    # The state comes last and is not needed afterwards.
    traced = partial(traced_over, lanes=lanes, sharding=sharding, spec=spec, donates_last=True)
    return (
        traced(partial(_refill, spec), (hparams, gifts, fresh, state)),
        traced(partial(loop.segment, spec, log_points), (hparams, state)),
    )
