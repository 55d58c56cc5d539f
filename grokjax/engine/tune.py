"""Lanes, tiles and segments by a short timing on this machine.

A sweep of minutes is worth seconds of timing. What was found is remembered, so that the
same sweep is cut the same way the next time, to the same bits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from grokjax.config import Thresholds
from grokjax.config.identity import digest
from grokjax.engine import backend, caches, cost, plan
from grokjax.engine.compiling import DEVICE_ERRORS
from grokjax.engine.lanes import Lanes
from grokjax.engine.plan import Program

WORTH_SECONDS = 60.0
"""Nominal time of a sweep from which on it is timed first."""
GAIN = 0.97
"""More lanes must take less than this share of the time of fewer."""
ROW_SECONDS = 0.3
"""Nominal time of what is timed."""


@dataclasses.dataclass(frozen=True)
class Timing:
    """What was measured of a program."""

    lanes: int
    tiles: int
    run_step_seconds: float
    """Time of one update of one run, with its share of idle lanes and of the test evaluation."""
    bytes: int
    """Memory that a segment takes on each device."""

    @property
    def fits(self) -> bool:
        """Whether the memory holds it."""
        return math.isfinite(self.run_step_seconds)


def tuned(
    programs: Sequence[Program], recorded: Mapping[str, Any], say: Callable[[str], None]
) -> list[Program]:
    """The programs with the lanes and tiles that are fastest here.

    Those of an earlier start keep their shape, and so do all where timing would cost more
    than it gains. Programs that differ in their training rows alone are timed once.
    """
    new = [program for program in programs if program.name not in recorded]
    nominal = sum(
        program.run_step_seconds * run.config.steps for program in new for run in program.runs
    )
    if nominal < WORTH_SECONDS:
        return list(programs)
    timed = {}
    for family in plan.families(new):
        largest = family[0]
        best = _recalled(largest, say)
        for program in family:
            spec = dataclasses.replace(program.spec, tiles=best.tiles)
            share = cost.run_step_flops(spec) / cost.run_step_flops(largest.spec)
            seconds = best.run_step_seconds * share
            timed[program.name] = plan.cut(spec, program.runs, best.lanes, program.devices, seconds)
    return [timed.get(program.name, program) for program in programs]


def _recalled(program: Program, say: Callable[[str], None]) -> Timing:
    """The fastest lanes and tiles, remembered where this machine has timed the spec before."""
    device = jax.local_devices()[0]
    key = digest(
        {
            "spec": program.name,
            "runs": len(program.runs),
            "settles": plan.occupancy(program.runs, 2),
            "device": [device.device_kind, program.devices, backend.cores()],
            "versions": [jax.__version__, device.client.platform_version],
        }
    )
    found = caches.recall(key)
    if found is None:
        found = dataclasses.asdict(_fastest(program, say))
        caches.remember(key, found)
    return Timing(**found)


def _fastest(program: Program, say: Callable[[str], None]) -> Timing:
    """The best that doubling or halving the usual lanes leads to.

    Tiles are for what does not fit otherwise: 2, 4 and 8 of them took between 3 % less and
    8 % more time than one (width 128, two cores), and 15 % more at width 32.
    """

    def timed(lanes: int, tiles: int = 1) -> Timing:
        say(f"timing {lanes} lanes" + f" in {tiles} tiles" * (tiles > 1))
        spec = dataclasses.replace(program.spec, tiles=tiles)
        devices = min(program.devices, lanes)
        return measure(dataclasses.replace(program, spec=spec, lanes=lanes, devices=devices))

    def halved(lanes: int) -> int:
        """Half as many, still the same number on every device, or on half of the devices."""
        each = lanes // program.devices
        return program.devices * (each // 2) if each > 1 else lanes // 2

    best = start = timed(program.lanes)
    # More lanes first: where they help, they help again and again, and each timing compiles.
    while best.fits and 2 * best.lanes <= len(program.runs):
        more = timed(2 * best.lanes)
        if more.run_step_seconds > GAIN * best.run_step_seconds:
            break
        best = more
    # Fewer only where more did not pay, or did not fit. They must be clearly worse to be refused:
    # at equal speed fewer lanes idle less at the end of the queue.
    while best.lanes <= start.lanes and best.lanes > 1:
        fewer = timed(halved(best.lanes))
        if fewer.run_step_seconds > best.run_step_seconds / GAIN:
            break
        best = fewer
    # One lane does not fit: its rows go through the network in pieces.
    while not best.fits and best.tiles < program.spec.train_rows[1]:
        best = timed(best.lanes, 2 * best.tiles)
    return best


def measure(program: Program) -> Timing:
    """Time a program in its lanes and tiles; infinitely slow if the memory cannot hold it."""
    spec = program.spec
    # Few enough updates to take a third of a second by count; what they compute does not matter.
    updates = int(ROW_SECONDS / (program.lanes * program.run_step_seconds))
    spec = dataclasses.replace(spec, log_every=max(1, min(spec.log_every, updates)))
    program = dataclasses.replace(program, spec=spec, log_points=1)
    seconds, memory = math.inf, 0
    with contextlib.suppress(*DEVICE_ERRORS):
        lanes = Lanes(program, Thresholds())
        memory = lanes.memory()
        if memory <= plan.MEMORY_SHARE * (plan.device_memory() or math.inf):
            lanes.fill(deque(program.runs))
            _segment_seconds(lanes)
            seconds = min(_segment_seconds(lanes) for _ in range(3))
    used = program.run_steps * plan.occupancy(program.runs, program.lanes)
    return Timing(program.lanes, spec.tiles, seconds / used, memory)


def _segment_seconds(lanes: Lanes) -> float:
    began = time.perf_counter()
    lanes.advance()
    lanes.wait()
    return time.perf_counter() - began
