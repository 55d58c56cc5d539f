"""Atomic files: a name either has all of its content or does not exist."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a temporary file, and give it its name once it is on the disk."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_table(path: Path, table: pa.Table) -> None:
    """A parquet file. Floats are split by byte: curves then take about half the room."""
    write_atomically(
        path, lambda file: pq.write_table(table, file, **parquet_options(table.schema))
    )


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Compression and encodings for a table."""
    floats = {field.name: "BYTE_STREAM_SPLIT" for field in schema if field.type == pa.float64()}
    others = [field.name for field in schema if field.name not in floats]
    return {"compression": "zstd", "use_dictionary": others, "column_encoding": floats}


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, one trailing newline."""
    text = json.dumps(value, indent=2) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    write_atomically(path, write)
