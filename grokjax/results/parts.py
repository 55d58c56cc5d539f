"""The parts of a sweep's tables: their names, and which of them are committed.

A part `FIRST-LAST.parquet` holds the rows of the ticks from FIRST to LAST. What a sweep has
committed is its *record*: table → name of a part → its rows and a hash of its bytes. A part
that changes is *staged* first, under a name beside its own that no reader looks at. Once the
record that has the new hash is committed, it is moved to its own name. Whichever of the two
files the record describes is therefore the committed one, after a death at any moment.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypedDict

from grokjax.config import ConfigError
from grokjax.results.files import fingerprint, read_metadata
from grokjax.results.outside import check_shape, refuse

TABLES = ("runs", "curves", "measures")
OPTIONAL = ("measures",)
"""Tables that have no folder where a sweep has no instruments."""


class Part(TypedDict):
    """What a record says of a part."""

    rows: int
    blake2b: str


Record = dict[str, dict[str, Part]]
_PART = re.compile(r"(\d{8})-(\d{8})\.parquet")
_STRAY = re.compile(r"\.\.?\d{8}-\d{8}\.parquet(\.next)?(\.tmp)?")


def name(first: int, last: int) -> str:
    """File name of the part of some ticks."""
    return f"{first:08d}-{last:08d}.parquet"


def span(part: str) -> tuple[int, int]:
    """The first and the last tick of a part."""
    match = _PART.fullmatch(part)
    assert match is not None
    return int(match[1]), int(match[2])


def staged(path: Path) -> Path:
    """Where the next content of a part waits for the commit."""
    return path.with_name(f".{path.name}.next")


def on_disk(folder: Path, table: str) -> list[str]:
    """Names of the parts of a table, committed or not, in the order of their ticks."""
    inside = folder / table
    names = [path.name for path in inside.iterdir()] if inside.is_dir() else []
    return sorted(part for part in names if _PART.fullmatch(part))


def strays(folder: Path, table: str) -> list[Path]:
    """Files that a death between two steps of a write has left, and nobody else's."""
    inside = folder / table
    return [path for path in inside.iterdir() if _STRAY.fullmatch(path.name)]


def last_tick(folder: Path) -> int:
    """The last tick that any part covers, committed or not; -1 without parts."""
    spans = [span(part) for table in TABLES for part in on_disk(folder, table)]
    return max((last for _, last in spans), default=-1)


def check(record: Any, path: Path, where: str) -> None:
    """Refuse a record that is none, and names in it that would lead out of the folder.

    Args:
      record: as a file has it.
      path: of that file.
      where: its place there.
    """
    check_shape(record, Record, path, where)
    for table, of_table in record.items():
        if table not in TABLES:
            refuse(path, where, f"{table[:40]!r} is none of the tables {', '.join(TABLES)}")
        for part, about in of_table.items():
            if not _PART.fullmatch(part) or set(about) != {"rows", "blake2b"}:
                refuse(path, where, f"{part[:40]!r} is no name of a part with its rows and hash")


def described(path: Path) -> Part:
    """What a record says of a part."""
    return {"rows": read_metadata(path).num_rows, "blake2b": fingerprint(path)}


def found(folder: Path, committed: int) -> Record:
    """The record of a folder that has none, because an older grokjax has written it.

    That one merged parts without staging: the parts inside a merged one are its leftovers.
    """
    record: Record = {}
    for table in TABLES:
        names = [part for part in on_disk(folder, table) if span(part)[1] <= committed]
        record[table] = {part: described(folder / table / part) for part in outermost(names)}
    return record


def located(folder: Path, record: Record) -> tuple[dict[str, dict[str, Path]], list[Path]]:
    """Table → part → the file that holds what is recorded, and the parts that no file holds."""
    files: dict[str, dict[str, Path]] = {table: {} for table in TABLES}
    lost = []
    for table in TABLES:
        for part in sorted(record.get(table, {})):
            found = whole(folder / table / part, record[table][part])
            if found is None:
                lost.append(folder / table / part)
            else:
                files[table][part] = found
    return files, lost


def whole(path: Path, about: Part) -> Path | None:
    """The file that holds a part as it was recorded, under its name or staged."""
    for candidate in (path, staged(path)):
        if candidate.is_file() and fingerprint(candidate) == about["blake2b"]:
            return candidate
    return None


def outermost(names: list[str]) -> list[str]:
    """The parts that lie inside of no other one: a merged part may stand beside what it is of."""
    spans = [span(part) for part in names]
    return [
        part
        for part, (a, b) in zip(names, spans, strict=True)
        if not any(c <= a and b <= d and (a, b) != (c, d) for c, d in spans)
    ]


def refusal(lost: list[Path]) -> ConfigError:
    """What to say of committed parts that are not there as they were."""
    there = lost[0].is_symlink() or lost[0].exists()
    state = "is not as it was committed" if there else "is missing"
    more = f" (with {len(lost) - 1} more)" * (len(lost) > 1)
    return ConfigError(
        f"{lost[0]}{more}: this part of the results {state}; restore it from a copy, or train "
        "again the runs that lost rows with --retry-failed."
    )
