"""Donors' snapshots on their way to workers, who do not see the folders that runs name."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from grokjax.cluster import bundles
from grokjax.cluster.bundles import Sender
from grokjax.cluster.depot import Depot
from grokjax.config import Experiment
from grokjax.engine.donors import DonorFiles
from grokjax.results.snapshots import Snapshot

Told = dict[str, dict[str, Any]]
"""start, mask → run, step, hash and object of a snapshot."""


def put(depot: Depot, donors: DonorFiles) -> Told:
    """Copy the donors of a run into the depot, those that are not there."""
    found = {"start": donors.start, "mask": donors.mask}
    return {name: _put(depot, one) for name, one in found.items() if one}


@functools.lru_cache(maxsize=4096)  # many runs start from one network
def _put(depot: Depot, snapshot: Snapshot) -> dict[str, Any]:
    with snapshot.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    name = f"donors/{sha256}"
    if f"{name}/file.tar" not in depot.names(name):
        Sender(depot, name, snapshot.path.parent, {}).send("file", [snapshot.path])
    about = {"run_id": snapshot.run_id, "step": snapshot.step}
    return {**about, "sha256": sha256, "object": f"{name}/file.tar"}


def finder(
    depot: Depot, told: Mapping[str, Told], folder: Path
) -> Callable[[Experiment], DonorFiles]:
    """A function of a run to its donors, copied into a folder of this machine."""

    def fetched(one: Mapping[str, Any]) -> Snapshot:
        path = folder / f"{one['sha256']}.safetensors"
        if not path.exists():
            files = {path.name: {"sha256": one["sha256"], "object": one["object"]}}
            bundles.unpack(bundles.receive(depot, files), folder)
        return Snapshot(path, one["run_id"], one["step"])

    def find(run: Experiment) -> DonorFiles:
        return DonorFiles(**{name: fetched(one) for name, one in told.get(run.run_id, {}).items()})

    return find
