"""The lanes' state on disk, by orbax: the commit point of a sweep.

Arrays are stored as a flat list beside a JSON note that says which run is in which
lane; no code and no pickle is read back. The note holds a hash of itself and of the arrays: what a
damaged disk gives back is refused, and nothing is trained from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from grokjax.config import ConfigError
from grokjax.results import parts
from grokjax.results.outside import check_shape, regular
from grokjax.results.shapes import Note

NO_LANES = [np.zeros(1)]
"""The arrays of a checkpoint that has no lanes."""
_NOTE, _ARRAYS = "hash_of_note", "hash_of_arrays"


class Checkpoints:
    """Checkpoints of a sweep, by tick; only the newest is kept."""

    def __init__(self, folder: Path) -> None:
        _be_quiet()
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        self._folder = folder
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, tick: int, note: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Commit a tick."""
        note = {**note, _ARRAYS: _hash_of_arrays(arrays)}
        note[_NOTE] = _hash_of_note(note)
        state = {f"{i:04d}": array for i, array in enumerate(arrays)}
        args = ocp.args.Composite(note=ocp.args.JsonSave(note), state=ocp.args.StandardSave(state))
        if not self._manager.save(tick, args=args):
            raise RuntimeError(f"orbax did not save tick {tick}")

    def arrays(self, tick: int, note: dict[str, Any]) -> list[np.ndarray]:
        """The arrays of a checkpoint, of which `newest` has given the note."""
        if note["program"] is None and not (self._folder / str(tick)).exists():
            return NO_LANES  # the sweep had finished, and its checkpoints are gone
        args = ocp.args.Composite(state=ocp.args.StandardRestore())
        with _refused_if_damaged(self._folder / str(tick)):
            restored = self._manager.restore(tick, args=args)["state"]
            arrays = [np.asarray(restored[name]) for name in sorted(restored)]
            if note.get(_ARRAYS) not in (None, _hash_of_arrays(arrays)):
                raise ValueError("the arrays are not those that were saved")
        return arrays

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Tick and note of the newest checkpoint; None where there is none. Nothing is changed."""
    if not folder.is_dir():
        return None
    _be_quiet()
    options = ocp.CheckpointManagerOptions(read_only=True)
    with ocp.CheckpointManager(folder.absolute(), options=options) as manager:
        tick = manager.latest_step()
        if tick is None:
            return None
        args = ocp.args.Composite(note=ocp.args.JsonRestore())
        with _refused_if_damaged(folder / str(tick)):
            note = manager.restore(tick, args=args)["note"]
            # A folder of an older grokjax has no hash.
            if note.pop(_NOTE, None) not in (None, _hash_of_note(note)):
                raise ValueError("the note is not the one that was saved")
            check_shape(note, Note, folder / str(tick))
            if "parts" in note:
                parts.check(note["parts"], folder / str(tick), "parts")
        return tick, note


def nothing_running() -> dict[str, Any]:
    """The note of a checkpoint without lanes."""
    return {"program": None, "lanes": [], "forget": []}


def _be_quiet() -> None:
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates what it does


def _hash_of_arrays(arrays: list[np.ndarray]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _hash_of_note(note: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(note, sort_keys=True).encode(), digest_size=16).hexdigest()


@contextlib.contextmanager
def _refused_if_damaged(path: Path) -> Iterator[None]:
    for file in path.rglob("*"):
        if not file.is_dir():
            regular(file)
    try:
        yield
    except ConfigError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: not a readable checkpoint ({reason[:200]}), restore it from a copy, or start "
            "over with --overwrite."
        ) from None
