"""Atomic files: a name either has all of its content or does not exist, and stays after a power cut.

All that is written goes through Python's own files, so that a fault of the storage is an `OSError`
with its number and the name of the file.

Tables carry a checksum a page, which every reader here verifies.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from grokjax.config import ConfigError
from grokjax.results.outside import check_fits, refuse, regular, unreadable


class Temporary:
    """A folder that is removed with the last reference to this, or when Python ends."""

    def __init__(self, folder: Path) -> None:
        self._end = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)


def temporary(path: Path) -> Path:
    """What a file is called until it is whole."""
    return path.with_name(f".{path.name}.tmp")


def drop_temporary(folder: Path) -> None:
    """Remove what a death has left of files that were being written to a folder of ours alone."""
    for path in folder.glob(".*.tmp"):
        path.unlink()


def write_atomically(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Have `write` fill a temporary file, and give it its name once it is on the disk."""
    part = temporary(path)
    with _named(path):
        try:
            # In a folder from elsewhere it may be a link, which would be written through.
            part.unlink(missing_ok=True)
            with part.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except Exception:
            # A full disk has the room back. Where this fails too, the next start does it.
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those that it lies in, durably; one that exists is left as it is."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with _named(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Let the errors of open files name what they are of."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_table(path: Path, table: pa.Table) -> None:
    """A parquet file. Floats are split by byte: curves then take about half the room."""
    options = parquet_options(table.schema)
    write_atomically(path, lambda file: pq.write_table(table, file, **options))


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Compression and encodings for a table."""
    floats = {field.name: "BYTE_STREAM_SPLIT" for field in schema if field.type == pa.float64()}
    others = [field.name for field in schema if field.name not in floats]
    return {
        "compression": "zstd",
        "use_dictionary": others,
        "column_encoding": floats,
        "write_page_checksum": True,
    }


def read_table(path: Path, **options: Any) -> pa.Table:
    """A table, or the part of it that `columns` and `filters` ask for.

    Raises:
      ConfigError: the file is damaged, or its columns hold something else than numbers and text.
    """
    metadata = read_metadata(path)
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    check_fits(path, sum(group.total_byte_size for group in groups))
    # Without partitioning, a folder named "p=7" above it would be taken for a column.
    options |= {"partitioning": None, "page_checksum_verification": True}
    with _named_when_damaged(path):
        return pq.read_table(path, **options)


def row_groups(path: Path) -> Iterator[pa.Table]:
    """The rows of a table, one of its row groups in memory at a time.

    Raises:
      ConfigError: as `read_table` does.
    """
    metadata = read_metadata(path)
    with _named_when_damaged(path), pq.ParquetFile(path, page_checksum_verification=True) as part:
        for at in range(metadata.num_row_groups):
            check_fits(path, metadata.row_group(at).total_byte_size)
            yield part.read_row_group(at)


def read_metadata(path: Path) -> pq.FileMetaData:
    """Rows and schema of a table, from the end of its file.

    Raises:
      ConfigError: the file is damaged.
    """
    with _named_when_damaged(path):
        metadata = pq.read_metadata(regular(path))
        schema = metadata.schema.to_arrow_schema()
    for field in schema:
        if not is_plain(field.type):
            refuse(path, f"column {field.name}", f"{field.type} stands where numbers or text belong")
    if len(set(schema.names)) < len(schema.names):
        refuse(path, "", "two of its columns have the same name")
    return metadata


def is_plain(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, flags or text."""
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return text or number or (pa.types.is_dictionary(kind) and is_plain(kind.value_type))


def to_frame(table: pa.Table, types: Mapping[pa.DataType, Any] | None = None) -> pd.DataFrame:
    """A table for pandas by its columns alone, whatever its file says to pandas.

    Args:
      table: whose columns are plain.
      types: Arrow's type → pandas' for it, where it is not the usual one.
    """
    return table.replace_schema_metadata(None).to_pandas(types_mapper=types and types.get)


@contextlib.contextmanager
def _named_when_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        remedy = "restore it from a copy, or start over with --overwrite"
        raise unreadable(path, error, remedy) from None


def fingerprint(path: Path) -> str:
    """A hash of all bytes of a file."""
    found = regular(path).stat()
    # Within a tick of a file system's clock a file may change and keep its time.
    settled = time.time() - found.st_mtime > 2
    hashed = _fingerprint if settled else _fingerprint.__wrapped__
    try:
        return hashed(path.absolute(), found.st_ino, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise unreadable(path, error) from None


@functools.lru_cache(maxsize=100_000)
def _fingerprint(path: Path, *unchanged: int) -> str:
    """Once for what has not changed since: whoever reads a part of a table asks for it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, one trailing newline."""
    text = json.dumps(value, indent=2) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""
    # Names in other encodings have halves of characters.
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """A file of any content."""
    write_atomically(path, lambda file: _fill(content, file))


def _fill(content: bytes, file: BinaryIO) -> None:
    file.write(content)
