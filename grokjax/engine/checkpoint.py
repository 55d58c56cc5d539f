"""The lanes' state on disk, by orbax: the commit point of a sweep.

Arrays are stored as a flat list beside a JSON note that says which run is in which
lane; no code and no pickle is read back.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp


class Checkpoints:
    """Checkpoints of a sweep, by tick; only the newest is kept."""

    def __init__(self, folder: Path) -> None:
        _be_quiet()
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def save(self, tick: int, note: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Commit a tick."""
        state = {f"{i:04d}": array for i, array in enumerate(arrays)}
        args = ocp.args.Composite(note=ocp.args.JsonSave(note), state=ocp.args.StandardSave(state))
        self._manager.save(tick, args=args)

    def arrays(self, tick: int) -> list[np.ndarray]:
        """The arrays of a checkpoint."""
        args = ocp.args.Composite(state=ocp.args.StandardRestore())
        restored = self._manager.restore(tick, args=args)["state"]
        return [np.asarray(restored[name]) for name in sorted(restored)]

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
        return tick, manager.restore(tick, args=args)["note"]


def nothing_running() -> dict[str, Any]:
    """The note of a checkpoint without lanes."""
    return {"program": None, "lanes": [], "forget": []}


def _be_quiet() -> None:
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates what it does
