"""What a reader needs of a results folder before its tables: which files count, its manifest."""

from __future__ import annotations

from pathlib import Path

from grokjax.config import ConfigError
from grokjax.results import manifest, parts
from grokjax.results.files import fingerprint
from grokjax.results.manifest import Manifest

WORK = ".work"
"""Folder of checkpoints and lock, of a sweep that is not finished."""
PLAN = f"{WORK}/plan.json"
"""The runs that an unfinished sweep is to train, beside its checkpoints."""


def table_parts(folder: Path, name: str) -> list[Path]:
    """The files of a table; a finished sweep must have those that its manifest records.

    Pages have checksums, which are compared as they are read. Of runs, which are few, the columns'
    descriptions are most of the file and have none, so their hash is compared.
    """
    paths = sorted((folder / name).glob("*.parquet"))
    if not (folder / WORK).exists():
        there = {path.name for path in paths}
        for part, recorded in manifest_of(folder).get("parts", {}).get(name, {}).items():
            path = folder / name / part
            whole = part in there
            if whole and name == "runs":
                whole = fingerprint(path) == recorded["blake2b"]
            if not whole:
                raise parts.refusal([path])
    return paths


def manifest_of(folder: Path) -> Manifest:
    found = manifest.read(folder)
    if found is None:
        raise ConfigError(f"{folder}: no sweep.json, give the folder that a sweep has written.")
    return found
