"""The states that runs have ended in, on disk, so that a larger budget goes on from them.

A lane goes on to the end of its segment when its run has ended. The state that is stored is the
one there, and the log points that the run has passed since its end are stored with it: those that
it would have had under a larger budget.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.config import ConfigError
from grokjax.engine.ending import LogPoints
from grokjax.results import array_files
from grokjax.results.files import make_folder, sync_folder
from grokjax.results.outside import unreadable

FOLDER = "final"
REMEDY = "restore it, or remove it to train its run from the start"
_NAME = re.compile(r"([0-9a-f]{1,64})-(\d{10})\.safetensors")
_STRAY = re.compile(r"\.[0-9a-f]{1,64}-\d{10}\.safetensors\.tmp")


@dataclasses.dataclass(frozen=True)
class FinalState:
    """What a run needs to go on from where it ended."""

    run_id: str
    step: int
    """Its last step."""
    wall_s: float
    arrays: list[np.ndarray]
    """Leaves of the state of its lane, one log point after the last of `beyond`."""
    beyond: LogPoints
    """The log points that it has passed since its end."""


@dataclasses.dataclass(frozen=True)
class StateFile:
    """A final state on disk."""

    path: Path
    run_id: str
    step: int


def write(folder: Path, state: FinalState) -> None:
    """Store a final state; the same again gives the same file."""
    path = _path(folder, state.run_id, state.step)
    make_folder(path.parent)
    beyond = state.beyond
    arrays = {f"state/{i:04d}": array for i, array in enumerate(state.arrays)}
    arrays |= {f"metrics/{name}": values for name, values in beyond.curve().items()}
    for instrument, parts in beyond.measures.items():
        arrays |= {f"measures/{instrument}/{part}": values for part, values in parts.items()}
    for head, captured in (("snapshots", beyond.snapshots), ("to_measure", beyond.to_measure)):
        for step, one in captured.items():
            arrays |= {f"{head}/{step}/{name}": array for name, array in one.items()}
    array_files.write(path, arrays, {"wall_s": json.dumps(state.wall_s)})


def read(file: StateFile) -> FinalState:
    """A final state from its file.

    Raises:
      ConfigError: the file is damaged.
    """
    arrays, about = array_files.read(file.path, REMEDY)
    try:
        wall_s = float(json.loads(about["wall_s"]))
        metrics = _below(arrays, "metrics")
        captured = [
            {int(step): one for step, one in _nested(arrays, head).items()}
            for head in ("snapshots", "to_measure")
        ]
        beyond = LogPoints(metrics.pop("step"), metrics, _nested(arrays, "measures"), *captured)
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise unreadable(file.path, error, REMEDY) from None
    leaves = _below(arrays, "state")
    return FinalState(
        file.run_id, file.step, wall_s, [leaves[name] for name in sorted(leaves)], beyond
    )


def resting(
    folder: Path, last: Mapping[str, int], say: Callable[[str], None]
) -> dict[str, StateFile]:
    """Run id → the state that it goes on from; a damaged one is told of and left out.

    Args:
      folder: of the results.
      last: run id → the step that its rows end at. A file that a death has left before its commit
        is of another one.
      say: told what is damaged.
    """
    found = {}
    for file in files(folder):
        if last.get(file.run_id) == file.step:
            try:
                read(file)
            except ConfigError as error:
                say(str(error))
            else:
                found[file.run_id] = file
    return found


def files(folder: Path) -> list[StateFile]:
    """Every final state of a results folder."""
    inside = folder / FOLDER
    matches = (
        [(p, _NAME.fullmatch(p.name)) for p in sorted(inside.iterdir())]
        if (inside.is_dir())
        else []
    )
    return [StateFile(path, m[1], int(m[2])) for path, m in matches if m]


def rename(folder: Path, ids: Mapping[str, str]) -> None:
    """Give the final states of runs the names of their new ids; what has one keeps it."""
    for file in files(folder):
        if file.run_id in ids:
            file.path.replace(_path(folder, ids[file.run_id], file.step))
    if (folder / FOLDER).is_dir():
        sync_folder(folder / FOLDER)


def prune(folder: Path, wanted: Collection[tuple[str, int]]) -> None:
    """Remove all but the final states of some runs at some steps, and what a death has left."""
    inside = folder / FOLDER
    for file in files(folder):
        if (file.run_id, file.step) not in wanted:
            file.path.unlink()
    if inside.is_dir():
        for path in inside.iterdir():
            if _STRAY.fullmatch(path.name):
                path.unlink()
        if not any(inside.iterdir()):
            inside.rmdir()


def _path(folder: Path, run_id: str, step: int) -> Path:
    return folder / FOLDER / f"{run_id}-{step:010d}.safetensors"


def _below(arrays: Mapping[str, np.ndarray], head: str) -> dict[str, Any]:
    """Arrays by what follows `head/` in their names."""
    start = f"{head}/"
    return {n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)}


def _nested(arrays: Mapping[str, np.ndarray], head: str) -> dict[str, dict[str, np.ndarray]]:
    """The same by the next part of their names, and by the rest."""
    nested: dict[str, dict[str, np.ndarray]] = {}
    for name, array in _below(arrays, head).items():
        first, _, rest = name.partition("/")
        nested.setdefault(first, {})[rest] = array
    return nested
