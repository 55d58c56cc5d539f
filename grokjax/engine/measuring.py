"""Instruments over many captured networks at a time, in a compiled program of their own.

Training captures the networks that the instruments of the table look at, and this measures them
beside it; snapshots are measured by the same program, after the fact.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import threadpoolctl

from grokjax.config import Instrument
from grokjax.engine import compiling, donors
from grokjax.engine.lanes import SegmentRows
from grokjax.engine.plan import Program, Run
from grokjax.measures import Measures
from grokjax.training import loop, points
from grokjax.training.points import Point
from grokjax.training.spec import Spec, of_table, shapes

OVER_A_STEP = 8
"""How many times the memory of a training step a measurement of a network may take: 5 with all
instruments of the table (p = 113, 177 MiB). So an eighth of the lanes is measured at a time, in the
memory that a segment has left."""
Measured = dict[str, dict[str, float]]
"""Instrument → part → value, of one network."""
MeasuredRun = tuple[str, np.ndarray, dict[str, dict[str, np.ndarray]]]
"""Id of a run, steps `[K]`, and instrument → part → values `[K]`."""


@dataclasses.dataclass(frozen=True)
class OnHost:
    """The network of a run at a step, on the host."""

    run: Run
    step: int
    arrays: Mapping[str, np.ndarray]
    """As in a snapshot's file."""
    end: Mapping[str, np.ndarray] | None = None
    """Those of the run's last snapshot."""


class Meter:
    """Instruments of a program, compiled for a number of networks at a time.

    Args:
      spec: of the program.
      instruments: what to measure.
      at_once: number of networks that are measured together, on all devices.
      devices: of this process, which share them equally.
      with_optimizer: whether the optimiser's state is among the captured arrays.
      with_end: whether networks come with the last snapshot of their run.
    """

    def __init__(
        self,
        spec: Spec,
        instruments: tuple[Instrument, ...],
        at_once: int,
        devices: int = 1,
        *,
        with_optimizer: bool = False,
        with_end: bool = False,
    ) -> None:
        self._spec, self.at_once = spec, at_once
        self._sharding = compiling.sharding(devices)
        state = donors.state_shapes(spec)
        self._point = _shapes(state, with_optimizer, with_end)
        self._program = _compiled(spec, instruments, at_once, devices, with_optimizer, with_end)

    def measure(self, networks: Sequence[OnHost]) -> list[Measured]:
        """The measurements of networks, in their order."""
        return self.start(networks)()

    def start(self, networks: Sequence[OnHost]) -> Callable[[], list[Measured]]:
        """Have the devices measure networks; a function that waits for it and returns the values.

        Call it: until then libraries of this process have one thread. Devices of one processor call
        LAPACK side by side, whose own threads would fight for it: all instruments of the table took
        468 ms with them and 295 ms without (p = 113, two cores).
        """
        limits = _libraries().limit(limits=1)
        firsts = range(0, len(networks), self.at_once)
        batches = [networks[first : first + self.at_once] for first in firsts]
        started = [self._start(batch) for batch in batches]

        def finish() -> list[Measured]:
            values = jax.tree.map(np.asarray, started)
            limits.restore_original_limits()
            return [
                {
                    instrument: {part: float(found[place]) for part, found in parts.items()}
                    for instrument, parts in of_batch.items()
                }
                for batch, of_batch in zip(batches, values, strict=True)
                for place in range(len(batch))
            ]

        return finish

    def memory(self) -> int:
        """Bytes that a device needs, as the compiler has it."""
        return compiling.memory(self._program)

    def _start(self, batch: Sequence[OnHost]) -> Measures:
        """Start with a batch; places that are left over measure the first once more."""
        whole = [*batch, *[batch[0]] * (self.at_once - len(batch))]
        gifts = [donors.read(self._spec, network.run.donors) for network in whole]
        each = [network.run.hparams() for network in whole], gifts, [*map(self._filled, whole)]
        with compiling.modes(self._spec):
            stacked = [jax.tree.map(lambda *leaves: np.stack(leaves), *one) for one in each]
            measures: Measures = self._program(*jax.device_put(stacked, self._sharding))
        return measures

    def _filled(self, network: OnHost) -> Point:
        """A captured network as the program takes it."""
        tree: dict[str, Any] = {"params": self._point.params}
        if self._point.optimizer is not None:
            tree["optimizer"] = self._point.optimizer
        arrays = donors.filled(tree, network.arrays)
        end = None
        if self._point.end is not None:
            assert network.end is not None  # the program was asked for with it
            end = donors.filled({"params": self._point.params}, network.end)["params"]
        step: Any = np.int32(network.step)
        return Point(step, arrays["params"], arrays.get("optimizer"), end)


@functools.cache
def _libraries() -> threadpoolctl.ThreadpoolController:
    """The libraries of this process that have threads of their own."""
    return threadpoolctl.ThreadpoolController()


def traced(
    spec: Spec, instruments: tuple[Instrument, ...], point: Point, at_once: int, sharding: Any
) -> jax.stages.Traced:
    """The program that measures, ready to be lowered for any platform.

    Args:
      spec: of the runs.
      instruments: what to measure.
      point: shapes of a captured network.
      at_once: number of networks that are measured together.
      sharding: the devices, which need not be there, and how networks lie on them.
    """
    arguments = shapes(spec), donors.donor_shapes(spec), point
    return compiling.traced_over(
        partial(points.measure, spec, instruments), arguments, at_once, sharding, spec
    )


def _shapes(state: loop.State, with_optimizer: bool, with_end: bool) -> Point:
    """The shapes of a captured network, from those of a run's state."""
    step: Any = jax.ShapeDtypeStruct((), np.dtype("int32"))
    optimizer = state.optimizer if with_optimizer else None
    return Point(step, state.params, optimizer, state.params if with_end else None)


@functools.lru_cache(maxsize=32)
def _compiled(
    spec: Spec,
    instruments: tuple[Instrument, ...],
    at_once: int,
    devices: int,
    with_optimizer: bool,
    with_end: bool,
) -> jax.stages.Compiled:
    state, sharding = donors.state_shapes(spec), compiling.sharding(devices)
    point = _shapes(state, with_optimizer, with_end)
    program = traced(spec, instruments, point, at_once, sharding)
    return compiling.compiled(spec, program, sharding, compiling.COMPILER_OPTIONS)


def meter_of(program: Program) -> Meter | None:
    """The instruments of the table of a program; None where its runs have none."""
    instruments = of_table(program.runs[0].config)
    if not instruments:
        return None
    assert program.spec.capture is not None  # which captures networks for them
    each = max(1, program.lanes // program.devices // OVER_A_STEP)
    return Meter(
        program.spec,
        instruments,
        program.devices * each,
        program.devices,
        with_optimizer=program.spec.capture.optimizer,
    )


def start_on_the_way(
    meter: Meter | None, rows: Sequence[SegmentRows]
) -> Callable[[], list[MeasuredRun]]:
    """Have the devices measure the networks that a segment has captured, before the next segment.

    Returns:
      A function that waits for what the instruments of the table measured.
    """
    networks = [
        OnHost(one.occupant.run, step, arrays)
        for one in rows
        for step, arrays in sorted(one.points.to_measure.items())
    ]
    if meter is None or not networks:
        return list
    finish = meter.start(networks)
    return lambda: by_run(networks, finish())


def by_run(networks: Sequence[OnHost], measured: Sequence[Measured]) -> list[MeasuredRun]:
    """What was measured of some networks, run by run."""
    rows: dict[str, list[tuple[int, Measured]]] = {}
    for network, found in zip(networks, measured, strict=True):
        rows.setdefault(network.run.run_id, []).append((network.step, found))
    return [
        (
            run_id,
            np.array([step for step, _ in of_run]),
            {
                instrument: {
                    part: np.array([found[instrument][part] for _, found in of_run])
                    for part in parts
                }
                for instrument, parts in of_run[0][1].items()
            },
        )
        for run_id, of_run in rows.items()
    ]
