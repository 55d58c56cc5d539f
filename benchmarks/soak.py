"""A sweep of an hour on two nodes of Ray that are killed at random: bits and memory.

    pip install -e '.[test,ray]'
    PYTHONPATH=tests python benchmarks/soak.py --minutes 60 --out results/trust/soak.json

The grid is larger than the hour: when the time is over the driver is asked to stop, the runs that
have ended by then are trained once more in one process, and their rows are compared exactly.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from crashes import assert_same_rows, tables
from ray_nodes import Nodes

import grokjax

SEEDS = 20_000
LANES = 2
MOST_LOST = 1000
"""Kills that a shard may outlive here: they come faster than a poisoned run would die."""
SAMPLE_SECONDS = 60.0
BETWEEN_KILLS = 60.0
"""Mean seconds between two kills."""
AWAY = (2.0, 12.0)
"""Seconds that the cluster has a node less."""
EXPERIMENT = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=7),
    model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
    optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
    steps=6_000,
    log_every=100,
)
MEGABYTE = 1 << 20


def over(seeds: Any) -> grokjax.Experiment:
    """The sweep over some seeds."""
    return dataclasses.replace(EXPERIMENT, sweep=grokjax.grid(seed=list(seeds)))


def often() -> None:
    """Commits and pushes as often as can be, so that kills find all of them under way."""
    from grokjax.cluster import attempt
    from grokjax.engine import plan

    attempt.LOSS_SECONDS = 0.0
    plan.SEGMENT_SECONDS = plan.TICK_SECONDS = 0.1


def train(job: Any) -> None:
    """What a worker does."""
    from grokjax.cluster import worker

    worker.restrict(job)
    from grokjax.cluster import attempt

    often()
    attempt.run(job)


def calibrate(job: Any) -> None:
    """What chooses the segments."""
    from grokjax.cluster import worker

    worker.restrict(job)
    from grokjax.cluster import calibration

    often()
    calibration.run(job)


def drive(out: Path) -> None:
    """The driver, until it is asked to stop."""
    from benchmarks import soak
    from grokjax.cluster import loop, worker

    worker.train, worker.calibrate = soak.train, soak.calibrate
    loop.PUSH_SECONDS = 0.0
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    cluster = grokjax.Cluster("auto", shard_minutes=0.001, max_lost=MOST_LOST)
    how = {"lanes": LANES, "cluster": cluster, "stop": stop, "report": lambda progress: None}
    grokjax.run(over(range(SEEDS)), out, **how)


def alone(out: Path, seeds: list[int]) -> None:
    """The same runs in this process, with one device of one core."""
    grokjax.run(over(seeds), out, lanes=LANES, report=lambda progress: None)


def _megabytes(processes: list[psutil.Process]) -> list[float]:
    found = []
    for process in processes:
        try:
            found.append(round(process.memory_info().rss / MEGABYTE, 1))
        except psutil.NoSuchProcess:
            continue
    return found


class Soak:
    """The hour."""

    def __init__(self, nodes: Nodes, folder: Path, seconds: float) -> None:
        self._nodes, self._out, self._seconds = nodes, folder / "swept", seconds
        self._random = random.Random(0)
        self._names = iter(range(1 << 30))
        self.kills, self.attempts, self.resumed = 0, 0, 0
        self._seen: set[str] = set()
        self.memory: list[dict[str, Any]] = []

    def run(self) -> None:
        """Sweep until the time is over."""
        living = [self._add(), self._add()]
        command = [sys.executable, "-m", "benchmarks.soak", "--drive", str(self._out)]
        with (self._out.parent / "driver.log").open("w") as log:
            driver = subprocess.Popen(command, env=self._nodes.env, stdout=log, stderr=log)
        began = time.monotonic()
        kill = began + self._pause()
        sample = began
        while (now := time.monotonic()) < began + self._seconds:
            if driver.poll() is not None:
                raise RuntimeError(f"the driver has ended with {driver.returncode}")
            if now >= kill:
                self._nodes.kill(living.pop(self._random.randrange(len(living))))
                self.kills += 1
                time.sleep(self._random.uniform(*AWAY))
                living.append(self._add())
                kill = time.monotonic() + self._pause()
            if now >= sample:
                self._sample((now - began) / 60, driver.pid, living)
                sample += SAMPLE_SECONDS
            self._look()
            time.sleep(0.2)
        driver.send_signal(signal.SIGTERM)
        if driver.wait(600) != 0:
            raise RuntimeError(f"the driver has ended with {driver.returncode}")

    def _pause(self) -> float:
        return self._random.expovariate(1 / BETWEEN_KILLS)

    def _add(self) -> str:
        name = f"node{next(self._names)}"
        self._nodes.add(name)
        return name

    def _look(self) -> None:
        """Count the attempts, and those that went on where another was."""
        for path in self._out.glob(".work/depot/*/shards/*/*/begin.json"):
            if path.parent.name in self._seen:
                continue
            try:
                told = json.loads(path.read_text())
            except (OSError, ValueError):
                continue
            self._seen.add(path.parent.name)
            self.attempts += 1
            self.resumed += told["tick"] >= 0

    def _sample(self, minute: float, driver: int, living: list[str]) -> None:
        everybody = list(psutil.process_iter(["name", "cmdline"]))
        mine = [
            p for p in everybody if str(self._nodes.folder) in " ".join(p.info["cmdline"] or [])
        ]
        raylets = {self._nodes.raylets[name] for name in living}
        workers = [
            p for p in everybody if (p.info["name"] or "").startswith("ray::") and _of(p, raylets)
        ]
        found = {
            "minute": round(minute, 1),
            "driver_mb": _megabytes([psutil.Process(driver)])[0],
            "workers_mb": _megabytes([p for p in workers if "Agent" not in p.name()]),
            "head_mb": sum(_megabytes([p for p in mine if p.info["name"] == "gcs_server"])),
            "raylets_mb": _megabytes([psutil.Process(raylet) for raylet in raylets]),
            "kills": self.kills,
            "attempts": self.attempts,
        }
        self.memory.append(found)
        print(json.dumps(found), flush=True)


def _of(process: psutil.Process, raylets: set[int]) -> bool:
    try:
        return process.ppid() in raylets
    except psutil.NoSuchProcess:
        return False


def _difference(folder: Path) -> str | None:
    """In what the rows are not those of one process; the folder is kept then."""
    try:
        assert_same_rows(folder / "swept", folder / "alone")
    except AssertionError as error:
        return f"{folder}: {error}"
    return None


def _record(minutes: float) -> dict[str, Any]:
    root = str(Path(__file__).parents[1])
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    paths = os.pathsep.join([root, str(Path(root) / "tests")])
    env = {"PYTHONPATH": paths, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "JAX_NUM_CPU_DEVICES": "1"}
    with Nodes(env) as nodes:
        soak = Soak(nodes, folder, 60 * minutes)
        soak.run()
    runs, curves = tables(folder / "swept")
    seeds = sorted(runs["seed"].tolist())
    print(f"{len(seeds)} runs have ended; now in one process", flush=True)
    (folder / "seeds.json").write_text(json.dumps(seeds))
    core = str(min(os.sched_getaffinity(0)))
    command = ["taskset", "-c", core, sys.executable, "-m", "benchmarks.soak", "--alone"]
    subprocess.run([*command, str(folder / "alone")], env=os.environ | env, check=True)
    unlike = _difference(folder)
    if unlike is None:
        shutil.rmtree(folder)
    drivers = [point["driver_mb"] for point in soak.memory]
    return {
        "date": datetime.date.today().isoformat(),
        "command": f"PYTHONPATH=tests python benchmarks/soak.py --minutes {minutes:g}",
        "machine": f"{os.cpu_count()} cores, shared with other work, {platform.platform()}",
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "ray")},
            "grokjax": grokjax.__version__,
        },
        "minutes": minutes,
        "nodes": 2,
        "kills": soak.kills,
        "attempts": soak.attempts,
        "attempts_that_resumed": soak.resumed,
        "runs": len(runs),
        "curve_rows": len(curves),
        "status": runs["status"].value_counts().to_dict(),
        "unlike_one_process": unlike,
        "driver_mb_first_and_last_third": [
            round(sum(part) / len(part), 1)
            for part in (drivers[: len(drivers) // 3], drivers[-len(drivers) // 3 :])
        ],
        "memory": soak.memory,
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("results/trust/soak.json"))
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.drive:
        drive(options.drive)
    elif options.alone:
        alone(options.alone, json.loads((options.alone.parent / "seeds.json").read_text()))
    else:
        record = _record(options.minutes)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
