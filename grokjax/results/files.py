"""Atomic files: a name either has all of its content or does not exist, and stays after a power cut.

All that is written goes through Python's own files, so that a fault of the storage is an `OSError`
with its number and the name of the file.

Tables carry a checksum a page, which every reader here verifies.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from grokjax.config import ConfigError


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
      ConfigError: the file is damaged.
    """
    # Without partitioning, a folder named "p=7" above it would be taken for a column.
    options |= {"partitioning": None, "page_checksum_verification": True}
    with _named_when_damaged(path):
        return pq.read_table(path, **options)


def read_metadata(path: Path) -> pq.FileMetaData:
    """Rows and schema of a table, from the end of its file.

    Raises:
      ConfigError: the file is damaged.
    """
    with _named_when_damaged(path):
        return pq.read_metadata(path)


@contextlib.contextmanager
def _named_when_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: not readable as it was written ({reason}), restore it from a copy, or start "
            "over with --overwrite."
        ) from None


def fingerprint(path: Path) -> str:
    """A hash of all bytes of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Indented JSON, one trailing newline."""
    text = json.dumps(value, indent=2) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """A text file in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """A file of any content."""
    write_atomically(path, lambda file: _fill(content, file))


def _fill(content: bytes, file: BinaryIO) -> None:
    file.write(content)
