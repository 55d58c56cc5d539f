"""The jobs of a driver at an engine: which shard each is at, remembered for the next driver."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from grokjax.cluster.engines import Ended, Engine, Job
from grokjax.config.cluster import Cluster
from grokjax.results.files import write_json

SILENT_SECONDS = 600.0
"""Since its last word, after which a worker is taken for frozen, or for cut off. Workers give word
twice a minute, but not while they compile."""


@dataclasses.dataclass
class Placed:
    """A job that has been submitted."""

    handle: str
    shard: str
    attempt: str
    began: float | None = None
    """When it was heard to have begun, by `time.monotonic`: jobs may wait in a queue for days."""
    heard: float | None = None
    """When it last gave word that is new, by the same clock."""

    @property
    def silent(self) -> bool:
        """Whether it has said nothing for too long. It may speak again, and end as others do."""
        return self.heard is not None and time.monotonic() - self.heard > SILENT_SECONDS


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
        """Shard → the jobs at it; of ten thousand shards each is asked for at every look."""
        self._heard: dict[str, float] = {}
        """Attempt → the time of its last word, by its own clock."""
        self._left: set[str] = set()

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
        """How many more jobs could run now: what is silent may sit on a machine that is no more."""
        return self.workers() - sum(not placed.silent for placed in self._jobs.values())

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

    def heard(self, said: Mapping[str, float], left: Collection[str] = ()) -> None:
        """Note who has given word; of the attempts of one submission the last one counts.

        Args:
          said: attempt → the time of its last word, by its own clock; 0 if it has only begun.
          left: attempts that were asked to leave; a queue may begin another in their place.
        """
        placed = {one.attempt: one for one in self._jobs.values()}
        for attempt in set(left) - self._left:
            if one := placed.get(attempt.rpartition("-")[0]):
                one.heard = None
        self._left |= set(left)
        now = time.monotonic()
        for attempt, told in said.items():
            before = self._heard.get(attempt)
            if before is not None and told <= before:
                continue
            self._heard[attempt] = told
            if one := placed.get(attempt.rpartition("-")[0]):
                one.heard = now
                if before is None:
                    one.began = now

    def at(self, shard: str) -> list[Placed]:
        """The jobs at a shard, without those that say no more."""
        return [placed for placed in self._at.get(shard, ()) if not placed.silent]

    def shards(self) -> Collection[str]:
        """The shards that jobs are at, those that say no more among them."""
        return self._at.keys()

    def __len__(self) -> int:
        return len(self._jobs)

    def cancel(self, shards: Collection[str] | None = None) -> None:
        """End the jobs at some shards, or all."""
        asked = [*self._at] if shards is None else shards
        doomed = [placed.handle for shard in asked for placed in self._at.get(shard, ())]
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
