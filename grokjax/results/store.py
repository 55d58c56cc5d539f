"""The parquet folders of one sweep while it is being written.

A *tick* is one segment of training and the unit of commitment. Its rows go into
`runs/` and `curves/` under names that hold the ticks they cover, `FIRST-LAST.parquet`,
before the checkpoint of that tick is saved, which holds the record of all parts that count
(`results.parts`). Redone work rewrites the same names, and `recover` drops what the newest
record does not have, so no row is lost or doubled. A part that was removed or altered is
noticed when the store is opened. When the sweep is complete `merge` makes one part of each
folder. A crash between that commit and the removal of the old parts leaves rows twice until
the next start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grokjax.results import parts, snapshots, tables
from grokjax.results.files import (
    make_folder,
    parquet_options,
    read_table,
    row_groups,
    sync_folder,
    write_atomically,
    write_table,
)
from grokjax.results.outside import refuse
from grokjax.results.parts import OPTIONAL, TABLES, Part, Record


class Store:
    """Writes and repairs the tables under `folder`; opening it changes nothing.

    Args:
      folder: of the results.
      committed: the last committed tick.
      record: the parts that are committed; None where no record was kept.
      provenance: what every file says of its origin.

    Attributes:
      record: of the committed parts that are there.
      lost: those that are missing or altered.
    """

    def __init__(
        self,
        folder: Path,
        committed: int,
        record: Record | None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        recorded = parts.found(folder, committed) if record is None else record
        self._files, self.lost = parts.located(folder, recorded)
        self.record: Record = {
            name: {part: recorded[name][part] for part in self._files[name]} for name in TABLES
        }
        self._staged: set[Path] = set()  # by their last names, of the commit under way
        self._provenance = {"grokjax": json.dumps(provenance or {})}

    def recover(self) -> None:
        """Bring the folders to what is committed, whatever a death has left in them."""
        for name in TABLES:
            inside = self.folder / name
            if name in OPTIONAL and not inside.exists():
                continue
            make_folder(inside)
            for part, path in self._files[name].items():
                if path.name != part:
                    path.replace(inside / part)
            for part in parts.on_disk(self.folder, name):
                if part not in self.record[name]:
                    (inside / part).unlink()
            for stray in parts.strays(self.folder, name):
                stray.unlink()
            sync_folder(inside)
        snapshots.drop_strays(self.folder)
        self._settle(self.record)

    def write(
        self, tick: int, tables: Mapping[str, pa.Table], forgotten: Collection[str] = ()
    ) -> Record:
        """Write a tick's rows, and stage the parts that lose the rows of forgotten runs.

        Tables without rows leave no file. Nothing counts before the record is committed.

        Returns:
          The record to commit and then to `install`.
        """
        self._staged = set()
        record = {name: dict(of_table) for name, of_table in self.record.items()}
        if forgotten:
            others = ~_is_one_of(forgotten)
            record = self.rewrite(lambda name, table: table.filter(others))
        for name, table in tables.items():
            if table.num_rows:
                metadata = {**(table.schema.metadata or {}), **self._provenance}
                part = parts.name(tick, tick)
                path = self.folder / name / part
                make_folder(path.parent)
                write_table(path, table.replace_schema_metadata(metadata))
                record[name][part] = parts.described(path)
        return record

    def merge(self, choose: Callable[[list[Path]], list[list[Path]]] = lambda all: [all]) -> Record:
        """Stage larger parts of smaller ones, of which few rows are in memory at a time.

        Args:
          choose: neighbours among the parts of a table, in their order, that become one part each.

        Returns:
          The record to commit and then to `install`.
        """
        self._staged = set()
        record = {name: dict(of_table) for name, of_table in self.record.items()}
        chosen = [(name, files) for name in TABLES for files in choose(self._paths(name))]
        for name, files in chosen:
            if len(files) < 2:
                continue

            def fill(file: BinaryIO, files: list[Path] = files) -> None:
                schema = unified(files)
                with pq.ParquetWriter(file, schema, **parquet_options(schema)) as writer:
                    for part in _batched(files):
                        missing = [field for field in schema if field.name not in part.column_names]
                        for field in missing:
                            part = part.append_column(field, pa.nulls(len(part), field.type))
                        writer.write_table(part.select(schema.names).cast(schema))

            first, last = parts.span(files[0].name)[0], parts.span(files[-1].name)[1]
            merged = parts.name(first, last)
            for file in files:
                del record[name][file.name]
            record[name][merged] = self._stage(self.folder / name / merged, fill)
        return record

    def install(self, record: Record) -> None:
        """Move what is staged to its name and drop what a record has no more, once committed."""
        for name in TABLES:
            inside = self.folder / name
            if name in OPTIONAL and not inside.exists():
                continue
            staged = [path for path in self._staged if path.parent == inside]
            for path in sorted(staged):
                parts.staged(path).replace(path)
            dropped = self.record[name].keys() - record[name].keys()
            for part in sorted(dropped):
                (inside / part).unlink()
            if staged or dropped:
                sync_folder(inside)
        self._settle(record)

    def _settle(self, record: Record) -> None:
        self.record, self._staged = record, set()
        self._files = {
            name: {part: self.folder / name / part for part in sorted(record[name])}
            for name in TABLES
        }

    def ended(
        self, columns: Sequence[str] = ("run_id", "status", "t_mem", "t_grok")
    ) -> pd.DataFrame:
        """Columns of `runs`, of every run that has ended."""
        return self._read("runs", list(columns))

    def ended_by(self, reasons: Collection[str]) -> set[tuple[str, int]]:
        """Id and last step of every run that one of some stop reasons has ended."""
        runs = self.ended(["run_id", "stop_reason", "last_step"])
        runs = runs[runs["stop_reason"].isin(list(reasons))]
        return {(run_id, int(step)) for run_id, step in zip(runs["run_id"], runs["last_step"], strict=True)}

    def partial(self) -> set[str]:
        """Runs that have rows, but not all that a run has which ended without an error."""
        runs = self._read("runs", ["run_id", "status", "last_step", "log_every"])
        rows = self._read("curves", ["run_id"])["run_id"].value_counts()
        runs = runs[runs["status"] != "failed"].set_index("run_id")
        expected = runs["last_step"] // runs["log_every"] + 1
        whole = set(runs.index[rows.reindex(runs.index) == expected])
        return {*rows.index, *self.ended()["run_id"]} - whole

    def begun(self) -> set[str]:
        """Runs that have rows of curves."""
        found: set[str] = set()
        for path in self._paths("curves"):  # a part in memory at a time
            found.update(read_table(path, columns=["run_id"])["run_id"].unique().to_pylist())
        return found

    def curves(
        self, run_ids: Collection[str], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """What the curves of these runs hold so far, in the order of their steps."""
        if not run_ids:
            return pd.DataFrame(columns=["run_id"])
        found = [tables.read(path, "curves", columns, run_ids) for path in self._paths("curves")]
        return pd.concat(found) if found else pd.DataFrame(columns=["run_id"])

    def _read(self, name: str, columns: list[str]) -> pd.DataFrame:
        found = []
        for path in self._paths(name):
            tables.check_columns(path, name, columns)
            found.append(tables.read(path, name, columns))
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)

    def rewrite(self, change: Callable[[str, pa.Table], pa.Table]) -> Record:
        """Stage every part as `change` makes it of a table's name and rows; the record of them."""
        self._staged = set()
        record: Record = {}
        for name in TABLES:
            record[name] = dict(self.record[name])
            for path in self._paths(name):
                table = read_table(path)
                changed = change(name, table)
                if changed.num_rows == 0:
                    del record[name][path.name]
                elif not changed.equals(table):
                    record[name][path.name] = self._stage(path, partial(_fill, changed))
        return record

    def _stage(self, path: Path, fill: Callable[[BinaryIO], None]) -> Part:
        """Write the next content of a part; its place in the record."""
        write_atomically(parts.staged(path), fill)
        self._staged.add(path)
        return parts.described(parts.staged(path))

    def _paths(self, name: str) -> list[Path]:
        return list(self._files[name].values())


def _fill(table: pa.Table, file: BinaryIO) -> None:
    pq.write_table(table, file, **parquet_options(table.schema))


def _is_one_of(run_ids: Collection[str]) -> pc.Expression:
    return pc.field("run_id").isin(pa.array(sorted(run_ids), pa.string()))


def _batched(paths: list[Path], rows: int = 250_000) -> Iterator[pa.Table]:
    """Tables of at least `rows` rows, so that merging makes few and large row groups."""
    waiting: list[pa.Table] = []
    for group in (group for path in paths for group in row_groups(path)):
        waiting.append(group.replace_schema_metadata(None))
        if sum(table.num_rows for table in waiting) >= rows:
            yield pa.concat_tables(waiting, promote_options="default")
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting, promote_options="default")


def unified(files: Sequence[Path]) -> pa.Schema:
    """All columns of some parts: a grid that grew by another optimiser has further ones.

    Raises:
      ConfigError: a part has a column of another type than the parts before it.
    """
    first = pq.read_schema(files[0])
    for path in files[1:]:
        other = pq.read_schema(path)
        known = dict(zip(first.names, first.types, strict=True))
        for field in other:
            if known.get(field.name, field.type) != field.type:
                wanted = known[field.name]
                refuse(path, f"column {field.name}", f"{field.type} stands where {wanted} belongs")
        more = [field for field in other if field.name not in known]
        first = pa.schema([*first, *more], metadata=other.metadata if more else first.metadata)
    return first
