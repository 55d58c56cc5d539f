"""The lanes' state on disk: the commit point of a sweep.

A checkpoint is one file, `TICK.safetensors`: the arrays as a flat list, and in its head a JSON note
that says which run is in which lane. No code and no pickle is read back. The file has a checksum:
what a damaged disk gives back is refused, and nothing is trained from it. The newest two are kept,
the older one for the case that the newer is damaged.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.config import ConfigError
from grokjax.results import array_files, parts
from grokjax.results.files import drop_temporary, make_folder
from grokjax.results.outside import check_shape, parse_json, refuse
from grokjax.results.reading import checkpoints
from grokjax.results.shapes import Note

NO_LANES = [np.zeros(1)]
"""The arrays of a checkpoint that has no lanes."""
KEPT = 2
"""Checkpoints on disk, the newest."""
REMEDY = "restore it from a copy, or start over with --overwrite"
_SUFFIX = ".safetensors"


class DamagedCheckpointError(ConfigError):
    """A checkpoint that is not what was saved."""

    def __init__(self, path: Path, error: ConfigError) -> None:
        self.path = path
        super().__init__(str(error))


class Checkpoints:
    """Checkpoints of a sweep, by tick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, tick: int, note: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Commit a tick, and let go of the checkpoints that it makes needless."""
        state = {f"{i:04d}": array for i, array in enumerate(arrays)}
        make_folder(self._folder)
        drop_temporary(self._folder)
        array_files.write(file_of(self._folder, tick), state, {"note": json.dumps(note)})
        for older in ticks(self._folder)[KEPT:]:
            file_of(self._folder, older).unlink()

    def arrays(self, tick: int, note: dict[str, Any]) -> list[np.ndarray]:
        """The arrays of a checkpoint, of which `read_note` has given the note."""
        if note["program"] is None and not file_of(self._folder, tick).exists():
            return NO_LANES  # the sweep had finished, and its checkpoints are gone
        return _read(self._folder, tick)[1]


def ticks(folder: Path) -> list[int]:
    """The ticks of the checkpoints in a folder, the newest first.

    Raises:
      ConfigError: they are those of an older grokjax.
    """
    if any(path.is_dir() and path.name.isdecimal() for path in folder.glob("*")):
        raise ConfigError(
            f"{folder}: an older grokjax, which wrote other checkpoints, began this sweep, and it "
            "is not finished; go on with that one, choose another --out, or start over with "
            "--overwrite."
        )
    return [int(path.stem) for path in checkpoints(folder)]


def read_note(folder: Path, tick: int) -> dict[str, Any]:
    """What a checkpoint says of the lanes and the parts.

    Raises:
      DamagedCheckpointError: the note or the arrays are not what was saved.
    """
    return _read(folder, tick)[0]


def nothing_running() -> dict[str, Any]:
    """The note of a checkpoint without lanes."""
    return {"program": None, "lanes": [], "forget": []}


def file_of(folder: Path, tick: int) -> Path:
    """The file of a checkpoint."""
    return folder / f"{tick:08d}{_SUFFIX}"


def _read(folder: Path, tick: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The note and the arrays."""
    path = file_of(folder, tick)
    try:
        if array_files.CHECKSUM not in array_files.words(path, REMEDY):
            refuse(path, "", "it has no checksum")
        state, about = array_files.read(path, REMEDY)
        note = parse_json(about.get("note", ""), path)
        check_shape(note, Note, path)
        parts.check(note["parts"], path, "parts")
    except ConfigError as error:
        raise DamagedCheckpointError(path, error) from None
    return note, [state[name] for name in sorted(state)]
