"""What the driver asks of an engine, and which engines there are.

An engine places processes and says when they have ended; it decides nothing and holds nothing that
matters. Whatever it is given to run can run twice, on two machines at once, or half.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from grokjax.config.cluster import Cluster, engine_name
from grokjax.config.coercion import ConfigError


@dataclass(frozen=True)
class Job:
    """What one attempt is given: plain values, which any pickle of any engine carries."""

    depot: str
    """Folder or URL of the depot, the same on all machines."""
    shard: str
    """Name of the shard to train; empty for a calibration."""
    attempt: str
    """The name of this submission. A process adds a random end to it, so that an engine may start
    the same job twice."""
    experiment: bytes
    """The runs, as `cluster.parcel` packs them; to an engine they are bytes."""
    cores: int
    """Processor cores that the process restricts itself to; the engine reserves as many."""
    gpus: int
    """Accelerators that the engine makes visible to the process, and no others: 0 or 1."""
    kind: str | None
    """The kind of accelerator to place it on, as the engine names it; None: any."""


@dataclass(frozen=True)
class Ended:
    """A job that runs no more."""

    handle: str
    error: str | None
    """In one sentence what the function raised, or what became of its process; None: it
    returned."""
    lost: bool
    """Its process or machine is gone (killed, preempted, out of time), and another attempt may
    work. False where the function returned or raised."""


class Engine(Protocol):
    """Places jobs. Every process of a job is fresh: JAX has not been imported there."""

    name: str

    def capacity(self) -> int:
        """Jobs that could run at once now, whether others run or not; 0 where none can yet."""

    def submit(self, function: Callable[[Job], None], jobs: Sequence[Job]) -> list[str]:
        """Start `function(job)` for each, as soon as there is room; a handle for each.

        The function is one of a module of grokjax, so that its name is enough to pickle it. A
        handle means something to this engine in another process too, where jobs outlive the driver.
        """

    def wait(self, seconds: float) -> list[Ended]:
        """What has ended since the last call; waits that long for the first, no longer."""

    def adopt(self, handles: Collection[str]) -> set[str]:
        """Of the handles of an earlier driver, those whose jobs are there still.

        `wait` tells of them from now on. Empty where jobs end with their driver.
        """

    def cancel(self, handles: Collection[str]) -> None:
        """End the processes of these jobs, with SIGTERM where the engine can, then by force."""

    def close(self) -> None:
        """Let go of the engine; what it started for itself ends, jobs with it.

        Jobs that outlive their driver (a queue's) go on.
        """


EXTRAS = {"ray": "ray", "slurm": "submitit"}
"""Engine, and extra of the same name → the library that it needs."""


def check_installed(cluster: str) -> None:
    """Refuse an engine whose library is not there, before anything is imported or written."""
    name = engine_name(cluster)
    if name in EXTRAS and importlib.util.find_spec(EXTRAS[name]) is None:
        raise ConfigError(
            f"cluster={cluster!r}: it needs {EXTRAS[name]}, pip install 'grokjax[{name}]'."
        )


def open_engine(options: Cluster, work: Path) -> Engine:
    """The engine that the options name.

    Each module of an engine has a function `start(options, work)`; `options.cores` is a number by
    then.

    Args:
      options: what `--cluster` and the flags beside it say.
      work: a folder on the driver's machine that only its user can read; an engine keeps there
        what must not be in the depot.
    """
    assert options.cluster is not None  # without it nothing here is imported
    check_installed(options.cluster)
    module = importlib.import_module(f"grokjax.cluster.engines.{engine_name(options.cluster)}")
    engine: Engine = module.start(options, work)
    return engine
