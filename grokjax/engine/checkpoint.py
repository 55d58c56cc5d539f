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
        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax narrates every save
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self) -> int | None:
        """Tick of the newest checkpoint."""
        return self._manager.latest_step()

    def save(self, tick: int, note: dict[str, Any], arrays: list[np.ndarray]) -> None:
        """Commit a tick."""
        state = {f"{i:04d}": array for i, array in enumerate(arrays)}
        args = ocp.args.Composite(note=ocp.args.JsonSave(note), state=ocp.args.StandardSave(state))
        self._manager.save(tick, args=args)

    def note(self, tick: int) -> dict[str, Any]:
        """The note of a checkpoint."""
        args = ocp.args.Composite(note=ocp.args.JsonRestore())
        return self._manager.restore(tick, args=args)["note"]

    def arrays(self, tick: int, like: list[np.ndarray]) -> list[np.ndarray]:
        """The arrays of a checkpoint, which must have the shapes and dtypes of `like`."""
        state = {f"{i:04d}": array for i, array in enumerate(like)}
        args = ocp.args.Composite(state=ocp.args.StandardRestore(state))
        restored = self._manager.restore(tick, args=args)["state"]
        return [restored[name] for name in state]

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()
