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
from grokjax.engine.plan import Program
from grokjax.results import parts
from grokjax.results.load import WORK
from grokjax.results.store import Store

CHECKPOINTS = Path(WORK) / "checkpoints"


@dataclasses.dataclass(frozen=True)
class Standing:
    """The last commit of a sweep."""

    tick: int
    """-1 before the first."""
    note: dict[str, Any]
    """Of its checkpoint."""
    store: Store
    unkept: frozenset[str]
    """Runs that an older grokjax had given up at this commit, and perhaps not yet removed."""

    def ended(self) -> pd.DataFrame:
        """`run_id`, `status`, `t_mem` and `t_grok` of the runs that have ended."""
        found = self.store.ended()
        return found[~found["run_id"].isin(self.unkept)]

    def failed(self, run_ids: Collection[str]) -> set[str]:
        """Those of these runs that an error has ended."""
        found = self.ended()
        return set(found["run_id"][found["status"] == "failed"]) & set(run_ids)

    def check_grid(self, folder: Path, programs: list[Program]) -> None:
        """Refuse programs that do not have the runs in the lanes of the checkpoint."""
        of_program = (p.runs for p in programs if p.name == self.note["program"])
        known = {run.run_id for runs in of_program for run in runs}
        running = {lane["run_id"] for lane in self.note["lanes"] if lane}
        if not running <= known:
            raise ConfigError(
                f"sweep: {len(running - known)} unfinished runs in {folder} are no longer in "
                "the grid, or come from another grokjax; finish them as they were started, "
                "or start over with --overwrite."
            )


def read(
    folder: Path, manifest: Mapping[str, Any] | None, provenance: Mapping[str, Any] | None = None
) -> Standing:
    """Where the sweep in a folder stands; nothing is changed.

    Args:
      folder: of the results, which need not exist.
      manifest: of an earlier start, None where there was none.
      provenance: what the files of this start say of their origin.

    Raises:
      ConfigError: checkpoints or committed parts are missing or altered.
    """
    manifest = manifest or {"ticks": 0}
    newest = checkpoint.newest(folder / CHECKPOINTS)
    # A sweep that finishes is committed by its manifest, which counts one tick more then.
    if newest is None or newest[0] < manifest["ticks"]:
        tick, note = manifest["ticks"] - 1, checkpoint.nothing_running()
        record = manifest.get("parts")
    else:
        tick, note = newest
        record = note.get("parts")
    if parts.last_tick(folder) > tick + 1:
        raise ConfigError(
            f"out={str(folder)!r}: the checkpoints of this unfinished sweep are gone, "
            "restore its .work folder, or start over with --overwrite."
        )
    unkept = frozenset(note["forget"] if record is None else ())
    return Standing(tick, note, Store(folder, tick, record, provenance), unkept)
