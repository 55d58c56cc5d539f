"""Trains the programs of a sweep one after another and commits every tick.

The device works on the next segment while the host writes the last one. A tick is
committed in the order that `results.store` explains: rows first, checkpoint last.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokjax import tasks
from grokjax.analysis import onset
from grokjax.config import Experiment
from grokjax.engine import final_states, finishing, measuring, plan, results_folder, tune
from grokjax.engine.checkpoint import NO_LANES, Checkpoints, nothing_running
from grokjax.engine.compiling import DEVICE_ERRORS, out_of_memory
from grokjax.engine.ending import ending
from grokjax.engine.final_states import FinalState, StateFile
from grokjax.engine.hooks import Hooks
from grokjax.engine.lanes import Lanes, Occupant, Resting, SegmentRows
from grokjax.engine.measuring import MeasuredRun
from grokjax.engine.plan import Program, Run
from grokjax.engine.progress import Progress, Report
from grokjax.engine.standing import Standing
from grokjax.results import schema, snapshots
from grokjax.results.reading import CHECKPOINTS
from grokjax.training import orders


class Trainer:
    """The host's side of a sweep in an open folder, whose lock its owner holds.

    In this order: `todo` asks whether there is anything to train and `tune` shapes programs that no
    earlier start has shaped; then its owner writes the manifest, which must say how programs are
    cut before the first row is trained; `train` brings the tables to what is committed and trains;
    `finish` merges them when no run is left.
    """

    def __init__(
        self,
        folder: Path,
        experiment: Experiment,
        programs: list[Program],
        standing: Standing,
        report: Report,
        stop: threading.Event,
        hooks: Hooks,
    ) -> None:
        self._folder, self._experiment, self._programs = folder, experiment, programs
        self._report, self._stop, self._hooks = report, stop, hooks
        self._standing, self._store = standing, standing.store
        self._tick, self._note = standing.tick, standing.note
        self._runs_schema = schema.runs_schema(experiment)
        self._checkpoints = Checkpoints(folder / CHECKPOINTS)
        self._history: dict[str, list[dict[str, np.ndarray]]] = {}
        self._rows: list[SegmentRows] = []  # not committed yet, and so are these
        self._measured: list[MeasuredRun] = []
        self._ended: list[dict[str, Any]] = []
        self._final: list[FinalState] = []
        self._resting: dict[str, StateFile] = {}
        """Run id → the state that it goes on from, for runs that wait."""
        self._done: set[str] = set()
        self.progress = Progress(experiment.thresholds)

    def todo(self) -> bool:
        """Whether any run is left to train."""
        return not self._run_ids() <= set(self._standing.ended()["run_id"])

    def tune(self, recorded: Mapping[str, Any]) -> list[Program]:
        """Shape the programs that no earlier start has shaped by a timing."""
        self._programs = tune.tuned(self._programs, recorded, self._say)
        return self._programs

    def train(self, fail_fast: bool) -> bool:
        """Train what is left; False when `stop` ended it before the last run.

        Args:
          fail_fast: raise the first error of a device instead of recording it.
        """
        self._store.recover()
        snapshots.forget(self._folder, set(self._note["forget"]))
        runs = [run for program in self._programs for run in program.runs]
        running = {o.run.run_id: o.step for o in self._running(runs) if o}
        # A commit of its own: it finds all their rows or none.
        if again := self._standing.again | self._find_resting(running.keys()):
            self._say(f"training {len(again)} runs again")
            self._commit(self._note, self._checkpoints.arrays(self._tick, self._note), again)
        self._done = set(self._store.ended()["run_id"])
        resting = {run_id: file.step for run_id, file in self._resting.items()}
        self.progress.start(runs, self._store.ended(), resting | running)
        self._report(self.progress)
        for program in self._programs if self._hooks.failed else ():
            self._fail(program, self._hooks.failed)
        # The program with runs in the checkpoint goes first: a grid that grew may have put
        # another in front of it, and the next commit replaces the checkpoint.
        for program in sorted(self._programs, key=lambda p: p.name != self._note["program"]):
            if self._stop.is_set():
                return False
            if self._left(program):
                self._train_or_fail(program, fail_fast)
        return self._run_ids() <= self._done

    def _find_resting(self, running: Collection[str]) -> set[str]:
        """Find the states that waiting runs go on from; runs that have rows, and no such state."""
        elsewhere = {*self._store.ended()["run_id"], *running, *self._standing.again}
        waiting = self._run_ids() - elsewhere
        rows = self._store.curves(waiting, ["run_id", "step"])
        last = {str(run_id): int(of_run["step"].max()) for run_id, of_run in rows.groupby("run_id")}
        self._resting = final_states.resting(self._folder, last, self._say)
        return last.keys() - self._resting.keys()

    def finish(self) -> None:
        """Merge the parts; the manifest commits them, and says how far the ticks went."""
        work = self.progress.work if self.progress.executed_run_steps else None
        record = self._store.merge()
        finishing.finish(self._folder, self._experiment, self._store, record, self._tick, work)

    def _train_or_fail(self, program: Program, fail_fast: bool) -> None:
        """Train a program's runs with as many lanes as the memory allows."""
        while True:
            try:
                return self._train_program(program)
            except DEVICE_ERRORS as error:
                smaller = plan.smaller(program) if out_of_memory(error) else None
                gives_up = self._hooks.keeps_shape if smaller else fail_fast
                if gives_up:
                    raise
                if smaller is None:
                    return self._record_failure(program, error)
                self._start_over(smaller)
                program = smaller

    def _train_program(self, program: Program) -> None:
        self._say(f"compiling {program.lanes} lanes")
        lanes = Lanes(program, self._experiment.thresholds)
        meter = measuring.meter_of(program)
        waiting = self._resume(lanes, self._left(program))
        self._say("training")
        lanes.fill(waiting, self._rests)
        lanes.advance()
        began = time.perf_counter()
        # The device must not wait for the host. So what a segment has left is taken off it, lanes
        # that it emptied are filled and the next segment is started, and only then is anything
        # written: while the device is busy. What is to be committed is copied before that, since
        # the next segment writes over it.
        for segment in itertools.count(1):
            rows = lanes.collect()
            now = time.perf_counter()
            seconds, began = now - began, now
            self.progress.executed_run_steps += program.run_steps
            for occupant in self._absorb(program, rows, seconds):
                lanes.release(occupant)
            measured = measuring.start_on_the_way(meter, rows)
            done = not (lanes.busy or waiting) or self._stop.is_set()
            commits = done or segment % program.segments == 0
            keeps = [r for r in rows if r.stop_reason in self._experiment.reasons_to_keep]
            if commits or keeps:
                note, arrays = self._describe(lanes), lanes.arrays()
                self._keep_final(keeps, arrays)
            if not done:
                lanes.fill(waiting, self._rests)
                lanes.advance()
            self.progress.idle_seconds += time.perf_counter() - now
            self._measured += measured()
            if commits:
                self._commit(note, arrays)
            self._report(self.progress)
            if done:
                return

    def _resume(self, lanes: Lanes, todo: list[Run]) -> deque[Run]:
        """Put the runs of the checkpoint back into their lanes; what is left waits."""
        running: set[str] = set()
        if self._note["program"] == lanes.program.name:
            occupants = self._running(todo)
            lanes.restore(self._checkpoints.arrays(self._tick, self._note), occupants)
            running = {occupant.run.run_id for occupant in occupants if occupant}
        waiting = deque(run for run in todo if run.run_id not in running)
        resting = self._resting.keys() & {run.run_id for run in waiting}
        curves = self._store.curves({*running, *resting})
        for run_id, curve in curves.groupby("run_id"):
            columns = {name: curve[name].to_numpy() for name in ("step", *schema.METRICS)}
            self._history[str(run_id)] = [columns]
        return waiting

    def _rests(self, run: Run) -> Resting | None:
        """The state that a run goes on from, if it has trained before."""
        file = self._resting.pop(run.run_id, None)
        if file is None:
            return None
        state = final_states.read(file)
        (curve,) = self._history[run.run_id]
        since = ending(run.config, self._experiment.thresholds, curve).calm_since
        step = file.step + run.config.log_every
        return Occupant(run, step, state.wall_s, since, state.beyond), state.arrays

    def _running(self, runs: list[Run]) -> list[Occupant | None]:
        """The lanes of the last checkpoint."""
        by_id = {run.run_id: run for run in runs}
        return [
            lane
            and Occupant(by_id[lane["run_id"]], lane["step"], lane["wall_s"], lane["calm_since"])
            for lane in self._note["lanes"]
        ]

    def _absorb(self, program: Program, rows: list[SegmentRows], seconds: float) -> list[Occupant]:
        """Take in a segment's rows; the lanes that it emptied."""
        ended = []
        for of_run in rows:
            occupant = of_run.occupant
            occupant.wall_s += seconds / len(rows)
            self._history.setdefault(occupant.run.run_id, []).append(of_run.points.curve())
            for step, arrays in of_run.points.snapshots.items():
                # Before the tick that commits it: what is redone writes the same file again.
                snapshots.write(self._folder, occupant.run.run_id, step, arrays)
            if of_run.stop_reason:
                ended.append(occupant)
                self._ended.append(self._row(program, occupant, of_run.stop_reason))
        self._rows += rows
        self.progress.observe(rows, seconds)
        self.progress.end([occupant.run for occupant in ended], failed=False)
        return ended

    def _keep_final(self, rows: list[SegmentRows], arrays: list[np.ndarray]) -> None:
        """Keep the states of runs that have ended, for a larger budget to go on from."""
        for of_run in rows:
            occupant, step = of_run.occupant, int(of_run.points.step[-1])
            state = [array[of_run.lane].copy() for array in arrays]
            self._final.append(
                FinalState(occupant.run.run_id, step, occupant.wall_s, state, of_run.beyond)
            )

    def _row(self, program: Program, occupant: Occupant, stop_reason: str) -> dict[str, Any]:
        """The `runs` row of a run that has ended."""
        run, pieces = occupant.run, self._history.pop(occupant.run.run_id)
        curve = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        table = tasks.build(run.config.task)
        return {
            **self._configuration(run, program),
            **onset.summarise(curve, table.chance, self._experiment.thresholds),
            "status": "diverged" if stop_reason == "diverged" else "done",
            "stop_reason": stop_reason,
            "last_step": int(curve["step"][-1]),
            "wall_s": occupant.wall_s,
        }

    def _configuration(self, run: Run, program: Program) -> dict[str, Any]:
        table = tasks.build(run.config.task)
        n_train, n_test = orders.sizes(run.config)
        return {
            "run_id": run.run_id,
            **run.config.row(),
            **run.donors.columns(),
            "n_rows": len(table.targets),
            "n_train": n_train,
            "n_test": n_test,
            "chance": table.chance,
            "lanes": program.lanes,
        }

    def _record_failure(self, program: Program, error: Exception) -> None:
        """Every run of the program that has not ended has failed."""
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        self._fail(program, {run.run_id: message for run in self._left(program)})

    def _fail(self, program: Program, why: Mapping[str, str]) -> None:
        """Some runs of the program have failed, and no lane has a run."""
        failure = {"status": "failed", "stop_reason": "error"}
        left = [run for run in self._left(program) if run.run_id in why]
        for run in left:
            told = {**failure, "error": why[run.run_id]}
            self._ended.append({**self._configuration(run, program), **told})
            self._history.pop(run.run_id, None)
        self._commit(nothing_running(), NO_LANES)
        self.progress.end(left, failed=True)
        self._report(self.progress)

    def _start_over(self, smaller: Program) -> None:
        """Unfinished runs begin again in fewer lanes: all of a run's bits are of one program."""
        self._say(f"out of memory, {smaller.lanes} lanes in {smaller.spec.tiles} tiles instead")
        forgotten = [run.run_id for run in self._left(smaller)]
        self._rows = [rows for rows in self._rows if rows.occupant.run.run_id not in forgotten]
        self._measured = [rows for rows in self._measured if rows[0] not in forgotten]
        for run_id in forgotten:
            self._history.pop(run_id, None)
        self._commit(nothing_running(), NO_LANES, forgotten)
        results_folder.record_cut(self._folder, smaller)

    def _left(self, program: Program) -> list[Run]:
        ended = self._done | {row["run_id"] for row in self._ended}
        return [run for run in program.runs if run.run_id not in ended]

    def _run_ids(self) -> set[str]:
        return {run.run_id for program in self._programs for run in program.runs}

    def _describe(self, lanes: Lanes) -> dict[str, Any]:
        """Who is in which lane, for the checkpoint."""
        names = ("step", "wall_s", "calm_since")
        occupied = [
            o and {"run_id": o.run.run_id, **{name: getattr(o, name) for name in names}}
            for o in lanes.occupants
        ]
        return {**nothing_running(), "program": lanes.program.name, "lanes": occupied}

    def _commit(
        self, note: dict[str, Any], arrays: list[np.ndarray], forgotten: Collection[str] = ()
    ) -> None:
        """Write what has come since the last commit, then the checkpoint.

        Forgotten runs lose what was committed of them before, so that they can be run again.
        """
        tick = self._tick + 1
        points = [(rows.occupant.run.run_id, rows.points) for rows in self._rows]
        pieces = [(run_id, p.step, p.metrics) for run_id, p in points]
        measured = [(run_id, p.step, p.measures) for run_id, p in points] + self._measured
        for state in self._final:  # before the tick that commits the end of its run
            final_states.write(self._folder, state)
        tables = {
            "curves": schema.curves_table(pieces),
            "measures": schema.measures_table(measured),
            "runs": schema.runs_table(self._ended, self._runs_schema),
        }
        record = self._store.write(tick, tables, forgotten)
        note = {**note, "forget": sorted(forgotten), "parts": record}
        self._checkpoints.save(tick, note, arrays)
        self._tick, self._note = tick, note
        self._store.install(record)
        snapshots.forget(self._folder, set(forgotten))
        self._done |= {row["run_id"] for row in self._ended}
        self._rows, self._measured, self._ended, self._final = [], [], [], []
        self._hooks.committed(tick, note)

    def _say(self, activity: str) -> None:
        self.progress.activity = activity
        self._report(self.progress)
