"""Real processes that are killed at random moments, until their sweeps are through all the same.

    PYTHONPATH=tests:. python -m crash.kills 1000

kills 1,000 and writes results/trust/kills.json. A sweep is killed one to eight times, at any moment
of its start or, more often, of its training; the process that is killed next may be one that goes
on after the last death. Each process is forked by one that has imported everything and started
nothing of JAX, and takes compiled programs from a folder, so that it costs about a second.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from crash import stored_programs
from crash.kinds import DONOR, KINDS, Start, Train, small_ticks
from crash.states import SWEEP, difference, outcome, write_record
from grokjax.engine import donors
from grokjax.results import schema
from grokjax.training.spec import spec_of

RECORD = Path(__file__).parents[2] / "results" / "trust" / "kills.json"
MOST_DEATHS = 8
"""Of one sweep."""
AT_ANY_MOMENT = 0.25
"""Share of the kills that may come before a start has its first file."""


def forked(work: Callable[[], object], errors: Path) -> int:
    """Do something in a process of its own; its id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(BaseException):
            descriptor = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)
    return pid


def waited(pid: int) -> int:
    """The status of a process that has ended, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Victim:
    """A kind of sweep, with what it comes to when nobody kills it."""

    def __init__(self, name: str, place: Path) -> None:
        self.kind, self.place, self._donor = KINDS[name], place, place / "donor"
        place.mkdir()
        self.errors = place / "errors"
        if self.kind.has_donor:
            self._whole(lambda: DONOR(self._donor, self._donor))
        self.seconds: list[tuple[float, float]] = []
        """Of every start: until its first file, and from there to its end."""
        whole = place / "whole" / SWEEP
        for start in self.kind.starts:
            self._whole(lambda start=start: start(whole, self._donor))
            self._warm(start)
        again = place / "again" / SWEEP  # now that it is compiled
        for number in range(len(self.kind.starts)):
            began = time.monotonic()
            pid = self._start(number, again)
            first = self._first_change(again, pid)
            if waited(pid) != 0:
                raise RuntimeError(self.errors.read_text())
            self.seconds.append((first - began, time.monotonic() - first))
        self.outcome = outcome(whole)
        if wrong := difference(self.outcome, outcome(again)):
            raise RuntimeError(f"{name}: without a kill: {wrong}")

    def _warm(self, start: Start) -> None:
        """Compute for all processes what needs no device."""
        if isinstance(start, Train):
            experiment = start.experiment(self._donor)
            schema.runs_table([], schema.runs_schema(experiment))
            for run in experiment.runs():
                donors.state_shapes(spec_of(run.resolved()))

    def _whole(self, work: Callable[[], object]) -> None:
        if waited(forked(work, self.errors)) != 0:
            raise RuntimeError(self.errors.read_text())

    def _start(self, number: int, folder: Path) -> int:
        start = self.kind.starts[number]
        return forked(lambda: start(folder, self._donor), self.errors)

    @staticmethod
    def _first_change(folder: Path, pid: int) -> float:
        """When a process first changes a file, or ends."""

        def newest() -> float:
            paths = [folder, *folder.rglob("*")] if folder.exists() else []
            with contextlib.suppress(FileNotFoundError):
                return max((path.stat().st_mtime_ns for path in paths), default=0)
            return float("inf")

        before = newest()
        while (
            newest() == before
            and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        ):
            time.sleep(0.002)
        return time.monotonic()

    def sweep(self, choose: random.Random, deaths: int, counts: Counter[str]) -> str | None:
        """Start a sweep that is killed some times, and let it end; what is wrong with that."""
        self.errors.write_bytes(b"")
        with tempfile.TemporaryDirectory(dir=self.place) as place:
            folder, died = Path(place) / SWEEP, 0
            ends = sorted(choose.randrange(len(self.kind.starts)) for _ in range(deaths))
            for number in range(len(self.kind.starts)):
                for _ in range(ends.count(number)):
                    killed = self._killed(number, folder, choose)
                    counts["killed"] += killed
                    counts["killed while it went on after a death"] += killed and died > 0
                    died += killed
                if waited(self._start(number, folder)) != 0:
                    return self.errors.read_text()
            if said := self.errors.read_text():
                return said
            return difference(self.outcome, outcome(folder))

    def _killed(self, number: int, folder: Path, choose: random.Random) -> bool:
        """Start, and kill at a random moment; whether that was before its end."""
        before, after = self.seconds[number]
        pid = self._start(number, folder)
        if choose.random() < AT_ANY_MOMENT:
            time.sleep(choose.uniform(0, before + after))
        else:
            self._first_change(folder, pid)
            time.sleep(choose.uniform(0, after))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        status = waited(pid)
        if status not in (0, -signal.SIGKILL):
            raise RuntimeError(self.errors.read_text())
        return status == -signal.SIGKILL


def main() -> None:
    """Kill processes, the given number of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path, help="folder for sweeps and what is compiled, kept")
    given = parser.parse_args()
    choose = random.Random(given.seed)
    began = time.monotonic()
    with (
        small_ticks(),
        tempfile.TemporaryDirectory(dir=given.place) as place,
        pytest.MonkeyPatch.context() as patch,
    ):
        cache = given.place or Path(place)
        stored_programs.use(patch, cache / "programs")
        jax.config.update("jax_num_cpu_devices", 1)
        jax.config.update("jax_disable_most_optimizations", True)
        jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
        names = [name for name, kind in KINDS.items() if not kind.deaths]
        victims = {name: Victim(name, Path(place) / f"{n}") for n, name in enumerate(names)}
        print({name: one.seconds for name, one in victims.items()}, flush=True)
        counts = {name: Counter[str]() for name in names}
        gc.freeze()  # what is there is not copied into every process
        while sum(of_kind["killed"] for of_kind in counts.values()) < given.kills:
            for name, victim in victims.items():
                deaths = choose.randint(1, MOST_DEATHS)
                counts[name]["sweeps"] += 1
                if wrong := victim.sweep(choose, deaths, counts[name]):
                    counts[name]["wrong"] += 1
                    print(f"{name}, {deaths} deaths: {wrong}", flush=True)
                print(f"{sum(of_kind['killed'] for of_kind in counts.values())} killed", flush=True)
    wrong = sum(of_kind["wrong"] for of_kind in counts.values())
    keys = ("sweeps", "killed", "killed while it went on after a death", "wrong")
    kinds = {name: {key: of_kind[key] for key in keys} for name, of_kind in counts.items()}
    killed = sum(of_kind["killed"] for of_kind in counts.values())
    about = {
        "command": f"PYTHONPATH=tests:. python -m crash.kills {given.kills}",
        "seed": given.seed,
        "killed": killed,
        "wrong": wrong,
        "wrong means": "a table or a file that differs, a file too many, a traceback",
        "seconds": round(time.monotonic() - began),
    }
    RECORD.unlink(missing_ok=True)
    write_record(RECORD, kinds, about)
    print(about, flush=True)


if __name__ == "__main__":
    main()
