"""The loop of a driver: submit what is to be done, join what is done, say how it goes."""

from __future__ import annotations

import dataclasses
import platform
import time
from typing import Any

from grokjax.cluster import gifts, parcel, shards, worker
from grokjax.cluster.bundles import DamagedError
from grokjax.cluster.counting import Counts
from grokjax.cluster.crew import Crew, Placed
from grokjax.cluster.cut import LEAST_SECONDS, Piece, Work
from grokjax.cluster.depot import Depot
from grokjax.cluster.engines import Ended
from grokjax.cluster.join import Committer, in_commits, write_schema
from grokjax.cluster.shards import STOP, Shard
from grokjax.cluster.words import Word, furthest, heard
from grokjax.config.cluster import Cluster, WorkersError
from grokjax.engine import plan, results_folder
from grokjax.engine.after_the_fact import settings_of
from grokjax.engine.plan import CUT, CUT_OF_ROWS, Program, Run
from grokjax.engine.sweep import RunOptions, Start
from grokjax.results import manifest, schema

POLL_SECONDS = 2.0
"""That an engine is waited for."""
PUSH_SECONDS = 60.0
"""Between two commits that a worker puts into the depot, at least."""
LEAVE_SECONDS = 60.0
"""That workers have to put their last commits when the sweep is stopped."""
SLOW = 2.0
"""A shard that takes so many times what it should is given to a second worker."""
MOST_ERRORS = 2
"""Errors of a shard's workers, a disk or a module of theirs say, that stop the sweep."""


@dataclasses.dataclass
class Open:
    """A shard that is not joined yet."""

    shard: Shard
    errors: list[str] = dataclasses.field(default_factory=list)
    losses: int = 0
    """Workers that were lost since one has begun."""
    look: bool = True
    """Whether a worker has ended, so that there may be results."""
    awaited: float | None = None
    """Until when results of a worker that said no more are waited for."""


Done = tuple[Open, str, dict[str, Any]]
"""A shard, the attempt at it that counts, and the listing of its results."""


class Loop:
    """Trains the runs of one grid.

    Args:
      opened: the grid and where it stands.
      cluster: what the user wants of workers.
      crew: of workers.
      depot: of the sweep.
      cuts: name of a program → cut and signature.
      options: of the sweep.
      token: of this driver.
    """

    def __init__(
        self,
        opened: Start,
        cluster: Cluster,
        crew: Crew,
        depot: Depot,
        cuts: dict[str, dict[str, Any]],
        options: RunOptions,
        token: str,
    ) -> None:
        self._opened, self._cluster, self._crew = opened, cluster, crew
        self._depot, self._cuts, self._options = depot, cuts, options
        self._folder, self._experiment = opened.folder, opened.experiment
        self._programs = {p.name: recut(p, cuts.get(p.name)) for p in opened.programs}
        self._runs: dict[str, Run] = {
            run.run_id: run for program in opened.programs for run in program.runs
        }
        self._open: dict[str, Open] = {}
        self._word = Word(depot, self._folder, token)
        self._counts = Counts(self._experiment.thresholds)
        self._too_large: set[str] = set()
        """Programs whose lanes have not fitted into a worker's memory."""

    def run(self) -> bool:
        """Train what is left; False when it was stopped before that."""
        standing = self._opened.standing
        runs_schema = schema.runs_schema(self._experiment)
        write_schema(self._folder, runs_schema)
        self._committer = Committer(self._folder, standing, runs_schema, self._opened.provenance)
        self._committer.begin(standing)
        self._counts.begin(list(self._runs.values()), self._committer.table())
        self._find()
        taken = {run for one in self._open.values() for run in one.shard.runs}
        programs = list(self._programs.values())
        self._work = Work(programs, self._cuts, taken | self._committer.ended)
        return self._loop()

    def _loop(self) -> bool:
        while True:
            self._join()
            if self._options.stop.is_set():
                return self._leave()
            self._submit()
            if not self._open:
                return True
            self._tell()
            if self._cluster.detach:
                return False
            for placed, end in self._crew.wait(POLL_SECONDS):
                self._take_note(placed, end)

    def finish(self) -> None:
        """Merge the tables and say that the sweep is finished."""
        instruments = [i for i in self._experiment.instruments if i.cadence == "snapshots"]
        if instruments:  # which workers have run
            found = manifest.read(self._folder)
            assert found is not None  # written when the sweep was opened
            manifest.write(self._folder, {**found, "measured": settings_of(instruments, found)})
        self._committer.finish(self._experiment, self._counts.work)

    def _find(self) -> None:
        """Take over the shards that an earlier driver has cut."""
        for name in shards.listed(self._depot):
            shard = Shard.get(self._depot, name)
            cut = self._cuts.get(shard.program)
            alike = cut is not None and shard.signature == cut["signature"]
            left = set(shard.runs) - self._committer.ended
            if alike and left and left <= self._runs.keys():
                self._open[name] = Open(shard)
            else:
                self._crew.cancel([name])
                self._drop(name)

    def _submit(self) -> None:
        """Give every free worker a shard."""
        asked: list[tuple[str, str, bytes]] = []
        room = self._crew.room()
        if self._cluster.detach:
            room = max(room, len(self._runs))
        for one in self._waiting():
            if len(asked) < room:
                asked.append(self._asked(one.shard))
        workers = max(1, self._crew.workers())
        while len(asked) < room and (piece := self._next(workers)) is not None:
            asked.append(self._asked(self._written(piece)))
        if not self._work.seconds():
            asked += [self._asked(one.shard) for one in self._slow()[: room - len(asked)]]
        self._crew.submit(worker.train, asked)

    def _next(self, workers: int) -> Piece | None:
        self._work.share = self._counts.share
        return self._work.next(workers, self._cluster.shard_seconds)

    def _waiting(self) -> list[Open]:
        """The shards that nobody is at, and whose results nobody waits for."""
        return [
            one
            for name, one in self._open.items()
            if not self._crew.at(name) and not one.look and one.awaited is None
        ]

    def _slow(self) -> list[Open]:
        """The shards whose only worker takes far too long."""
        now, found = time.monotonic(), []
        for name, one in self._open.items():
            jobs = self._crew.at(name)
            since = jobs[0].began if len(jobs) == 1 else None
            if since and now - since > SLOW * max(one.shard.seconds, LEAST_SECONDS):
                found.append(one)
        return found

    def _written(self, piece: Piece) -> Shard:
        """A piece as a shard that is written."""
        told = {run.run_id: gifts.put(self._depot, run.donors) for run in piece.runs}
        cut = {k: v for k, v in self._cuts[piece.program].items() if k != "signature"}
        rate = self._cluster.depot_mb_per_s
        shard = Shard(
            name=self._crew.name(),
            program=piece.program,
            cut=cut,
            signature=self._cuts[piece.program]["signature"],
            runs=tuple(run.run_id for run in piece.runs),
            donors={run_id: donors for run_id, donors in told.items() if donors},
            seconds=piece.seconds,
            push_seconds=PUSH_SECONDS,
            max_lost=self._cluster.max_lost,
            fail_fast=self._options.fail_fast,
            push_bytes_per_second=rate and rate * 1e6 / max(1, self._crew.workers()),
        )
        shard.put(self._depot)
        self._open[shard.name] = Open(shard, look=False)
        return shard

    def _asked(self, shard: Shard) -> tuple[str, str, bytes]:
        cells = self._experiment.expansion.cells
        content = parcel.packed(self._experiment, [cells[run_id] for run_id in shard.runs])
        return shard.name, self._crew.name(), content

    def _take_note(self, placed: Placed, end: Ended) -> None:
        """A job has ended, somehow."""
        one = self._open.get(placed.shard)
        if one is None:
            return
        one.look = True
        if end.lost:
            one.losses += 1
        elif end.error is None:
            one.awaited = time.monotonic() + self._depot.patience
        else:
            one.errors.append(end.error)

    def _join(self) -> None:
        """Join the results of shards at which a job has ended, and think about those without."""
        done: list[Done] = []
        for name, one in self._open.items():
            if not (one.look or one.awaited):
                continue
            names = self._depot.names(f"shards/{name}")
            if found := shards.results(self._depot, names):
                done.append((one, *found))
            else:
                self._judge(one, names)
        for some in in_commits(done, lambda one: self._rows(one[0].shard)):
            self._take(some)
        while self._too_large:
            self._halve(self._too_large.pop())

    def _rows(self, shard: Shard) -> int:
        """Rows of its curves, at most."""
        return sum(self._runs[run_id].log_points for run_id in shard.runs)

    def _judge(self, one: Open, names: list[str]) -> None:
        """A shard has no results, though a job at it has ended."""
        one.look = False
        begun, left = (shards.marked(names, f"{mark}.json") for mark in ("begin", "left"))
        if shards.marked(names, "memory.json"):
            self._too_large.add(one.shard.program)
            return
        if begun and len(left) == len(begun):
            one.awaited = None  # the worker was asked to leave
        if len(one.errors) >= (1 if self._options.fail_fast else MOST_ERRORS):
            raise WorkersError(f"workers cannot train here: {one.errors[-1]}")
        if one.losses > 3 * self._cluster.max_lost and not begun:
            raise WorkersError(f"{one.losses} workers died before they began; see their logs.")
        if one.awaited is not None and time.monotonic() > one.awaited:
            one.awaited = None
            one.errors.append("a worker has ended and left nothing in the depot")

    def _take(self, done: list[Done]) -> None:
        """Join some shards in one commit; one that is damaged is trained again."""
        try:
            told = [(one.shard.runs, found["files"]) for one, _, found in done]
            rows = self._committer.take(self._depot, told)
        except DamagedError:
            if len(done) > 1:
                for each in done:
                    self._take([each])
                return
            one, attempt, _ = done[0]
            one.errors.append(f"what attempt {attempt} has put into the depot is damaged")
            self._depot.remove(f"shards/{one.shard.name}/{attempt}")
            return
        names = [one.shard.name for one, _, _ in done]
        self._crew.cancel(names)
        for name in names:
            del self._open[name]
            self._drop(name)
        self._counts.joined([self._runs[run_id] for run_id in rows["run_id"]], rows, names)

    def _drop(self, name: str) -> None:
        """Remove a shard from the depot."""
        self._depot.remove(f"shards/{name}.json")  # first: no attempt begins without it
        self._depot.remove(f"shards/{name}")

    def _halve(self, name: str) -> None:
        """Cut a program into fewer lanes, in which all of its runs are trained from the start."""
        program = plan.smaller(self._programs[name])
        assert program is not None  # a worker does not ask for it otherwise
        of_program = [n for n, one in self._open.items() if one.shard.program == name]
        self._crew.cancel(of_program)
        self._committer.forget({run.run_id for run in program.runs} & self._committer.ended)
        cut = plan.cut_of(program)
        signature = self._cuts[name]["signature"]
        signature = {**signature, **{k: v for k, v in cut.items() if k in signature}}
        self._cuts[name] = {**self._cuts[name], **cut, "signature": signature}
        results_folder.record_cut(self._folder, program, signature=signature)
        self._programs[name] = program
        for shard in of_program:
            del self._open[shard]
            self._drop(shard)
        self._work.replace(program, self._cuts[name], self._committer.ended)
        self._counts.begin(list(self._runs.values()), self._committer.table())
        self._say(f"out of memory, {program.lanes} lanes in {program.spec.tiles} tiles instead")

    def _leave(self) -> bool:
        """Have the workers put their last commits and leave."""
        self._say("stopping the workers")
        self._depot.put_json(STOP, {"host": platform.node(), "time": time.time()})
        end = time.monotonic() + LEAVE_SECONDS
        while len(self._crew) and time.monotonic() < end:
            for placed, ended in self._crew.wait(POLL_SECONDS):
                self._take_note(placed, ended)
        self._crew.cancel()
        for one in self._open.values():
            one.look = True
        self._join()
        return not self._open and not self._work.seconds()

    def _tell(self) -> None:
        """Say how it goes, from what workers say, and hear whether this is to stop."""
        if not self._word.due():
            return
        self._word.give()
        if self._depot.look(STOP) is not None:
            self._options.stop.set()
        names = self._depot.names("shards")
        said = heard(self._depot, names, self._crew.shards())
        begun = dict.fromkeys(shards.marked(names, "begin.json"), 0.0)
        spoken = {attempt: told["time"] for (_, attempt), told in said.items()}
        self._crew.heard(begun | spoken, shards.marked(names, "left.json"))
        self._counts.heard(furthest(said))
        there = len(self._crew)
        self._say("training" if said else f"waiting for {there or 'any'} workers to begin")

    def _say(self, activity: str) -> None:
        self._counts.activity = activity
        self._options.report(self._counts)


def recut(program: Program, cut: dict[str, Any] | None) -> Program:
    """A program in the lanes and tiles of a recorded cut."""
    if cut is None:
        return program
    rows = {name: cut.get(name, plain) for name, plain in CUT_OF_ROWS.items()}
    spec = dataclasses.replace(program.spec, **rows)
    shape = {name: cut[name] for name in CUT}
    return dataclasses.replace(program, spec=spec, **shape)
