"""The jobs of a driver at an engine: which shard each is at, remembered for the next driver."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from grokjax.cluster.engines import Ended, Engine, Job
from grokjax.config.cluster import Cluster
from grokjax.results.files import write_json


@dataclasses.dataclass
class Placed:
    """A job that has been submitted."""

    handle: str
    shard: str
    attempt: str
    began: float | None = None
    """When it was heard to have begun, by `time.monotonic`: jobs may wait in a queue for days."""


class Crew:
    """Submits jobs and remembers them.

    Args:
      engine: that places them.
      options: what each is given.
      depot: URL of the depot.
      names: for what is submitted, which no other driver gives.
      memory: file that the handles are kept in.
    """

    def __init__(
        self, engine: Engine, options: Cluster, depot: str, names: Iterator[str], memory: Path
    ) -> None:
        self._engine, self._options, self._depot, self._memory = engine, options, depot, memory
        self._names = names
        self._jobs: dict[str, Placed] = {}
        self._at: dict[str, list[Placed]] = {}
        """Shard → the jobs at it; every look asks for each of perhaps ten thousand."""
        self._heard: set[str] = set()

    def adopt(self) -> None:
        """Take over the jobs that an earlier driver has left at the same kind of engine."""
        if not self._memory.exists():
            return
        told = json.loads(self._memory.read_text(encoding="utf-8"))
        if told["engine"] != self._engine.name:
            return
        for handle in self._engine.adopt(set(told["jobs"])):
            shard, attempt = told["jobs"][handle]
            self._add(Placed(handle, shard, attempt))

    def room(self) -> int:
        """How many more jobs could run now."""
        return self.workers() - len(self._jobs)

    def workers(self) -> int:
        """How many could run at once."""
        most = self._options.workers
        there = self._engine.capacity()
        return there if most is None else min(there, most)

    def name(self) -> str:
        """A name for the next submission, or shard."""
        return next(self._names)

    def submit(
        self, function: Callable[[Job], None], asked: Iterable[tuple[str, str, bytes]]
    ) -> None:
        """Submit jobs: shard, name of the submission and experiment of each."""
        cores, gpus = self._options.cores or 1, self._options.gpus
        kind = self._options.kind
        jobs = [Job(self._depot, s, name, parcel, cores, gpus, kind) for s, name, parcel in asked]
        if not jobs:
            return
        for job, handle in zip(jobs, self._engine.submit(function, jobs), strict=True):
            self._add(Placed(handle, job.shard, job.attempt))
        self._remember()

    def wait(self, seconds: float) -> list[tuple[Placed, Ended]]:
        """The jobs that have ended; waits that long for the first."""
        ended = [(self._drop(end.handle), end) for end in self._engine.wait(seconds)]
        if ended:
            self._remember()
        return [(placed, end) for placed, end in ended if placed is not None]

    def heard(self, attempts: Iterable[str]) -> None:
        """Note which attempts have begun; of those of one submission the last one counts."""
        placed = {one.attempt: one for one in self._jobs.values()}
        for attempt in set(attempts) - self._heard:
            self._heard.add(attempt)
            if one := placed.get(attempt.rpartition("-")[0]):
                one.began = time.monotonic()

    def at(self, shard: str) -> list[Placed]:
        """The jobs at a shard."""
        return list(self._at.get(shard, ()))

    def __len__(self) -> int:
        return len(self._jobs)

    def cancel(self, shards: Collection[str] | None = None) -> None:
        """End the jobs at some shards, or all."""
        asked = [*self._at] if shards is None else shards
        doomed = [placed.handle for shard in asked for placed in self.at(shard)]
        if not doomed:
            return
        self._engine.cancel(doomed)
        for handle in doomed:
            self._drop(handle)
        self._remember()

    def _add(self, placed: Placed) -> None:
        self._jobs[placed.handle] = placed
        self._at.setdefault(placed.shard, []).append(placed)

    def _drop(self, handle: str) -> Placed | None:
        placed = self._jobs.pop(handle, None)
        if placed is not None:
            self._at[placed.shard].remove(placed)
            if not self._at[placed.shard]:
                del self._at[placed.shard]
        return placed

    def _remember(self) -> None:
        jobs = {handle: [one.shard, one.attempt] for handle, one in self._jobs.items()}
        write_json(self._memory, {"engine": self._engine.name, "jobs": jobs})
