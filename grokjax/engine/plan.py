"""From an experiment to programs: which runs share a compilation, in how many lanes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from grokjax.config import ConfigError, Experiment
from grokjax.config.experiment import digest
from grokjax.engine import cost
from grokjax.training.spec import Hparams, Spec, spec_of

CACHE_FRIENDLY_ACTIVATIONS = 2**21
"""On a processor lanes gain nothing once their activations outgrow its caches: with two
cores, 1 to 8 lanes of width 128 were within noise of each other and 4 to 8 lanes of
width 32 to 48 took 15 to 50 % less time a run-step than one."""
MOST_LANES, MOST_LANES_ELSEWHERE = 8, 256
ACCELERATOR_BYTES = 4 * 2**30
"""Activations that the lanes of a program may hold together on an accelerator."""
TICK_SECONDS = 5.0
"""Nominal time of a segment: what a kill loses at most and a signal waits for, and large
beside the tens of milliseconds that a commit costs."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run and its name."""

    run_id: str
    config: Experiment

    @property
    def log_points(self) -> int:
        """Rows of its curve: one before the first update and one after each `log_every`."""
        return self.config.steps // self.config.log_every + 1

    def hparams(self) -> Hparams:
        """Its numbers, as NumPy scalars of the program's dtype."""
        real: Any = np.dtype(self.config.dtype).type
        whole: Any = np.int32
        seed: Any = np.uint32
        split_seed = self.config.seed if self.config.split_seed is None else self.config.split_seed
        return Hparams(
            optimizer={k: real(v) for k, v in self.config.optimizer.numbers().items()},
            init_scale=real(self.config.model.init_scale),
            n_train=whole(self.config.n_train),
            seed=seed(self.config.seed),
            split_seed=seed(split_seed),
        )


@dataclasses.dataclass(frozen=True)
class Program:
    """Runs that share a compiled program, in the order in which they enter its lanes."""

    spec: Spec
    runs: tuple[Run, ...]
    lanes: int
    log_points: int
    """Rows of a segment."""

    @property
    def name(self) -> str:
        """Short hash of the spec."""
        return spec_name(self.spec)


def shape(program: Program) -> dict[str, int]:
    """What the manifest keeps of a program, so that a later start cuts it the same way."""
    return {"lanes": program.lanes, "log_points": program.log_points}


def spec_name(spec: Spec) -> str:
    """Short hash of a spec."""
    return digest(dataclasses.asdict(spec))


def make(
    experiment: Experiment,
    *,
    backend: str = "cpu",
    lanes: int | None = None,
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Program]:
    """The programs of an experiment.

    Args:
      experiment: with its sweep.
      backend: JAX's name of the platform.
      lanes: asked for by the user, for every program.
      recorded: lanes and log points by program name, as an earlier start of the same
        sweep chose them; they are kept, because bits depend on the number of lanes.
    """
    if lanes is not None and lanes < 1:
        raise ConfigError(f"lanes={lanes}: give 1 lane or more.")
    groups: dict[Spec, list[Run]] = {}
    for config in experiment.runs():
        groups.setdefault(spec_of(config), []).append(Run(config.run_id, config))
    programs = []
    for spec, runs in groups.items():
        kept = (recorded or {}).get(spec_name(spec))
        if kept is None:
            count = min(lanes or _fastest_lanes(spec, len(runs), backend), len(runs))
            log_points = _segment_log_points(spec, runs, count, backend)
        else:
            count, log_points = kept["lanes"], kept["log_points"]
            if lanes not in (None, count, kept["asked_lanes"]):
                raise ConfigError(
                    f"lanes={lanes}: this sweep was started with {count} lanes, which its bits "
                    "depend on; go on without --lanes, or start over with --overwrite."
                )
        programs.append(Program(spec, tuple(runs), count, log_points))
    return programs


def _fastest_lanes(spec: Spec, n_runs: int, backend: str) -> int:
    if backend == "cpu":
        most = min(CACHE_FRIENDLY_ACTIVATIONS // cost.activations(spec), MOST_LANES)
    else:
        most = min(ACCELERATOR_BYTES // cost.lane_bytes(spec), MOST_LANES_ELSEWHERE)

    def lane_steps(lanes: int) -> float:
        """Cost of all runs: idle lanes in the last wave count, few lanes are a little slower."""
        return math.ceil(n_runs / lanes) * lanes * (1 + 0.15 / lanes)

    return min(range(1, max(1, most) + 1), key=lambda lanes: (lane_steps(lanes), -lanes))


def _segment_log_points(spec: Spec, runs: list[Run], lanes: int, backend: str) -> int:
    """About one tick's work, and a whole number of segments in the longest run."""
    total = max(run.log_points for run in runs)
    seconds = lanes * spec.log_every * cost.nominal_run_step_seconds(spec, backend)
    return math.ceil(total / math.ceil(total / max(1, TICK_SECONDS / seconds)))
