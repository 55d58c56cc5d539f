"""The lanes' state on disk: the commit point of a sweep.

A checkpoint is one safetensors file, `TICK.safetensors`: the arrays as a flat list, and in its
head a JSON note that says which run is in which lane. No code and no pickle is read back. The head
holds a hash of the note and of the arrays: what a damaged disk gives back is refused, and nothing
is trained from it. The newest two are kept, the older one for the case that the newer is damaged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from grokjax.config import ConfigError
from grokjax.results.files import drop_temporary, make_folder, write_bytes

NO_LANES = [np.zeros(1)]
"""The arrays of a checkpoint that has no lanes."""
KEPT = 2
"""Checkpoints on disk, the newest."""
_SUFFIX = ".safetensors"


class DamagedCheckpointError(ConfigError):
    """A checkpoint that is not what was saved."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path}: not a readable checkpoint ({reason[:200]}), restore it from a copy, or start "
            "over with --overwrite."
        )


class Checkpoints:
    """Checkpoints of a sweep, by tick."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, tick: int, note: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Commit a tick, and let go of the checkpoints that it makes needless."""
        text = json.dumps(note)
        state = {f"{i:04d}": np.asarray(array, order="C") for i, array in enumerate(arrays)}
        about = {"note": text, "blake2b": _fingerprint(text, list(state.values()))}
        make_folder(self._folder)
        drop_temporary(self._folder)
        write_bytes(file_of(self._folder, tick), safetensors.numpy.save(state, about))
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
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.stem.isdecimal()]
    if any(path.is_dir() for path in found):
        raise ConfigError(
            f"{folder}: an older grokjax, which wrote other checkpoints, began this sweep, and it "
            "is not finished; go on with that one, choose another --out, or start over with "
            "--overwrite."
        )
    return sorted((int(path.stem) for path in found if path.suffix == _SUFFIX), reverse=True)


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
    """The note and the arrays, both compared with their hash."""
    path = file_of(folder, tick)
    with _refused_if_damaged(path):
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
        state = safetensors.numpy.load_file(path)
        arrays = [state[name] for name in sorted(state)]
        if about["blake2b"] != _fingerprint(about["note"], arrays):
            raise ValueError("it is not what was saved")
        return json.loads(about["note"]), arrays


def _fingerprint(text: str, arrays: list[np.ndarray]) -> str:
    """A hash of a note and of arrays, with their types and shapes."""
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


@contextlib.contextmanager
def _refused_if_damaged(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, RecursionError, safetensors.SafetensorError) as error:
        raise DamagedCheckpointError(path, " ".join(str(error).split())) from None
