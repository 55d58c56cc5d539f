"""What engines run: a process that takes what it was given and no more, and then a job.

JAX asks once, when it starts, which cores and devices there are. So this is decided before it is
imported, and nothing here imports it.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import tempfile
from pathlib import Path
from typing import Any

from grokjax.cluster.engines import Job
from grokjax.config import ConfigError

_HELD: list[Any] = []
"""Locks of this process's cores, for as long as it lives."""


def train(job: Job) -> None:
    """One attempt at a shard."""
    restrict(job)
    from grokjax.cluster import attempt

    attempt.run(job)


def calibrate(job: Job) -> None:
    """Choose how programs are cut, on a worker like those that will train them."""
    restrict(job)
    from grokjax.cluster import calibration

    calibration.run(job)


def restrict(job: Job) -> None:
    """Keep the process to its cores and devices.

    Raises:
      ConfigError: there are fewer cores than the job is to have.
    """
    if job.gpus == 0:
        os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")
    if not hasattr(os, "sched_getaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < job.cores:
        raise ConfigError(
            f"cores={job.cores}: a worker may use {len(allowed)} here; give fewer --cores, or have "
            "the engine reserve as many."
        )
    if len(allowed) > job.cores:
        os.sched_setaffinity(0, _reserved(allowed, job.cores))


def scratch() -> Path:
    """This user's folder for what workers keep on their machine."""
    folder = Path(tempfile.gettempdir()) / f"grokjax-{getpass.getuser()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _reserved(allowed: list[int], cores: int) -> set[int]:
    """Cores that no other worker of this machine has, as far as there are so many."""
    import filelock

    inside = scratch() / "cores"
    inside.mkdir(exist_ok=True)
    free: list[int] = []
    for core in allowed:
        if len(free) == cores:
            break
        with contextlib.suppress(filelock.Timeout):
            _HELD.append(filelock.FileLock(inside / str(core), blocking=False).acquire())
            free.append(core)
    others = [core for core in allowed if core not in free]
    return {*free, *others[: cores - len(free)]}
