"""Where a sweep stands: its last commit, and what counts of the files in its folder.

Read in one place and before anything is written, so that what a start plans for, refuses and
trains are the same runs, whatever moment an earlier one died at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.engine import checkpoint
from grokjax.engine.checkpoint import DamagedCheckpointError
from grokjax.engine.plan import Program
from grokjax.results import parts
from grokjax.results.parts import Record
from grokjax.results.reading import CHECKPOINTS
from grokjax.results.store import Store


@dataclasses.dataclass(frozen=True)
class Standing:
    """The last commit of a sweep."""

    tick: int
    """Last committed tick; -1 before the first."""
    note: dict[str, Any]
    """What its checkpoint says of the lanes and the parts."""
    store: Store
    again: frozenset[str]
    """Runs that have rows and are trained anew all the same."""
    damaged: DamagedCheckpointError | None = None
    """What is wrong with the newest commit, where this is the one before it."""

    def ended(self) -> pd.DataFrame:
        """`run_id`, `status`, `t_mem` and `t_grok` of the runs that need not be trained."""
        found = self.store.ended()
        return found[~found["run_id"].isin(self.again)]

    def check_grid(self, folder: Path, programs: list[Program]) -> None:
        """Refuse programs that do not have the runs which this sweep must go on with."""
        left = self.again - {run.run_id for program in programs for run in program.runs}
        if left:
            raise ConfigError(
                f"sweep: {len(left)} runs in {folder} that have lost rows are not in the grid; "
                "give the grid that has them, or start over with --overwrite."
            )
        of_program = (p.runs for p in programs if p.name == self.note["program"])
        known = {run.run_id for runs in of_program for run in runs}
        running = {lane["run_id"] for lane in self.note["lanes"] if lane}
        if not running <= known:
            raise ConfigError(
                f"sweep: {len(running - known)} unfinished runs in {folder} are no longer in "
                "the grid, or come from another grokjax; finish them as they were started, "
                "or start over with --overwrite."
            )


def read_standing(
    folder: Path,
    manifest: Mapping[str, Any] | None,
    *,
    grid: Collection[str] = (),
    retry_failed: bool = False,
    provenance: Mapping[str, Any] | None = None,
) -> Standing:
    """Where the sweep in a folder stands; nothing is changed.

    Args:
      folder: of the results, which need not exist.
      manifest: of an earlier start, None where there was none.
      grid: the runs of this start.
      retry_failed: those of the grid that an error ended are trained again, and all that have
        lost rows.
      provenance: what the files of this start say of their origin.

    Raises:
      ConfigError: checkpoints are gone or damaged, or committed parts are and `retry_failed` is
        not set.
    """
    manifest = manifest or {"ticks": 0}
    tick, note, record, damaged = _last_commit(folder, manifest)
    if parts.last_tick(folder) > tick + (2 if damaged else 1):
        raise ConfigError(
            f"out={str(folder)!r}: the checkpoints of this unfinished sweep are gone, "
            "restore its .work folder, or start over with --overwrite."
        )
    store = Store(folder, tick, record, provenance)
    if store.lost and damaged:  # the newer commit has replaced parts of the older one
        raise damaged
    if store.lost and not retry_failed:
        raise parts.refusal(store.lost)
    if store.lost:  # what is kept is what is whole without them
        note = {**checkpoint.nothing_running(), "forget": note["forget"]}
        return Standing(tick, note, store, frozenset(store.partial()))
    ended = store.ended()
    failed = set(ended["run_id"][ended["status"] == "failed"])
    again = failed & set(grid) if retry_failed else set()
    if record is None:
        # An older grokjax has written this, which kept no hashes.
        incomplete = store.partial() - failed
        if incomplete and not retry_failed:
            raise ConfigError(
                f"out={str(folder)!r}: {len(incomplete)} runs there have lost rows; restore the "
                "folder from a copy, or train them again with --retry-failed."
            )
        again |= incomplete
    return Standing(tick, note, store, frozenset(again), damaged)


def _last_commit(
    folder: Path, manifest: Mapping[str, Any]
) -> tuple[int, dict[str, Any], Record | None, DamagedCheckpointError | None]:
    """Tick, note and record of the newest commit that is whole, what is wrong with one after it."""
    # A sweep that finishes is committed by its manifest, which counts one tick more then.
    last = manifest["ticks"] - 1
    newer = [tick for tick in checkpoint.ticks(folder / CHECKPOINTS) if tick > last]
    damaged: DamagedCheckpointError | None = None
    for tick in (*newer, last):
        if damaged is not None and tick < newer[0] - 1:
            raise damaged
        if tick == last:
            break
        try:
            note = checkpoint.read_note(folder / CHECKPOINTS, tick)
            return tick, note, note["parts"], damaged
        except DamagedCheckpointError as error:
            damaged = damaged or error
    return last, checkpoint.nothing_running(), manifest.get("parts"), damaged
