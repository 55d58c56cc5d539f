"""One attempt at a shard: a sweep of its runs in a folder of this machine, pushed as it goes.

The folder has all that a sweep's folder has (lock, parts, checkpoints), on a disk where that
works. Every now and then the last commit is put into the depot. An attempt that dies costs what
came after it; the next one begins at the furthest commit of any, to the same bits.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from grokjax.cluster import bundles, gifts, parcel, shards, signature, worker
from grokjax.cluster.bundles import Sender
from grokjax.cluster.depot import Depot, open_depot
from grokjax.cluster.engines import Job
from grokjax.cluster.shards import Commit, Shard
from grokjax.config import ConfigError, Experiment
from grokjax.display import counters
from grokjax.engine import backend, checkpoint, final_states, results_folder, sweep
from grokjax.engine.compiling import out_of_memory
from grokjax.engine.hooks import Hooks
from grokjax.engine.progress import Progress
from grokjax.engine.standing import read_standing
from grokjax.results import manifest, parts, snapshots
from grokjax.results.reading import CHECKPOINTS

BEAT_SECONDS = 30.0
"""Between two looks at what others have left, and two words on how it goes."""
LOSS_SECONDS = 8 * 3600.0
"""Nominal time between two deaths of a worker: what is cheap to push is pushed more often."""
STOPS = ("SIGTERM", "SIGUSR2")
"""Signals that queues and rented machines send before they take the machine away."""


def run(job: Job) -> None:
    """Train what no earlier attempt at the shard has trained, and put the results.

    Raises:
      ConfigError: this worker's bits would differ, or its files of the experiment do.
    """
    depot = open_depot(job.depot)
    try:
        shard = Shard.get(depot, job.shard)
    except FileNotFoundError:
        return  # it is joined, and its files are gone
    if depot.look(shards.STOP) is not None:
        return
    backend.prepare()
    signature.check(shard.signature, signature.here(shard.cut))
    experiment = parcel.unpacked(job.experiment)
    if set(experiment.expansion.runs) != set(shard.runs):
        raise ConfigError(
            f"{platform.node()}: the runs have other names here than where the sweep was started; "
            "install one version of grokjax, and of modules of your own, on all machines."
        )
    name = f"{job.attempt}-{secrets.token_hex(4)}"
    with _scratch(name) as folder, _signalled() as stop:
        Attempt(depot, shard, name, folder, stop).train(experiment)


class Attempt:
    """A process at work on a shard."""

    def __init__(
        self, depot: Depot, shard: Shard, name: str, folder: Path, stop: threading.Event
    ) -> None:
        self._depot, self._shard, self._stop = depot, shard, stop
        self._home = f"shards/{shard.name}/{name}"
        self._name, self._folder = name, folder / "sweep"
        self._given = folder / "donors"
        self._pushed, self._push_seconds, self._beat = time.monotonic(), 0.0, -math.inf
        self._push_bytes = 0
        self._states: list[str] = []

    def train(self, experiment: Experiment) -> None:
        """Train the shard's runs."""
        names = self._depot.names(f"shards/{self._shard.name}")
        if shards.results(self._depot, names):
            return
        commit = shards.furthest(self._depot, names)
        lost = self._lost(names, commit)
        begun = {"host": platform.node(), "pid": os.getpid(), "time": time.time()}
        begun["tick"] = commit.tick if commit else -1
        self._depot.put_json(f"{self._home}/begin.json", begun)
        self._sender = Sender(self._depot, self._home, self._folder, commit.files if commit else {})
        self._begin(experiment, commit)
        failed = self._suspects() if lost >= self._shard.max_lost else []
        why = f"{lost} workers died without progress"
        options = sweep.RunOptions(
            lanes=None,
            retry_failed=False,
            fail_fast=self._shard.fail_fast,
            report=self._tell,
            stop=self._stop,
            source=None,
            command="grokjax.cluster",
            hooks=Hooks(self._committed, keeps_shape=True, failed=dict.fromkeys(failed, why)),
            find_donors=gifts.finder(self._depot, self._shard.donors, self._given),
        )
        try:
            results = sweep.run_in(experiment, self._folder, options)
        except Exception as error:
            if out_of_memory(error):
                self._depot.put_json(f"{self._home}/memory.json", {"error": str(error)[:1000]})
            raise
        if not self._wanted():
            self._stop.clear()
        elif results.finished:
            self._put_results()
            self._stop.clear()
        else:
            self._depot.put_json(f"{self._home}/left.json", {})

    def _begin(self, experiment: Experiment, commit: Commit | None) -> None:
        """Make the folder what it was at a commit, or one whose programs are cut already."""
        if commit is not None:
            bundles.unpack(commit.contents, self._folder)
            commit.contents.clear()
            return
        self._folder.mkdir(parents=True)
        provenance = manifest.provenance(
            self._shard.signature["kind"], experiment.matmul_precision, "grokjax.cluster"
        )
        cuts: dict[str, Any] = {self._shard.program: self._shard.cut}
        results_folder.write_manifest(self._folder, experiment, None, cuts, provenance, [])

    def _lost(self, names: list[str], commit: Commit | None) -> int:
        """How many attempts have ended at the commit that this one begins with, and not by asking.

        Those of earlier drivers do not count: they may have been killed with their driver. One that
        is at work beside this one counts; a second attempt is not begun so often.
        """
        tick = commit.tick if commit else -1
        left, driver = set(shards.marked(names, "left.json")), _driver(self._name)
        begun = [name for name in shards.marked(names, "begin.json") if name not in left]
        begun = [name for name in begun if _driver(name) == driver]
        told = [self._depot.look(f"shards/{self._shard.name}/{name}/begin.json") for name in begun]
        return sum(one is not None and one["tick"] == tick for one in told)

    def _suspects(self) -> list[str]:
        """The runs that were in the lanes when the others died."""
        standing = read_standing(self._folder, manifest.read(self._folder))
        running = [lane["run_id"] for lane in standing.note["lanes"] if lane]
        ended = set(standing.ended()["run_id"])
        waiting = [run for run in self._shard.runs if run not in {*ended, *running}]
        return [*running, *waiting[: self._shard.cut["lanes"] - len(running)]]

    def _tell(self, progress: Progress) -> None:
        """Leave a word on how it goes, and see whether others want this to end."""
        if time.monotonic() - self._beat < BEAT_SECONDS:
            return
        self._beat = time.monotonic()
        told = {**counters(progress), "host": platform.node(), "time": time.time()}
        with contextlib.suppress(OSError):  # only a word
            self._depot.put_json(f"{self._home}/status.json", told)
        names = self._depot.names(f"shards/{self._shard.name}")
        finished = shards.marked(names, "done.json")
        if finished or self._depot.look(shards.STOP) is not None or not self._wanted():
            self._stop.set()

    def _wanted(self) -> bool:
        """Whether the shard is not joined yet: what is put for one that is stays for ever."""
        return self._depot.still_has(f"shards/{self._shard.name}.json")

    def _committed(self, tick: int, note: dict[str, Any]) -> None:
        """Put a commit into the depot, if the last one is old enough."""
        since = time.monotonic() - self._pushed
        worth = math.sqrt(2 * self._push_seconds * LOSS_SECONDS)
        rate = self._shard.push_bytes_per_second
        interval = max(self._shard.push_seconds, worth, self._push_bytes / rate if rate else 0.0)
        if since < interval and not self._stop.is_set():
            return
        if not self._wanted():
            self._stop.set()
            return
        began, before = time.monotonic(), self._sender.sent
        tables = [
            self._folder / table / part for table in parts.TABLES for part in note["parts"][table]
        ]
        state = checkpoint.file_of(self._folder / CHECKPOINTS, tick)
        files = self._sender.send(f"rows-{tick:08d}", [*tables, *self._beside()])
        files |= self._sender.send(f"state-{tick:08d}", [state])
        told = {"tick": tick, "files": files}
        self._depot.put_json(f"{self._home}/tick-{tick:08d}.json", told)
        self._states.append(f"state-{tick:08d}")
        for old in self._states[:-2]:  # somebody may be reading the last but one
            self._sender.forget(old)
        self._states = self._states[-2:]
        self._pushed = time.monotonic()
        self._push_seconds = self._pushed - began
        self._push_bytes = self._sender.sent - before

    def _beside(self) -> list[Path]:
        """The files beside tables and checkpoints."""
        found = [self._folder / manifest.NAME]
        for inside in (snapshots.FOLDER, final_states.FOLDER):
            found += sorted((self._folder / inside).glob("*.safetensors"))
        return found

    def _put_results(self) -> None:
        tables = [
            self._folder / table / part
            for table in parts.TABLES
            for part in parts.on_disk(self._folder, table)
        ]
        files = self._sender.send("results", [*tables, *self._beside()])
        told = {"files": files, "host": platform.node(), "time": time.time()}
        self._depot.put_json(f"{self._home}/done.json", told)


def _driver(name: str) -> str:
    """Of the name of an attempt, what begins all names of its driver's."""
    return name.rsplit("-", 2)[0]


@contextlib.contextmanager
def _scratch(name: str) -> Iterator[Path]:
    """A folder of this machine for as long as the attempt takes; those of dead ones are removed."""
    above = worker.scratch() / "attempts"
    above.mkdir(exist_ok=True)
    for lock in above.glob("*.lock"):
        with contextlib.suppress(filelock.Timeout, OSError), _held(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    folder = above / name
    with _held(above / f"{name}.lock"):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _held(lock: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(lock, blocking=False)


@contextlib.contextmanager
def _signalled() -> Iterator[threading.Event]:
    """An event that is set when this process is asked to end.

    Where it was and still is set in the end, the signal is raised again: what the process does then
    is its engine's, which may end it, or put its job back into a queue.
    """
    stop = threading.Event()
    caught: list[int] = []

    def ask(number: int, frame: object) -> None:
        caught.append(number)
        stop.set()

    previous = {}
    if threading.current_thread() is threading.main_thread():
        for name in STOPS:
            number = getattr(signal, name)
            previous[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if caught and stop.is_set():
        signal.raise_signal(caught[0])
