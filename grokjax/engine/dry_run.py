"""What a sweep would do and cost, without doing it."""

from __future__ import annotations

from pathlib import Path

import jax

from grokjax import display
from grokjax.config import Experiment
from grokjax.engine import cost, folder, plan
from grokjax.results.store import Store

MATMUL_SHARE = 0.4
"""Share of the matrix-product rate that training steps reach. On two cores with 200 GFLOP/s it was
0.26 for `quickstart` (width 32) and 0.62 for `reference_p53` (width 128), so an estimate is good to
a factor of two (2026-11-21)."""
BYTES_PER_CURVE_ROW = 22
"""Compressed; the three sweeps under results/recorded have 20.4 to 22.1."""


def describe(experiment: Experiment, out: Path, lanes: int | None, overwrite: bool) -> str:
    """The dry run as text."""
    folder.check_free(out)
    old = None if overwrite else folder.earlier_start(experiment, out)
    backend = jax.default_backend()
    recorded = old["programs"] if old else {}
    programs = plan.make(experiment, backend=backend, lanes=lanes, recorded=recorded)
    runs = [run for program in programs for run in program.runs]
    ended = set() if overwrite else set(Store(out).ended()["run_id"])
    ended &= {run.run_id for run in runs}
    rate = cost.measured_matmul_rate() * MATMUL_SHARE
    overhead = cost.RUN_STEP_OVERHEAD.get(backend, 0.0)
    seconds = sum(
        run.config.steps * (cost.run_step_flops(program.spec) / rate + overhead)
        for program in programs
        for run in program.runs
        if run.run_id not in ended
    )
    rows = sum(run.log_points for run in runs)
    lines = [f"{out}: {len(runs)} runs, {len(runs) - len(ended)} to do, {len(ended)} done"]
    lines += [f"  {path}: {_listed(values)}" for path, values in experiment.axes().items()]
    lines.append(f"{len(programs)} compiled programs on {backend}:")
    for program in programs:
        memory = program.lanes * cost.lane_bytes(program.spec)
        smallest, largest = program.spec.train_rows
        lines.append(
            f"  {program.name}: {len(program.runs)} runs of {smallest}-{largest} training rows in "
            f"{program.lanes} lanes, segments of {program.log_points} log points, "
            f"about {memory / 2**20:.0f} MiB of activations"
        )
    lines.append(f"about {display.duration(seconds)} (within a factor of two, by counted FLOPs)")
    lines.append(f"about {rows * BYTES_PER_CURVE_ROW / 2**20:.1f} MiB of curves on disk")
    return "\n".join(lines)


def _listed(values: list) -> str:
    shown = [str(value) for value in values]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:3], "…", shown[-1]])
