"""Trains the programs of a sweep one after another and commits every tick.

The device works on the next segment while the host writes the last one. A tick is
committed in the order that `results.store` explains: rows first, checkpoint last.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import jax
import numpy as np

from grokjax import tasks
from grokjax.analysis import onset
from grokjax.config import ConfigError, Experiment
from grokjax.engine.checkpoint import Checkpoints
from grokjax.engine.folder import WORK
from grokjax.engine.lanes import Lanes, Occupant, Rows
from grokjax.engine.plan import Program, Run
from grokjax.engine.progress import Progress, Report
from grokjax.results import manifest, schema
from grokjax.results.store import Store

DEVICE_ERRORS = (jax.errors.JaxRuntimeError, MemoryError)
"""What fails the runs of a program. Anything else, a full disk say, is no result of theirs."""


class Trainer:
    """The host's side of a sweep in an open folder."""

    def __init__(
        self,
        folder: Path,
        experiment: Experiment,
        programs: list[Program],
        report: Report,
        stop: threading.Event,
        fail_fast: bool,
        provenance: dict[str, Any],
    ) -> None:
        self._folder, self._experiment, self._programs = folder, experiment, programs
        self._report, self._stop, self._fail_fast = report, stop, fail_fast
        self._store = Store(folder, provenance)
        self._runs_schema = schema.runs_schema(experiment)
        self._checkpoints = Checkpoints(folder / WORK / "checkpoints")
        self._history: dict[str, list[dict[str, np.ndarray]]] = {}
        self._note: dict[str, Any] = {"program": None, "lanes": []}
        self._tick = -1
        self._done: set[str] = set()
        self.progress = Progress(experiment.thresholds)

    def recover(self) -> None:
        """Find the last committed tick; nothing is written yet."""
        latest = self._checkpoints.latest()
        if latest is None:
            self._tick = (manifest.read(self._folder) or {"ticks": 0})["ticks"] - 1
        else:
            self._tick, self._note = latest, self._checkpoints.note(latest)
        if self._store.last_tick() > self._tick + 1:
            raise ConfigError(
                f"out={str(self._folder)!r}: the checkpoints of this unfinished sweep are gone, "
                "restore its .work folder, or start over with --overwrite."
            )
        known = {
            run.run_id
            for program in self._programs
            if program.name == self._note["program"]
            for run in program.runs
        }
        running = {lane["run_id"] for lane in self._note["lanes"] if lane}
        if not running <= known:
            raise ConfigError(
                f"sweep: {len(running - known)} unfinished runs in {self._folder} are no longer in "
                "the grid, or come from another grokjax; finish them as they were started, "
                "or start over with --overwrite."
            )

    def todo(self, retry_failed: bool) -> bool:
        """Whether any run is left to train."""
        ended = self._store.ended()
        if retry_failed:
            ended = ended[ended["status"] != "failed"]
        return not self._run_ids() <= set(ended["run_id"])

    def train(self, retry_failed: bool) -> bool:
        """Train what is left; False when `stop` ended it before the last run."""
        self._store.recover(self._tick)
        if retry_failed:
            ended = self._store.ended()
            self._store.forget(list(ended["run_id"][ended["status"] == "failed"]))
        self._done = set(self._store.ended()["run_id"])
        runs = [run for program in self._programs for run in program.runs]
        self.progress.start(runs, self._store.ended(), list(filter(None, self._running(runs))))
        self._report(self.progress)
        # The program with runs in the checkpoint goes first: a grid that grew may have put
        # another in front of it, and the next commit replaces the checkpoint.
        for program in sorted(self._programs, key=lambda p: p.name != self._note["program"]):
            if self._stop.is_set():
                return False
            todo = [run for run in program.runs if run.run_id not in self._done]
            if not todo:
                continue
            try:
                self._train_program(program, todo)
            except DEVICE_ERRORS as error:
                if self._fail_fast:
                    raise
                self._record_failure(program, error)
        return self._run_ids() <= self._done

    def finish(self) -> None:
        """Merge the parts and let the manifest say how far the ticks went."""
        self._checkpoints.close()
        self._store.compact()
        found = manifest.read(self._folder)
        assert found is not None  # written when the sweep was opened
        manifest.write(self._folder, {**found, "ticks": self._tick + 1})

    def _train_program(self, program: Program, todo: list[Run]) -> None:
        self._say(f"compiling {program.lanes} lanes")
        lanes = Lanes(program)
        waiting = self._resume(lanes, todo)
        self._say("training")
        lanes.fill(waiting)
        lanes.advance()
        began = time.perf_counter()
        while True:
            rows = lanes.collect()
            seconds, began = time.perf_counter() - began, time.perf_counter()
            ended = self._absorb(rows, seconds)
            for occupant, _ in ended:
                lanes.release(occupant)
            note, arrays = self._describe(lanes), lanes.arrays()
            failure = None
            try:
                lanes.fill(waiting)
                goes_on = lanes.busy and not self._stop.is_set()
                if goes_on:
                    lanes.advance()
            except DEVICE_ERRORS as error:  # what the last segment did is still to be kept
                failure = error
            self._commit(rows, [self._row(*end, program.lanes) for end in ended], note, arrays)
            self._report(self.progress)
            if failure is not None:
                raise failure
            if not goes_on:
                return

    def _resume(self, lanes: Lanes, todo: list[Run]) -> deque[Run]:
        """Put the runs of the checkpoint back into their lanes; what is left waits."""
        if self._note["program"] != lanes.program.name:
            return deque(todo)
        occupants = self._running(todo)
        lanes.restore(self._checkpoints.arrays(self._tick, lanes.arrays()), occupants)
        running = {occupant.run.run_id for occupant in occupants if occupant}
        for run_id, curve in self._store.curves(running).groupby("run_id"):
            columns = {name: curve[name].to_numpy() for name in ("step", *schema.METRICS)}
            self._history[str(run_id)] = [columns]
        return deque(run for run in todo if run.run_id not in running)

    def _running(self, runs: list[Run]) -> list[Occupant | None]:
        """The lanes of the last checkpoint."""
        by_id = {run.run_id: run for run in runs}
        return [
            lane and Occupant(by_id[lane["run_id"]], lane["step"], lane["wall_s"])
            for lane in self._note["lanes"]
        ]

    def _absorb(self, rows: list[Rows], seconds: float) -> list[tuple[Occupant, str]]:
        """Take in a segment's rows; the runs that it ended, each with its stop reason."""
        ended = []
        for of_run in rows:
            occupant = of_run.occupant
            occupant.wall_s += seconds / len(rows)
            columns = {"step": of_run.step, **of_run.metrics}
            self._history.setdefault(occupant.run.run_id, []).append(columns)
            if of_run.diverged:
                ended.append((occupant, "diverged"))
            elif occupant.step > occupant.run.config.steps:
                ended.append((occupant, "budget"))
        self.progress.observe(rows, seconds)
        self.progress.end([occupant.run for occupant, _ in ended], failed=False)
        return ended

    def _row(self, occupant: Occupant, stop_reason: str, lanes: int) -> dict[str, Any]:
        """The `runs` row of a run that has ended."""
        run, pieces = occupant.run, self._history.pop(occupant.run.run_id)
        curve = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        table = tasks.build(run.config.task)
        return {
            **self._configuration(run, lanes),
            **onset.summarise(curve, table.chance, self._experiment.thresholds),
            "status": "diverged" if stop_reason == "diverged" else "done",
            "stop_reason": stop_reason,
            "last_step": int(curve["step"][-1]),
            "wall_s": occupant.wall_s,
        }

    def _configuration(self, run: Run, lanes: int) -> dict[str, Any]:
        table = tasks.build(run.config.task)
        n_rows, n_train = len(table.targets), run.config.n_train
        return {
            "run_id": run.run_id,
            **run.config.row(),
            "n_rows": n_rows,
            "n_train": n_train,
            "n_test": n_rows - n_train,
            "chance": table.chance,
            "lanes": lanes,
        }

    def _record_failure(self, program: Program, error: Exception) -> None:
        """Every run of the program that has not ended has failed."""
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        failure = {"status": "failed", "stop_reason": "error", "error": message}
        left = [run for run in program.runs if run.run_id not in self._done]
        rows = [{**self._configuration(run, program.lanes), **failure} for run in left]
        for run in left:
            self._history.pop(run.run_id, None)
        self._commit([], rows, {"program": None, "lanes": []}, [np.zeros(1)])
        self.progress.end(left, failed=True)
        self._report(self.progress)

    def _run_ids(self) -> set[str]:
        return {run.run_id for program in self._programs for run in program.runs}

    def _describe(self, lanes: Lanes) -> dict[str, Any]:
        """Who is in which lane, for the checkpoint."""
        occupied = [
            o and {"run_id": o.run.run_id, "step": o.step, "wall_s": o.wall_s}
            for o in lanes.occupants
        ]
        return {"program": lanes.program.name, "lanes": occupied}

    def _commit(
        self,
        rows: list[Rows],
        ended: list[dict[str, Any]],
        note: dict[str, Any],
        arrays: list[np.ndarray],
    ) -> None:
        self._tick += 1
        tables = {
            "curves": schema.curves_table(
                [(r.occupant.run.run_id, r.step, r.metrics) for r in rows]
            ),
            "runs": schema.runs_table(ended, self._runs_schema),
        }
        self._store.commit(self._tick, tables)
        self._checkpoints.save(self._tick, note, arrays)
        self._note = note
        self._done |= {row["run_id"] for row in ended}

    def _say(self, activity: str) -> None:
        self.progress.activity = activity
        self._report(self.progress)
