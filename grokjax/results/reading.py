"""What a reader needs of a results folder before its tables: which files count, its manifest."""

from __future__ import annotations

from pathlib import Path

from grokjax.config import ConfigError
from grokjax.results import array_files, manifest, parts
from grokjax.results.outside import check_shape, parse_json
from grokjax.results.parts import Record
from grokjax.results.shapes import Manifest, Note

WORK = ".work"
"""Folder of checkpoints and lock, of a sweep that is not finished."""
CHECKPOINTS = f"{WORK}/checkpoints"
PLAN = f"{WORK}/plan.json"
"""The runs that an unfinished sweep is to train, beside its checkpoints."""


def table_parts(folder: Path, name: str) -> list[Path]:
    """The files of a table: those that are committed, each as it was, by the hash of its bytes.

    A folder of an older grokjax has no record of them; there all count that lie in no other one.

    Raises:
      ConfigError: one is missing, or is not as it was committed.
    """
    inside = folder / name
    if inside.exists() and not inside.is_dir():
        raise ConfigError(f"{inside}: it is no folder of parts, restore it from a copy.")
    for last_try in (False, True):
        record = committed(folder)
        if record is None:
            return [inside / part for part in parts.outermost(parts.on_disk(folder, name))]
        of_table = record.get(name, {})
        files = {inside / part: parts.whole(inside / part, of_table[part]) for part in sorted(of_table)}
        lost = [path for path, file in files.items() if file is None]
        if not lost:
            return [file for file in files.values() if file is not None]
        if last_try:  # else a sweep may have committed in between
            break
    raise parts.refusal(lost)


def committed(folder: Path) -> Record | None:
    """The record of the parts that count in a folder; None where none was kept, or none is whole."""
    found = manifest_of(folder)
    # A sweep that finishes is committed by its manifest, which counts one tick more then.
    newer = [p for p in checkpoints(folder / CHECKPOINTS) if int(p.stem) >= found["ticks"]]
    for path in newer:
        try:
            note = parse_json(array_files.words(path, "restore it from a copy").get("note", ""), path)
            check_shape(note, Note, path)
            parts.check(note["parts"], path, "parts")
        except ConfigError:
            continue  # the sweep itself goes on from the one before it
        return note["parts"]
    return found.get("parts")


def checkpoints(inside: Path) -> list[Path]:
    """The checkpoints in a folder of them, the newest first."""
    files = inside.glob("*.safetensors")
    found = {int(path.stem): path for path in files if path.stem.isdecimal()}
    return [found[tick] for tick in sorted(found, reverse=True)]


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a results folder, which must have one."""
    found = manifest.read(folder)
    if found is None:
        if not folder.exists():
            raise ConfigError(f"{folder}: there is no such folder, give one that a sweep has written.")
        raise ConfigError(f"{folder}: no sweep.json, give the folder that a sweep has written.")
    return found
