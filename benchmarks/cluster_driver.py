"""What a driver of many shards takes: `python benchmarks/cluster_driver.py [SHARDS RUNS ROWS]`.

A sweep of SHARDS × RUNS runs whose workers are made up: they leave the tables of finished runs,
ROWS rows a curve, without training. Prints the CPU seconds of the driver and of its joining, and
the memory of the process, its workers included. `--workers N` of them are there at once (100).

With `--out FILE` it measures what docs/clusters.md cites, each in a process of its own, and keeps
it: a dry run of 100,000 runs, the join of 20 million rows, and the memory with 10,000 shards;
`--only join` measures one of these anew.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import grokjax
from grokjax.cluster import parcel, worker
from grokjax.cluster.bundles import Sender
from grokjax.cluster.depot import open_depot
from grokjax.cluster.drive import Driver
from grokjax.cluster.engines import Ended, Job
from grokjax.cluster.join import Committer
from grokjax.cluster.shards import Shard
from grokjax.config import Cluster, Experiment
from grokjax.engine import plan, sweep
from grokjax.results import schema
from grokjax.results.files import write_table

SEEDS = 10
LARGE_GRID = """
import grokjax

experiment = grokjax.Experiment(
    sweep=grokjax.grid(
        weight_decay=[0.02 * n for n in range(1, 101)],
        train_fraction=[0.3 + 0.004 * n for n in range(100)],
        seed=range(10),
    )
)
"""
"""100,000 runs in 10,000 cells, whose training sets have 18 sizes of programs."""
AT_ONCE = 16
"""Workers that end between two looks."""
SWEEPS = {"join": (200, 10, 10_000, 16), "many_shards": (10_000, 10, 100, 100)}
"""Shards, runs, rows and workers of the sweep whose join is timed, and of that whose driver's
memory is watched. Shards become smaller in the end, so that there are more of them."""


MEASURED = ("planning", *SWEEPS)


class Made:
    """An engine whose workers leave tables at once.

    Args:
      folder: where they make them.
      rows: of a curve.
      workers: at once.
    """

    name = "made"

    def __init__(self, folder: Path, rows: int, workers: int) -> None:
        self.folder, self.rows, self.workers = folder, rows, workers
        self.ended: list[Ended] = []
        self.seconds = 0.0
        self._row: pa.Table | None = None
        self.shards = 0

    def capacity(self) -> int:
        return self.workers

    def submit(self, function: Any, jobs: list[Job]) -> list[str]:
        began = time.process_time()
        for job in jobs:
            (self._calibrate if function is worker.calibrate else self._train)(job)
            self.ended.append(Ended(job.attempt, None, lost=False))
        self.seconds += time.process_time() - began
        return [job.attempt for job in jobs]

    def wait(self, seconds: float) -> list[Ended]:
        ended, self.ended = self.ended[:AT_ONCE], self.ended[AT_ONCE:]
        return ended

    def adopt(self, handles: Any) -> set[str]:
        return set()

    def cancel(self, handles: Any) -> None:
        pass

    def close(self) -> None:
        pass

    def _calibrate(self, job: Job) -> None:
        programs = plan.make(parcel.unpacked(job.experiment))
        told = {
            p.name: {**plan.cut_of(p), "lanes": 1, "run_step_seconds": 0.01, "asked_lanes": None}
            for p in programs
        }
        for cut in told.values():
            cut["signature"] = {"kind": "made", "cores": 1, "lanes": 1, "devices": 1}
        open_depot(job.depot).put_json(f"calibrations/{job.attempt}/made.json", told)

    def _curve(self, run_id: str) -> dict[str, np.ndarray]:
        """Numbers that take as much room as those of a run: float32, falling with some noise."""
        rng = np.random.default_rng(int(run_id, 16))
        falls = np.exp(np.linspace(0, -4, self.rows)).astype(np.float32)
        return {
            name: falls * (1 + rng.random(self.rows, np.float32) / 16) for name in schema.METRICS
        }

    def _ended(self, experiment: Experiment) -> pa.Table:
        """The row of a run, for all of them: nobody but readers looks at what else is in it."""
        row = experiment.runs()[0].row()
        ended = {"status": "done", "stop_reason": "budget", "last_step": 10 * (self.rows - 1)}
        columns = schema.runs_schema(experiment)
        return pa.Table.from_pylist([{"run_id": "", **row, **ended}], schema=columns)

    def _train(self, job: Job) -> None:
        depot = open_depot(job.depot)
        shard = Shard.get(depot, job.shard)
        if self._row is None:
            self._row = self._ended(parcel.unpacked(job.experiment))
        step = 10 * np.arange(self.rows)
        curves = schema.curves_table([(run, step, self._curve(run)) for run in shard.runs])
        runs = self._row.take([0] * len(shard.runs))
        runs = runs.set_column(0, "run_id", pa.array(shard.runs))
        home = self.folder / job.attempt
        paths = [home / table / "00000000-00000000.parquet" for table in ("runs", "curves")]
        for path, table in zip(paths, (runs, curves), strict=True):
            path.parent.mkdir(parents=True)
            write_table(path, table)
        name = f"shards/{job.shard}/{job.attempt}"
        files = Sender(depot, name, home, {}).send("results", paths)
        depot.put_json(f"{name}/done.json", {"files": files})
        for path in paths:
            path.unlink()
        self.shards += 1


def main(shards: int, runs: int, rows: int, workers: int) -> dict[str, Any]:
    """Run it; what was measured."""
    spent = 0.0

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal spent
            began = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                spent += time.process_time() - began

        return wrapped

    for name in ("take", "finish"):
        setattr(Committer, name, timed(getattr(Committer, name)))
    began = time.process_time()
    experiment = Experiment(
        task=grokjax.ModularArithmetic("add", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        steps=10 * (rows - 1),
        log_every=10,
        settle_steps=None,
        keep_final=None,
        sweep=grokjax.grid(
            weight_decay=[1e-4 * n for n in range(max(1, shards * runs // SEEDS))],
            seed=range(SEEDS),
        ),
    )
    each = runs * 0.01 * experiment.steps / 60
    cluster = Cluster("inline", cores=1, shard_minutes=each)
    with tempfile.TemporaryDirectory() as where:
        engine = Made(Path(where) / "made", rows, workers)
        with Driver(cluster, engine) as train:
            options = sweep.RunOptions(
                None, False, False, lambda p: None, threading.Event(), None, "", train=train
            )
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sweep.run_in(experiment, Path(where) / "sweep", options)
        total = time.process_time() - began
        joined = rows * len(experiment.runs())
        return {
            "shards": engine.shards,
            "runs": len(experiment.runs()),
            "curve_rows": joined,
            "seconds_driver": round(total - engine.seconds, 2),
            "seconds_joining": round(spent, 2),
            "rows_a_second_of_joining": round(joined / spent),
            "mb_before": before // 1024,
            "mb_at_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "parts": len(list((Path(where) / "sweep" / "curves").iterdir())),
        }


def planning() -> dict[str, Any]:
    """CPU seconds of a dry run of the large grid, the start of Python and its imports included."""
    with tempfile.TemporaryDirectory() as where:
        file = Path(where) / "large.py"
        file.write_text(LARGE_GRID, encoding="utf-8")
        command = [sys.executable, "-m", "grokjax.sweep", str(file), "--dry-run"]
        command += ["--cluster", "slurm", "--workers", "100", "--out", str(Path(where) / "out")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)  # which tells of this process alone
            process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return {
        "says": next(line for line in told.splitlines() if "runs" in line).split(": ", 1)[1],
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "mb_at_most": used.ru_maxrss // 1024,
    }


def in_a_process(shards: int, runs: int, rows: int, workers: int) -> dict[str, Any]:
    """What `main` measures in a process of its own, whose memory nobody else has filled."""
    sizes = map(str, (shards, runs, rows, "--workers", workers))
    made = subprocess.run(
        [sys.executable, __file__, *sizes], check=True, stdout=subprocess.PIPE, text=True
    )
    told: dict[str, Any] = json.loads(made.stdout)
    return told


def record(path: Path, names: Sequence[str]) -> None:
    """Measure some of it and keep it beside what is known of the rest."""
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    told["machine"] = f"{os.cpu_count()} cores of {platform.machine()}, shared with other work"
    told["python"] = platform.python_version()
    told["command"] = "python benchmarks/cluster_driver.py --out results/trust/driver.json"
    for name in names:
        load = os.getloadavg()[0]
        measured = planning() if name == "planning" else in_a_process(*SWEEPS[name])
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        told[name] = {"date": date, "load": round(load, 1), **measured}
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, metavar="N", help="SHARDS RUNS ROWS")
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="+", choices=MEASURED, default=MEASURED)
    given = parser.parse_args()
    if given.out is not None:
        record(given.out, given.only)
    else:
        print(json.dumps(main(*(given.sizes or (1000, 10, 20)), given.workers)))
