"""What shards have left becomes a results folder like any other, under its lock.

A join is a tick: rows first, in parts whose names say the tick, and then a checkpoint without
lanes whose note has the record of the parts. A death in between leaves parts that no record has,
and the next start drops them; so a folder goes on with workers or without, as it likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from grokjax.cluster import bundles
from grokjax.cluster.depot import Depot
from grokjax.config import ConfigError, Experiment
from grokjax.engine import final_states, finishing
from grokjax.engine.checkpoint import NO_LANES, Checkpoints, nothing_running
from grokjax.engine.standing import Standing
from grokjax.results import parts, schema, snapshots
from grokjax.results.files import make_folder, to_frame, write_bytes
from grokjax.results.parts import TABLES, Record
from grokjax.results.reading import CHECKPOINTS, WORK
from grokjax.results.store import Store
from grokjax.results.tables import PANDAS

T = TypeVar("T")

MOST_BYTES = 64 * 2**20
"""Size of a part that is not merged further."""
SCHEMA = f"{WORK}/cluster/runs.schema"
LARGE_BYTES = 16 * 2**20
"""Size of a part that is left as it is in the end: merging it would take as long as joining it."""
AT_ONCE = 64
"""Shards in a commit, at most."""
ROWS_AT_ONCE = 1_000_000
"""Rows of curves in a commit of more shards than one: some 90 MB of memory."""
SMALL_BYTES = 2**20
"""Of a part that is read before other threads have begun."""
COUNTED = ("run_id", "status", "t_mem", "t_grok", "last_step")
"""Columns of `runs` that counters are made of."""
FAN = 16
"""Parts that are merged into one, as it goes."""
_ARRAYS = re.compile(r"(snapshots|final)/([0-9a-f]{1,64})-\d{10}\.safetensors")


def write_schema(folder: Path, runs_schema: pa.Schema) -> None:
    """Keep the columns of `runs` for those who join and do not know the experiment."""
    write_bytes(folder / SCHEMA, runs_schema.serialize().to_pybytes())


def read_schema(folder: Path) -> pa.Schema:
    """The columns of `runs` of a sweep on workers.

    Raises:
      ConfigError: there is none in the folder.
    """
    try:
        return pa.ipc.read_schema(pa.py_buffer((folder / SCHEMA).read_bytes()))
    except (OSError, pa.ArrowException):
        raise ConfigError(
            f"{folder}: no unfinished sweep on workers is there, give the --out of one."
        ) from None


class Committer:
    """Adds what shards have left to a folder whose lock is held.

    Args:
      folder: of the results.
      standing: of the folder.
      runs_schema: columns of `runs`, those of all kinds of runs in the sweep.
      provenance: what new files say of their origin.
    """

    def __init__(
        self,
        folder: Path,
        standing: Standing,
        runs_schema: pa.Schema,
        provenance: Mapping[str, Any],
    ) -> None:
        self._folder, self._runs_schema, self.tick = folder, runs_schema, standing.tick
        self._store = Store(folder, standing.tick, standing.store.record, provenance)
        self._store.recover()
        self._checkpoints = Checkpoints(folder / CHECKPOINTS)
        self.ended = set(self._store.ended()["run_id"])
        self._told: pa.Schema | None = None

    def table(self) -> pd.DataFrame:
        """What counters need to know of the runs that have ended."""
        return self._store.ended(COUNTED)

    def begin(self, standing: Standing) -> None:
        """Drop what runs have left that are to be trained from the start."""
        snapshots.forget(self._folder, set(standing.note["forget"]))
        forgotten = set(standing.again) | self._unfinished(standing)
        if forgotten or standing.note["program"] is not None:
            self.forget(forgotten)

    def _unfinished(self, standing: Standing) -> set[str]:
        """Runs that have rows and have not ended; rows are counted before they are read."""
        ended = self._store.ended(["run_id", "status", "last_step", "log_every"])
        whole = ended[ended["status"] != "failed"]
        expected = int((whole["last_step"] // whole["log_every"] + 1).sum())
        held = sum(one["rows"] for one in self._store.record["curves"].values())
        if held == expected and len(whole) == len(ended) and standing.note["program"] is None:
            return set()
        return self._store.begun() - self.ended

    def forget(self, run_ids: Collection[str]) -> None:
        """Drop the rows of some runs, which are to be trained again."""
        self._commit({}, run_ids)
        self.ended -= set(run_ids)

    def take(
        self, depot: Depot, done: Iterable[tuple[Collection[str], bundles.Files]]
    ) -> pd.DataFrame:
        """Add what shards have left, in one commit; what counters need to know of the new runs.

        Args:
          depot: that it lies in.
          done: the runs of each shard, and where its results are.

        Raises:
          DamagedError: something is not what its listing says; nothing is added.
        """
        read = [self._read(depot, set(runs) - self.ended, files) for runs, files in done]
        tables = {}
        for name in TABLES:
            found = [of_shard[name] for of_shard in read if name in of_shard]
            if found:
                tables[name] = pa.concat_tables(found)
        self._commit(tables)
        runs = tables.get("runs", self._runs_schema.empty_table())
        new = to_frame(runs.select(COUNTED), PANDAS["runs"])
        self.ended |= set(new["run_id"])
        self._grow()
        return new

    def _read(self, depot: Depot, wanted: set[str], files: bundles.Files) -> dict[str, pa.Table]:
        """The rows of some runs in what a shard has left; its arrays are written on the way."""
        if not wanted:
            return {}
        heads = (*TABLES, snapshots.FOLDER, final_states.FOLDER)
        contents = bundles.receive(depot, files, heads)
        for path, content in contents.items():
            match = _ARRAYS.fullmatch(path)
            if match and match[2] in wanted:
                make_folder(self._folder / match[1])
                write_bytes(self._folder / path, content)
        tables = {}
        ids = pa.array(sorted(wanted), pa.string())
        for name in TABLES:
            found = [
                _rows(content, ids)
                for path, content in sorted(contents.items())
                if path.startswith(f"{name}/")
            ]
            if found:
                table = pa.concat_tables(found, promote_options="default")
                tables[name] = self._conformed(table) if name == "runs" else table
        return tables

    def _conformed(self, table: pa.Table) -> pa.Table:
        """Rows of `runs` with the columns of all kinds of runs."""
        if self._told is None:  # with what pandas wants to know of the columns
            first = table.slice(0, 1).to_pylist()
            self._told = schema.runs_table(first, self._runs_schema).schema
        held = dict(zip(table.column_names, table.columns, strict=True))
        columns = [
            pa.nulls(len(table), field.type)
            if field.name not in held
            else held[field.name]
            if held[field.name].type == field.type
            else held[field.name].cast(field.type)
            for field in self._told
        ]
        return pa.Table.from_arrays(columns, schema=self._told)

    def _grow(self) -> None:
        """Make larger parts of the last ones, so that there are never many."""
        choose = partial(_neighbours, tick=self.tick)
        if any(choose([self._folder / t / n for n in self._store.record[t]]) for t in TABLES):
            self._save(self._store.merge(choose), ())

    def finish(self, experiment: Experiment, work: Mapping[str, float]) -> None:
        """Merge what is left; the manifest commits it."""
        record = self._store.merge(_together)
        finishing.finish(self._folder, experiment, self._store, record, self.tick, work)

    def _commit(self, tables: Mapping[str, pa.Table], forgotten: Collection[str] = ()) -> None:
        self._save(self._store.write(self.tick + 1, tables, forgotten), forgotten)

    def _save(self, record: Record, forgotten: Collection[str]) -> None:
        note = {**nothing_running(), "forget": sorted(forgotten), "parts": record}
        self._checkpoints.save(self.tick + 1, note, NO_LANES)
        self.tick += 1
        self._store.install(record)
        snapshots.forget(self._folder, set(forgotten))


def _rows(content: bytes, run_ids: pa.Array) -> pa.Table:
    """The rows of some runs in a part."""
    # What `pq.read_table` plans for folders of files takes longer than reading a few rows.
    part = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    table = part.read(use_threads=len(content) > SMALL_BYTES)
    wanted = pc.is_in(table["run_id"], run_ids)
    return table if pc.all(wanted).as_py() else table.filter(wanted)


def _neighbours(files: list[Path], tick: int) -> list[list[Path]]:
    """The last parts that together have a number of ticks which is a power of the fan."""
    width = FAN
    chosen: list[Path] = []
    while (tick + 1) % width == 0:
        inside = [file for file in files if parts.span(file.name)[0] > tick - width]
        if len(inside) >= FAN and sum(file.stat().st_size for file in inside) <= MOST_BYTES:
            chosen = inside
        width *= FAN
    return [chosen] if chosen else []


def _together(files: list[Path]) -> list[list[Path]]:
    """Neighbours as long as they are not too large together; large ones stay alone."""
    groups: list[list[Path]] = []
    room = 0
    for file in files:
        size = file.stat().st_size
        if not groups or size > room or size > LARGE_BYTES:
            groups.append([])
            room = 0 if size > LARGE_BYTES else MOST_BYTES
        groups[-1].append(file)
        room -= size
    return groups


def in_commits(done: Iterable[T], rows: Callable[[T], int]) -> list[list[T]]:
    """Shards that are done, those together that are joined in one commit.

    Args:
      done: what is known of each.
      rows: of curves of one.
    """
    commits: list[list[T]] = []
    held = 0
    for one in done:
        held += rows(one)
        if not commits or held > ROWS_AT_ONCE or len(commits[-1]) == AT_ONCE:
            commits.append([])
            held = rows(one)
        commits[-1].append(one)
    return commits
