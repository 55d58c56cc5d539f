"""Jobs for tests of the queue, which leave and go on as attempts do, and train nothing.

SLURM's nodes import them by their name, so this folder is on their PYTHONPATH.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from grokjax.cluster.engines import Job


def fail(job: Job) -> None:
    raise ValueError(f"shard {job.shard} cannot be trained")


def die(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def count(job: Job) -> None:
    """Count to what `job.experiment` says, a line for each, and go on from what is there."""
    caught: list[int] = []
    signals = (signal.SIGTERM, signal.SIGUSR2)
    before = {s: signal.signal(s, lambda number, frame: caught.append(number)) for s in signals}
    path = Path(job.depot) / str(job.shard)
    with path.open("a") as lines:
        where = os.environ.get("SLURMD_NODENAME", str(os.getpid()))
        print(f"start on {where}", file=lines, flush=True)
        done = [line for line in path.read_text().splitlines() if line.isdigit()]
        for tick in range(len(done), int(job.experiment)):
            if caught:
                break
            time.sleep(0.1)
            print(tick, file=lines, flush=True)
    for number, handler in before.items():
        signal.signal(number, handler)
    for number in caught[:1]:
        with path.open("a") as lines:
            print(f"left after {signal.Signals(number).name}", file=lines)
        signal.raise_signal(number)


def history(folder: Path, shard: object) -> list[str]:
    """What jobs at a shard have left but what they counted."""
    path = folder / str(shard)
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if not line.isdigit()]


def counted(folder: Path, shard: object) -> list[int]:
    """What jobs at a shard have counted."""
    return [int(line) for line in (folder / str(shard)).read_text().splitlines() if line.isdigit()]
