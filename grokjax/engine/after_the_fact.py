"""Instruments on the snapshots of a finished folder; it goes on where it was stopped.

Rows go to the folder's `measures/` in parts, each committed by the manifest, as the parts of a
sweep are when it has finished. The network that a run begins with is measured too, whether a
snapshot of it was stored or not: it is what everything else is compared with.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import pandas as pd

from grokjax import weights
from grokjax.config import INSTRUMENTS, ConfigError, Experiment, Instrument, source
from grokjax.config.coercion import require
from grokjax.config.fields import leaves
from grokjax.display import duration
from grokjax.engine import backend, compiling, donors, plan, results_folder
from grokjax.engine.measuring import OVER_A_STEP, Meter, OnHost, by_run
from grokjax.engine.plan import Run
from grokjax.engine.standing import read_standing
from grokjax.results import manifest, schema, snapshots
from grokjax.results.load import load
from grokjax.results.reading import CHECKPOINTS
from grokjax.results.snapshots import Snapshot
from grokjax.training import loop
from grokjax.training.spec import Spec, spec_of

COMMIT_SECONDS = 20.0
"""Time between commits: what a kill loses at most, beside the batch under way."""
SAY_SECONDS = 5.0
"""Time between two words on how it goes."""
Say = Callable[[str], None]
Asked = Sequence[Instrument] | Literal["all"] | None


@dataclasses.dataclass(frozen=True)
class Stored:
    """A network that is to be measured, not read yet."""

    run: Run
    step: int
    snapshot: Snapshot | None
    """None: the network that the run begins with."""
    end: Snapshot
    """The last snapshot of its run."""


@dataclasses.dataclass(frozen=True)
class Batches:
    """Networks that one compiled program measures."""

    spec: Spec
    instruments: tuple[Instrument, ...]
    with_optimizer: bool
    with_end: bool
    networks: list[Stored]


def measure_folder(
    folder: Path,
    instruments: Asked,
    experiment: Experiment | None,
    say: Say,
    stop: threading.Event,
    steps: Collection[int | str] | None = None,
) -> bool:
    """`measure_snapshots` of a folder that nobody holds.

    Args:
      folder: of a sweep that has finished.
      instruments: what to measure; None: all that fit and cost no more than a few updates;
        all: all that fit.
      experiment: as it was trained; needed only where results do not tell all of it.
      say: told how it goes.
      stop: when it is set, what was measured is committed.
      steps: those to measure at, updates or t_mem, t_grok and end; None: all that there are.
    """
    backend.prepare()
    results = load(folder)
    # A death of an earlier measurement leaves a lock, and nothing to train.
    begun = not results.finished and "parts" not in results.manifest
    if begun or (folder / CHECKPOINTS).exists():
        raise ConfigError(
            f"{folder}: this sweep is not finished, train its runs first; instruments that the "
            "experiment has measure its snapshots then."
        )
    if results.snapshots.empty:
        raise ConfigError(
            f"{folder}: no parameters were stored there, train with "
            "snapshots=SnapshotSchedule(log_spaced=30, moments=('end',))."
        )

    some_run = weights.run_of(results, str(results.snapshots["run_id"].iloc[0]), experiment)
    chosen = applicable(instruments, some_run, experiment)
    with results_folder.locked(folder):
        try:
            return measure_snapshots(folder, experiment, chosen, say, stop, steps)
        finally:
            # The sweep is finished whatever became of this; a refusal leaves that to the lock.
            if not isinstance(sys.exc_info()[1], ConfigError):
                results_folder.drop_work(folder)


def applicable(
    instruments: Asked, run: Experiment, experiment: Experiment | None = None
) -> tuple[Instrument, ...]:
    """The instruments that are asked for.

    Args:
      instruments: one by one; None: all that fit and are not expensive; all: all that fit.
      run: to be measured.
      experiment: whose instruments, of the user's own or set otherwise, are among all.

    Raises:
      ConfigError: what is asked for one by one has nothing to measure.
    """
    if instruments is None or instruments == "all":
        own = {one.kind: one for one in experiment.instruments} if experiment else {}
        every = {kind: make() for kind, make in INSTRUMENTS.items()} | own
        cheap = instruments is None
        return tuple(
            one
            for one in every.values()
            if _why_not(one, run) is None and not (cheap and one.cadence == "snapshots")
        )
    for one in instruments:
        why = _why_not(one, run)
        require(why is None, "instruments", one.kind, f"{why}, leave it out")
    return tuple(instruments)


def _why_not(instrument: Instrument, run: Experiment) -> str | None:
    """Why snapshots of the run have nothing for an instrument to measure; None where they have."""
    if instrument.of_updates:
        return "snapshots do not tell what updates did, it measures while a run is trained"
    if any(change.at is not None for change in run.changes):
        return "snapshots do not tell which changes at moments had come"
    return instrument.why_not(run.task, run.model)


def measure_snapshots(
    folder: Path,
    experiment: Experiment | None,
    instruments: Sequence[Instrument],
    say: Say,
    stop: threading.Event,
    steps: Collection[int | str] | None = None,
) -> bool:
    """Measure what is not measured yet; whether all of it is there now.

    The folder's lock is held by the caller.

    Args:
      folder: of a sweep that has finished.
      experiment: as it was trained; needed only where results do not tell all of it.
      instruments: what to measure.
      say: told how it goes.
      stop: when it is set, what was measured is committed.
      steps: those to measure at, updates or t_mem, t_grok and end; None: all that there are.

    Raises:
      ConfigError: an instrument has nothing to measure, or was set otherwise before.
    """
    found = manifest.read(folder)
    assert found is not None  # the caller has opened the folder
    settings = settings_of(instruments, found)
    commit = _Commit(folder)  # before the tables are read: a death may have left them in between
    todo = list(_batches(folder, experiment, instruments, steps))
    if todo:
        manifest.write(folder, {**found, "measured": settings})
    count, done, began = sum(len(one.networks) for one in todo), 0, time.monotonic()
    said = began
    for batches in todo:
        say(f"compiling {len(batches.instruments)} instruments")
        meter = _meter(batches)
        for few in _cut(batches.networks, meter.at_once):
            read = [_read(batches, network) for network in few]
            commit.add(by_run(read, meter.measure(read)))
            done += len(few)
            now = time.monotonic()
            if now - said > SAY_SECONDS:
                left, said = (now - began) * (count - done) / done, now
                say(f"measured {done} of {count} networks · ETA {duration(left)}")
            if stop.is_set():
                commit.write()
                return False
    commit.write()
    commit.merge()
    return True


def settings_of(instruments: Sequence[Instrument], found: Mapping[str, Any]) -> dict[str, Any]:
    """Kind of an instrument → its fields; refused where rows of others are there already."""
    known = dict(found.get("measured", {}))
    for instrument in instruments:
        told = leaves(instrument) | {"source": source.checksum(type(instrument))}
        fields = {name: value for name, value in manifest.plain(told).items() if value is not None}
        before = known.setdefault(instrument.kind, fields)
        if before != fields:
            names = sorted(before.keys() | fields.keys())
            unlike = [f"{n}={before.get(n)!r}" for n in names if before.get(n) != fields.get(n)]
            raise ConfigError(
                f"instruments={instrument.kind!r}: the rows there were measured with "
                f"{', '.join(unlike)}, measure with the same, or in a copy of the folder."
            )
    return known


def _batches(
    folder: Path,
    experiment: Experiment | None,
    instruments: Sequence[Instrument],
    steps: Collection[int | str] | None,
) -> Iterator[Batches]:
    """What is left to measure, by the program that measures it."""
    results = load(folder)
    measured = results.measures
    done = set()
    if len(measured):
        keys = measured[["run_id", "step", "instrument"]].drop_duplicates()
        done = set(keys.itertuples(index=False, name=None))
    rows = results.runs.set_index("run_id")
    failed = set(results.runs["run_id"][results.runs["status"] == "failed"])
    stored: dict[str, dict[int, Snapshot]] = {}
    for snapshot in snapshots.found(folder):
        if snapshot.run_id not in failed:
            stored.setdefault(snapshot.run_id, {})[snapshot.step] = snapshot
    groups: dict[tuple, list[Stored]] = {}
    for run_id, of_run in stored.items():
        config = weights.run_of(results, run_id, experiment)
        run = Run(run_id, config, donors.find(config, None if experiment else folder))
        last = of_run[max(of_run)]
        has_optimizer = any(name.startswith("optimizer/") for name in snapshots.shapes(last))
        alike = dataclasses.replace(spec_of(config), train_rows=(0, 0))
        asked = {0, *of_run} if steps is None else _asked(rows.loc[run_id], steps)
        for step in sorted({0, *of_run} & asked):
            left = tuple(i for i in instruments if (run_id, step, i.kind) not in done)
            if left:
                network = Stored(run, step, of_run.get(step), last)
                groups.setdefault((alike, left, has_optimizer), []).append(network)
    for (alike, left, has_optimizer), networks in groups.items():
        # One program for all train fractions: it takes longer to compile than to pad.
        largest = max(spec_of(network.run.config).train_rows[1] for network in networks)
        spec = dataclasses.replace(alike, train_rows=(1, largest))
        wants = has_optimizer and any(instrument.needs_optimizer for instrument in left)
        compares = any(instrument.needs_end for instrument in left)
        yield Batches(spec, left, wants, compares, networks)


def _asked(row: Any, steps: Collection[int | str]) -> set[int]:
    """The steps of a run that are asked for; a moment that has not come is none."""
    columns = {"t_mem": "t_mem", "t_grok": "t_grok", "end": "last_step"}
    unknown = [step for step in steps if not str(step).isdigit() and step not in columns]
    remedy = "give updates, t_mem, t_grok or end"
    require(not unknown, "steps", ", ".join(map(str, unknown)), remedy)
    values = [row[columns[str(step)]] if step in columns else step for step in steps]
    return {int(value) for value in values if not pd.isna(value)}


def _meter(batches: Batches) -> Meter:
    """The program that measures some networks, as many at a time as the devices take."""
    devices = min(jax.local_device_count(), len(batches.networks))
    each = 1
    if jax.default_backend() != "cpu":
        memory = plan.device_memory() or plan.SMALLEST_MEMORY
        each = max(1, plan.lanes_in(memory / OVER_A_STEP, batches.spec))
        each = min(each, -(-len(batches.networks) // devices))
    return Meter(
        batches.spec,
        batches.instruments,
        devices * each,
        devices,
        with_optimizer=batches.with_optimizer,
        with_end=batches.with_end,
    )


def _read(batches: Batches, network: Stored) -> OnHost:
    """A network with its arrays."""
    end = snapshots.read(network.end) if batches.with_end else None
    if network.snapshot is not None:
        return OnHost(network.run, network.step, snapshots.read(network.snapshot), end)
    return OnHost(network.run, 0, _beginning(batches.spec)(network.run), end)


@functools.lru_cache(maxsize=8)
def _beginning(spec: Spec) -> Callable[[Run], Mapping[str, Any]]:
    """A function of a run to the arrays that it begins with."""
    program = jax.jit(partial(loop.init, spec))

    def begin(run: Run) -> Mapping[str, Any]:
        with compiling.modes(spec):
            state = program(run.hparams(), donors.read(spec, run.donors))
        return donors.named({"params": state.params, "optimizer": state.optimizer})

    return begin


def _cut(networks: list[Stored], size: int) -> Iterator[list[Stored]]:
    for first in range(0, len(networks), size):
        yield networks[first : first + size]


class _Commit:
    """Rows that wait to be committed, and their commits."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._waiting, self._last = folder, list[Any](), time.monotonic()
        self._standing = read_standing(folder, manifest.read(folder))
        self._standing.store.recover()
        self._tick = self._standing.tick

    def add(self, rows: list[Any]) -> None:
        """Take in rows, and commit now and then."""
        self._waiting += rows
        if time.monotonic() - self._last > COMMIT_SECONDS:
            self.write()

    def write(self) -> None:
        """Commit what waits."""
        if not self._waiting:
            return
        self._tick += 1
        table = schema.measures_table(self._waiting)
        self._count(self._standing.store.write(self._tick, {"measures": table}))
        self._waiting, self._last = [], time.monotonic()

    def merge(self) -> None:
        """Make one part of the parts, where there are several."""
        record = self._standing.store.merge()
        if record != self._standing.store.record:
            self._count(record)

    def _count(self, record: Any) -> None:
        """Let a record count, and then install it."""
        found = manifest.read(self._folder)
        assert found is not None  # it was read when the folder was opened
        manifest.write(self._folder, {**found, "ticks": self._tick + 1, "parts": record})
        self._standing.store.install(record)
