"""What the depot says of shards: their files' names, and what an attempt leaves of itself.

shards/SHARD.json                      which runs, by the driver, before any attempt
shards/SHARD/ATTEMPT/begin.json        an attempt has begun, and from which commit
shards/SHARD/ATTEMPT/tick-T.json       a commit: a listing of every file that it needs
shards/SHARD/ATTEMPT/*.tar             those files
shards/SHARD/ATTEMPT/status.json       how far it is; the one name that is written again
shards/SHARD/ATTEMPT/left.json         it has left in good order, with its last commit put
shards/SHARD/ATTEMPT/memory.json       the shard's cut does not fit into this device
shards/SHARD/ATTEMPT/done.json         a listing of the results
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

from grokjax.cluster import bundles
from grokjax.cluster.bundles import DamagedError, Files
from grokjax.cluster.depot import Depot

STOP = "STOP"
"""Object that asks all workers to leave."""
_TICK = re.compile(r"shards/[^/]+/([^/]+)/tick-(\d{8})\.json")
_SHARD = re.compile(r"shards/([^/]+)\.json")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some runs of one program, never changed once it is written."""

    name: str
    program: str
    cut: dict[str, Any]
    """Of the program, as the manifest has it."""
    signature: dict[str, Any]
    runs: tuple[str, ...]
    donors: dict[str, dict[str, Any]]
    """Run id → `start` and `mask`: run, step and file of a donor's snapshot."""
    seconds: float
    """That it should take."""
    push_seconds: float
    """Between two pushes at least."""
    max_lost: int
    fail_fast: bool
    push_bytes_per_second: float | None = None
    """That its worker pushes on average, at most."""

    def put(self, depot: Depot) -> None:
        """Write it."""
        depot.put_json(f"shards/{self.name}.json", dataclasses.asdict(self))

    @classmethod
    def get(cls, depot: Depot, name: str) -> Shard:
        """Read it."""
        told = depot.get_json(f"shards/{name}.json")
        return cls(**{**told, "runs": tuple(told["runs"])})


def listed(depot: Depot) -> list[str]:
    """Names of the shards that are written and not joined."""
    return [m[1] for name in depot.names("shards") if (m := _SHARD.fullmatch(name))]


def marked(names: Iterable[str], mark: str) -> list[str]:
    """The attempts among the names of a shard's objects that have left an object of this name."""
    found = [name.split("/") for name in names if name.endswith(f"/{mark}")]
    return [parts[2] for parts in found if len(parts) == 4]


@dataclasses.dataclass(frozen=True)
class Commit:
    """A commit of some attempt, all of whose files are there."""

    tick: int
    files: Files
    contents: dict[str, bytes]


def furthest(depot: Depot, names: Iterable[str]) -> Commit | None:
    """The furthest whole commit of any attempt at a shard, by the names of the shard's objects."""
    ticks = [(int(m[2]), name) for name in names if (m := _TICK.fullmatch(name))]
    for tick, name in sorted(ticks, reverse=True):
        try:
            files: Files = depot.get_json(name)["files"]
            return Commit(tick, files, bundles.receive(depot, files))
        except (OSError, ValueError, KeyError, TypeError, DamagedError):
            continue  # half of it is there, or somebody has removed it: an earlier one will do
    return None


def results(depot: Depot, names: Iterable[str]) -> tuple[str, dict[str, Any]] | None:
    """The first attempt by name whose results are listed, and the listing."""
    found = sorted(name for name in names if name.endswith("/done.json"))
    for name in found:
        if told := depot.look(name):
            return name.split("/")[2], told
    return None
