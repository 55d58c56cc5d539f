"""The parquet folders of one sweep while it is being written.

A *tick* is one segment of training and the unit of commitment. Its rows go into
`runs/` and `curves/` under names that hold the ticks they cover, `FIRST-LAST.parquet`,
before the checkpoint of that tick is saved. Redone work rewrites the same names, and
`recover` drops what lies beyond the newest checkpoint, so no row is lost or doubled.
When the sweep is complete `compact` merges the parts of each folder into one. A crash
between the merge and the removal of its parts leaves rows twice until the next start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grokjax.results import snapshots
from grokjax.results.files import parquet_options, sync_folder, write_atomically, write_table

TABLES = ("runs", "curves")
_PART = re.compile(r"(\d{8})-(\d{8})\.parquet")


class Store:
    """Writes and repairs the tables under `folder`."""

    def __init__(self, folder: Path, provenance: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._provenance = {"grokjax": json.dumps(provenance or {})}

    def commit(self, tick: int, tables: dict[str, pa.Table]) -> None:
        """Write a tick's rows; tables without rows leave no file."""
        for name, table in tables.items():
            if table.num_rows:
                metadata = {**(table.schema.metadata or {}), **self._provenance}
                write_table(self._path(name, tick, tick), table.replace_schema_metadata(metadata))

    def last_tick(self) -> int:
        """The last tick that any part covers, committed or not; -1 without parts."""
        return max((last for name in TABLES for _, last in self._parts(name)), default=-1)

    def recover(self, committed: int) -> None:
        """Drop parts beyond the last committed tick, and leftovers of an interrupted merge."""
        for name in TABLES:
            (self.folder / name).mkdir(exist_ok=True)
            spans = self._parts(name)
            for first, last in spans:
                merged = any(a <= first and last <= b and (a, b) != (first, last) for a, b in spans)
                if last > committed or merged:
                    self._path(name, first, last).unlink()
            sync_folder(self.folder / name)
        for name in (*TABLES, snapshots.FOLDER):
            for stray in (self.folder / name).glob(".*.tmp"):
                stray.unlink()

    def ended(self) -> pd.DataFrame:
        """`run_id`, `status`, `t_mem` and `t_grok` of every run that has ended."""
        columns = ["run_id", "status", "t_mem", "t_grok"]
        parts = [
            pq.read_table(self._path("runs", *span), columns=columns).to_pandas()
            for span in self._parts("runs")
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def curves(self, run_ids: Collection[str]) -> pd.DataFrame:
        """What the curves of these runs hold so far, in the order of their steps."""
        wanted = _is_one_of(run_ids)
        parts = [
            pq.read_table(self._path("curves", *span), filters=wanted).to_pandas()
            for span in self._parts("curves")
        ]
        return pd.concat(parts) if parts else pd.DataFrame(columns=["run_id"])

    def forget(self, run_ids: Collection[str]) -> None:
        """Remove every row of these runs, so that they can be run again."""
        # Curves first: a run that still has its `runs` row is forgotten again next time.
        for name in reversed(TABLES):
            for span in self._parts(name):
                path = self._path(name, *span)
                table = pq.read_table(path)
                kept = table.filter(~_is_one_of(run_ids))
                if kept.num_rows == 0:
                    path.unlink()
                elif kept.num_rows < table.num_rows:
                    write_table(path, kept)
        snapshots.forget(self.folder, set(run_ids))

    def compact(self) -> None:
        """Merge the parts of each table into one file, a part in memory at a time."""
        for name in TABLES:
            spans = self._parts(name)
            if len(spans) < 2:
                continue

            def merge(path: Path, name: str = name, spans: list = spans) -> None:
                schema = unified([pq.read_schema(self._path(name, *span)) for span in spans])
                with pq.ParquetWriter(path, schema, **parquet_options(schema)) as writer:
                    for part in _batched(self._path(name, *span) for span in spans):
                        missing = [field for field in schema if field.name not in part.column_names]
                        for field in missing:
                            part = part.append_column(field, pa.nulls(len(part), field.type))
                        writer.write_table(part.select(schema.names).cast(schema))

            merged = self._path(name, spans[0][0], spans[-1][1])
            write_atomically(merged, merge)
            for span in spans:
                if self._path(name, *span) != merged:
                    self._path(name, *span).unlink()
            sync_folder(merged.parent)

    def _path(self, name: str, first: int, last: int) -> Path:
        return self.folder / name / f"{first:08d}-{last:08d}.parquet"

    def _parts(self, name: str) -> list[tuple[int, int]]:
        folder = self.folder / name
        matches = [_PART.fullmatch(p.name) for p in folder.iterdir()] if folder.exists() else []
        return sorted((int(m[1]), int(m[2])) for m in matches if m)


def _is_one_of(run_ids: Collection[str]) -> pc.Expression:
    return pc.field("run_id").isin(pa.array(sorted(run_ids), pa.string()))


def _batched(paths, rows: int = 250_000):
    """Tables of at least `rows` rows, so that merging makes few and large row groups."""
    waiting: list[pa.Table] = []
    for path in paths:
        waiting.append(pq.read_table(path).replace_schema_metadata(None))
        if sum(table.num_rows for table in waiting) >= rows:
            yield pa.concat_tables(waiting, promote_options="default")
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting, promote_options="default")


def unified(schemas: list[pa.Schema]) -> pa.Schema:
    """All columns of some parts: a grid that grew by another optimiser has further ones."""
    first = schemas[0]
    known = set(first.names)
    for other in schemas[1:]:
        more = [field for field in other if field.name not in known]
        known |= {field.name for field in more}
        first = pa.schema([*first, *more], metadata=other.metadata if more else first.metadata)
    return first
