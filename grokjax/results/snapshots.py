"""Parameters on disk: a safetensors file a snapshot, which PyTorch and others read too."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.results import array_files
from grokjax.results.files import make_folder, sync_folder

FOLDER = "snapshots"
REMEDY = "restore it from a copy"
_NAME = re.compile(r"([0-9a-f]{1,64})-(\d{10})\.safetensors")
_STRAY = re.compile(r"\.[0-9a-f]{1,64}-\d{10}\.safetensors\.tmp|\.tmp[0-9A-Za-z]{6}")
"""What a death leaves of a snapshot; the second kind is of safetensors' own, which wrote it
for us in earlier versions."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A snapshot of a run."""

    path: Path
    run_id: str
    step: int


def write(folder: Path, run_id: str, step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep the arrays of a run at a step; the same again gives the same file."""
    path = folder / FOLDER / f"{run_id}-{step:010d}.safetensors"
    make_folder(path.parent)
    array_files.write(path, arrays, {})


def found(folder: Path) -> list[Snapshot]:
    """Every snapshot of a results folder, by run and step."""
    if not (folder / FOLDER).exists():
        return []
    names = sorted((folder / FOLDER).iterdir())
    matches = [(path, _NAME.fullmatch(path.name)) for path in names]
    return [Snapshot(path, m[1], int(m[2])) for path, m in matches if m]


def rename(folder: Path, ids: Mapping[str, str]) -> None:
    """Give the snapshots of runs the names of their new ids; what has one keeps it."""
    for snapshot in found(folder):
        if snapshot.run_id in ids:
            name = snapshot.path.name.replace(snapshot.run_id, ids[snapshot.run_id], 1)
            snapshot.path.replace(snapshot.path.with_name(name))
    _sync(folder)


def forget(folder: Path, run_ids: set[str]) -> None:
    """Remove the snapshots of these runs."""
    for snapshot in found(folder):
        if snapshot.run_id in run_ids:
            snapshot.path.unlink()
    _sync(folder)


def _sync(folder: Path) -> None:
    if (folder / FOLDER).is_dir():
        sync_folder(folder / FOLDER)


def drop_strays(folder: Path) -> None:
    """Remove what a death has left of snapshots that were being written."""
    for path in (folder / FOLDER).iterdir() if (folder / FOLDER).is_dir() else ():
        if _STRAY.fullmatch(path.name):
            path.unlink()


def read(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """The arrays of a snapshot by name, as in `params/mlp_0/in/weight`.

    Raises:
      ConfigError: its file is not as it was written.
    """
    return array_files.read(snapshot.path, REMEDY)[0]


def shapes(snapshot: Snapshot) -> dict[str, tuple[int, ...]]:
    """Name → shape of the arrays, from the head of the file."""
    return array_files.shapes(snapshot.path, REMEDY)


def types(snapshot: Snapshot) -> dict[str, str]:
    """Name → type of the arrays, F32 say, from the head of the file."""
    return array_files.types(snapshot.path, REMEDY)


def nested(arrays: Mapping[str, np.ndarray], part: str) -> dict[str, Any]:
    """Arrays whose names begin with `part`, as nested dictionaries."""
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        head, *path = name.split("/")
        if head == part:
            below = tree
            for key in path[:-1]:
                below = below.setdefault(key, {})
            below[path[-1]] = array
    return tree
