"""L lanes of one compiled program, each with a run.

The only place that vmaps and the only place that compiles. Between segments finished
runs leave their lanes and waiting ones take them; what a run computes depends on
neither its lane, nor its neighbours, nor the moment it entered. Several devices hold
equal shares of the lanes and never speak to each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from grokjax.config import Thresholds
from grokjax.engine import donors
from grokjax.engine.ending import LogPoints, ending
from grokjax.engine.plan import Program, Run
from grokjax.training import loop
from grokjax.training.captures import Captured
from grokjax.training.loop import State
from grokjax.training.spec import Hparams, Spec, shapes

DEVICE_ERRORS = (jax.errors.JaxRuntimeError, MemoryError)
"""What fails the runs of a program. Anything else, a full disk say, is no result of theirs."""
CompilerOptions = Mapping[str, Mapping[str, str | bool | float]]
"""Platform → options of its compiler."""
COMPILER_OPTIONS: CompilerOptions = {
    "cpu": {"xla_cpu_experimental_ynn_fusion_type": ""},
    "gpu": {"xla_gpu_dot_merger_threshold_mb": "0"},
    "tpu": {"exec_time_optimization_effort": -0.5},
}
"""XLA's default kernels for products and sums on processors took steps of these networks 5 to
25 % more time than those that it uses without them (2026-11-21, jaxlib 0.10.2). For GPUs it joins
products with the same weights, copying the rows of both for it: 46 of the 398 MB that a run-step
of two causal layers moved (compiled for an H100, 2026-11-25). The usual effort of the compiler for
TPUs takes 73 s of a processor's time for one layer in 64 lanes, half of it 26 s, for a program that
moves no more bytes (321 and 244 MB a run-step by `engine.hlo`, v5e, 2026-11-25)."""
RARELY_RUN: CompilerOptions = {
    "cpu": {"xla_backend_optimization_level": "0"},
    "tpu": {"exec_time_optimization_effort": -1.0},
}
"""Initial weights are drawn once a run; to optimise that takes the compiler seconds."""


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
        self._sharding = _sharding(program.devices)
        self._refill, self._segment, state = _compiled(
            program.spec, program.log_points, program.lanes, program.devices
        )
        with self._modes():
            self._state: State = jax.tree.map(
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
                self._state = self._refill(self._stacked_hparams(), *placed, self._state)
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
            outputs = self._segment(self._stacked_hparams(), self._state)
            self._state, self._metrics, self._captured = outputs

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
            points = LogPoints(step, metrics, measured, _kept(captured, lane))
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
        return [np.array(leaf) for leaf in jax.tree.leaves(self._state)]

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
        self._state = jax.tree.unflatten(jax.tree.structure(self._state), leaves)

    def _stacked_hparams(self) -> Hparams:
        stacked = jax.tree.map(lambda *lanes: np.stack(lanes), *self._hparams)
        return jax.device_put(stacked, self._sharding)

    def memory(self) -> int:
        """Bytes that a device needs for a segment, as the compiler has it."""
        return memory(self._segment)

    def _modes(self) -> contextlib.AbstractContextManager[None]:
        return modes(self.program.spec)


def _kept(captured: Captured | None, lane: int) -> dict[int, dict[str, np.ndarray]]:
    """The snapshots that a lane has taken in a segment."""
    if captured is None:
        return {}
    steps = captured.step[lane][: captured.count[lane]]
    return {
        int(step): donors.named(jax.tree.map(lambda x, at=at: x[lane, at], captured.kept))
        for at, step in enumerate(steps)
    }


@functools.lru_cache(maxsize=32)
def _compiled(
    spec: Spec, log_points: int, lanes: int, devices: int
) -> tuple[jax.stages.Compiled, jax.stages.Compiled, Any]:
    """Refill and segment of a program, and the shapes of its state.

    Compiled ahead: a call whose shapes had changed would fail, never recompile.
    """
    sharding = _sharding(devices)
    refill, segment = traced_programs(spec, log_points, lanes, sharding)
    return (
        compiled(spec, refill, sharding, RARELY_RUN),
        compiled(spec, segment, sharding, COMPILER_OPTIONS),
        _stacked(donors.state_shapes(spec), lanes, sharding),
    )


def compiled(
    spec: Spec, traced: jax.stages.Traced, sharding: NamedSharding, options: CompilerOptions
) -> jax.stages.Compiled:
    """A traced program of a spec, compiled for the devices of the sharding."""
    platform = sharding.mesh.devices.flat[0].platform
    with modes(spec):
        return traced.lower().compile(options.get(platform))


def memory(program: jax.stages.Compiled) -> int:
    """Bytes that a device needs for a compiled program."""
    found: Any = program.memory_analysis()
    sizes = ("temp", "argument", "output")
    # What is donated is counted with the arguments and with the output.
    return sum(getattr(found, f"{size}_size_in_bytes") for size in sizes) - (
        found.alias_size_in_bytes
    )


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

    def traced(function: Callable, *arguments: Any) -> jax.stages.Traced:
        sharded = jax.shard_map(
            jax.vmap(function),
            mesh=sharding.mesh,
            in_specs=sharding.spec,
            out_specs=sharding.spec,
            check_vma=False,  # what it checks is how devices share, and they share nothing
        )
        # The state comes last and is not needed afterwards.
        return jax.jit(sharded, donate_argnums=len(arguments) - 1).trace(*arguments)

    with modes(spec):
        hparams, gifts, fresh, state = (
            _stacked(one, lanes, sharding)
            for one in (
                shapes(spec),
                donors.donor_shapes(spec),
                jax.ShapeDtypeStruct((), bool),
                donors.state_shapes(spec),
            )
        )
        refill = traced(partial(_refill, spec), hparams, gifts, fresh, state)
        return refill, traced(partial(loop.segment, spec, log_points), hparams, state)


def _stacked(one: Any, lanes: int, sharding: NamedSharding) -> Any:
    """The shapes of a run's arrays with a leading axis of lanes."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct((lanes, *x.shape), x.dtype, sharding=sharding), one
    )


@contextlib.contextmanager
def modes(spec: Spec) -> Iterator[None]:
    """JAX as a spec wants it: float64 allowed, products as precise as it says."""
    with jax.enable_x64(spec.double), jax.default_matmul_precision(spec.matmul_precision):
        yield


def _sharding(devices: int) -> NamedSharding:
    """Lanes in equal shares over the first devices of this process."""
    mesh = jax.make_mesh((devices,), ("lanes",), devices=jax.local_devices()[:devices])
    return NamedSharding(mesh, PartitionSpec("lanes"))


def _refill(spec: Spec, hp: Hparams, gifts: loop.Donors, fresh: jax.Array, state: State) -> State:
    """A new run's state where `fresh`, else the state as it is."""
    return jax.tree.map(partial(jnp.where, fresh), loop.init(spec, hp, gifts), state)
