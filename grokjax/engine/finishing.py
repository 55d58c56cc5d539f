"""The end of a sweep in its folder, whoever has trained it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grokjax.config import Experiment
from grokjax.engine import final_states
from grokjax.results import manifest
from grokjax.results.parts import Record
from grokjax.results.store import Store


def finish(
    folder: Path,
    experiment: Experiment,
    store: Store,
    record: Record,
    tick: int,
    work: Mapping[str, float] | None,
) -> None:
    """Commit the merged parts by the manifest, which says how far the ticks went.

    Args:
      folder: of the results.
      experiment: that has been trained.
      store: of the folder, which has staged larger parts.
      record: of these.
      tick: the last.
      work: what this start did; None where that was nothing.
    """
    found = manifest.read(folder)
    assert found is not None  # written when the sweep was opened
    if work is not None:
        found["starts"][-1]["work"] = dict(work)
    manifest.write(folder, {**found, "ticks": tick + 1, "parts": record})
    store.install(record)
    final_states.prune(folder, store.ended_by(experiment.reasons_to_keep))
