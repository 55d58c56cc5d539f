"""What a driver of many shards takes: `python benchmarks/cluster_driver.py [SHARDS RUNS ROWS]`.

A sweep of SHARDS × RUNS runs whose workers are made up: they leave the tables of finished runs,
ROWS rows a curve, without training. Prints the seconds of planning, of joining a million rows,
and the memory of the process, its workers included.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

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


class Made:
    """An engine whose workers leave tables at once."""

    name = "made"

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder, self.rows = folder, rows
        self.ended: list[Ended] = []
        self.seconds = 0.0
        self.shards = 0

    def capacity(self) -> int:
        return 1000

    def submit(self, function: Any, jobs: list[Job]) -> list[str]:
        began = time.process_time()
        for job in jobs:
            (self._calibrate if function is worker.calibrate else self._train)(job)
            self.ended.append(Ended(job.attempt, None, lost=False))
        self.seconds += time.process_time() - began
        return [job.attempt for job in jobs]

    def wait(self, seconds: float) -> list[Ended]:
        ended, self.ended = self.ended, []
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

    def _train(self, job: Job) -> None:
        depot = open_depot(job.depot)
        shard = Shard.get(depot, job.shard)
        experiment = parcel.unpacked(job.experiment)
        rng, step = np.random.default_rng(0), 10 * np.arange(self.rows)
        metrics = {name: rng.random(self.rows) for name in schema.METRICS}
        curves = schema.curves_table([(run, step, metrics) for run in shard.runs])
        ended = {"status": "done", "stop_reason": "budget", "last_step": int(step[-1])}
        rows = [
            {"run_id": name, **run.row(), **ended}
            for name, run in experiment.expansion.runs.items()
        ]
        runs = schema.runs_table(rows, schema.runs_schema(experiment))
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


def main(shards: int, runs: int, rows: int) -> None:
    """Run it and print what was measured."""
    spent: dict[str, float] = {"join": 0.0}

    def timed(method: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                spent["join"] += time.process_time() - began

        return wrapped

    for name in ("take", "finish"):
        setattr(Committer, name, timed(getattr(Committer, name)))
    began = time.process_time()
    seeds = 10
    decays = [1e-4 * n for n in range(max(1, shards * runs // seeds))]
    experiment = Experiment(
        task=grokjax.ModularArithmetic("add", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        steps=10 * (rows - 1),
        log_every=10,
        settle_steps=None,
        keep_final=None,
        sweep=grokjax.grid(weight_decay=decays, seed=range(seeds)),
    )
    each = runs * 0.01 * experiment.steps / 60
    cluster = Cluster("inline", cores=1, shard_minutes=each)
    with tempfile.TemporaryDirectory() as where:
        engine = Made(Path(where) / "made", rows)
        with Driver(cluster, engine) as train:

            def timed_train(*args: Any) -> bool:
                return train(*args)

            options = sweep.RunOptions(
                None, False, False, lambda p: None, threading.Event(), None, "", train=timed_train
            )
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sweep.run_in(experiment, Path(where) / "sweep", options)
        total = time.process_time() - began
        told = {
            "shards": engine.shards,
            "runs": len(experiment.runs()),
            "curve_rows": rows * len(experiment.runs()),
            "seconds_driver": round(total - engine.seconds, 2),
            "seconds_joining": round(spent["join"], 2),
            "rows_a_second_of_joining": round(rows * len(experiment.runs()) / spent["join"]),
            "mb_before": before // 1024,
            "mb_at_most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "parts": len(list((Path(where) / "sweep" / "curves").iterdir())),
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:] or (1000, 10, 20)))
