"""Processes of this machine, without any library: for one box, and for tests.

A worker ends when its driver does: it has a pipe whose other end closes then.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO, cast

from grokjax.cluster.engines import Ended, Job
from grokjax.config.cluster import Cluster

RAISED = 3
"""Exit status of a process whose function raised; its last line says what."""
GRACE_SECONDS = 20.0
"""That a cancelled process has before it is killed."""


def start(options: Cluster, work: Path) -> Inline:
    """The engine; logs of workers go below `work`."""
    there = _cores() // (options.cores or 1)
    return Inline(max(1, there), work / "logs")


class Inline:
    """Starts at most so many processes at once."""

    name = "inline"

    def __init__(self, slots: int, logs: Path) -> None:
        self._slots, self._logs = slots, logs
        logs.mkdir(parents=True, exist_ok=True)
        self._waiting: deque[tuple[str, bytes, int]] = deque()
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._ended: list[Ended] = []

    def capacity(self) -> int:
        return self._slots

    def submit(self, function: Callable[[Job], None], jobs: Sequence[Job]) -> list[str]:
        handles = [job.attempt for job in jobs]
        for job in jobs:
            self._waiting.append((job.attempt, pickle.dumps((function, job)), job.gpus))
        self._start()
        return handles

    def wait(self, seconds: float) -> list[Ended]:
        end = time.monotonic() + seconds
        while True:
            self._look()
            self._start()
            if self._ended or time.monotonic() >= end or not self._running:
                ended, self._ended = self._ended, []
                return ended
            time.sleep(0.05)

    def adopt(self, handles: Collection[str]) -> set[str]:
        return set()

    def cancel(self, handles: Collection[str]) -> None:
        self._waiting = deque(one for one in self._waiting if one[0] not in handles)
        doomed = [self._running.pop(handle)[0] for handle in handles if handle in self._running]
        for process in doomed:
            process.terminate()
        end = time.monotonic() + GRACE_SECONDS
        for process in doomed:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _let_go(process)

    def close(self) -> None:
        self.cancel([*self._running, *(handle for handle, _, _ in self._waiting)])

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            handle, content, gpus = self._waiting.popleft()
            slot = min(set(range(self._slots)) - {slot for _, slot in self._running.values()})
            given = {"CUDA_VISIBLE_DEVICES": str(slot)} if gpus else {}
            with (self._logs / f"{handle}.log").open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "grokjax.cluster.engines.inline"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **given},
                    start_new_session=True,  # Ctrl-C is for the driver
                )
            self._running[handle] = process, slot
            pipe = cast(IO[bytes], process.stdin)
            try:
                pipe.write(len(content).to_bytes(8, "big") + content)
                pipe.flush()  # and it stays open, which says that somebody waits
            except BrokenPipeError:
                pass  # it has ended already, as `wait` will say

    def _look(self) -> None:
        for handle, (process, _) in list(self._running.items()):
            status = process.poll()
            if status is None:
                continue
            del self._running[handle]
            _let_go(process)
            if status == 0:
                self._ended.append(Ended(handle, None, lost=False))
            elif status == RAISED:
                self._ended.append(Ended(handle, self._last_line(handle), lost=False))
            else:
                why = f"signal {-status}" if status < 0 else f"status {status}"
                self._ended.append(Ended(handle, f"its process ended with {why}", lost=True))

    def _last_line(self, handle: str) -> str:
        text = (self._logs / f"{handle}.log").read_text(encoding="utf-8", errors="replace")
        return (text.strip().splitlines() or ["no message"])[-1]


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe of a process that has ended."""
    with contextlib.suppress(BrokenPipeError):
        cast(IO[bytes], process.stdin).close()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _child() -> int:
    """Run the job that comes through standard input."""
    pipe = io.FileIO(os.dup(0))  # without a buffer, whose lock Python wants when it ends
    length = int.from_bytes(pipe.read(8) or b"", "big")
    content = b""
    while len(content) < length:
        content += pipe.read(length - len(content)) or b""
    function, job = pickle.loads(content)

    def outlive() -> None:
        pipe.read(1)  # until the driver is gone
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os._exit(1)

    threading.Thread(target=outlive, daemon=True).start()
    try:
        function(job)
    except Exception as error:
        import traceback

        traceback.print_exc()
        first = (str(error).splitlines() or ["no message"])[0]
        print(f"{type(error).__name__}: {first}", file=sys.stderr, flush=True)
        return RAISED
    return 0


if __name__ == "__main__":
    sys.exit(_child())
