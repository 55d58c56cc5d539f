"""Storage that fails at every operation: one sentence, a status, and the same command goes on.

    PYTHONPATH=tests:. python -m crash.faults [KIND …]

tries every fault at every operation and writes results/trust/faults.json.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import io
import os
import random
import shlex
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from crash.disk import Operation
from crash.interposer import Hook, Interposer, read_tree
from crash.kinds import KINDS, small_ticks
from crash.states import MEMORY, SWEEP, Recorded, difference, outcome, write_record
from grokjax import command

RECORD = Path(__file__).parents[2] / "results" / "trust" / "faults.json"
STATUSES = (2, command.STORAGE_FAILED)
"""2: before anything is trained, the folder is not to be written to."""
TAKES_ROOM = ("create", "write", "truncate", "rename", "mkdir", "fsync", "syncdir")
"""What a full disk refuses; it lets files be removed."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """What storage does from some operation on."""

    name: str
    number: int
    """errno; 0: no error."""
    stays: bool
    """Whether later operations meet it too."""
    kinds: tuple[str, ...] = TAKES_ROOM
    part: bool = False
    """Whether a write does a part first."""

    def at(self, n: int) -> Hook:
        """The fault, at the n-th operation."""
        state = {"left": 1}

        def hook(at: int, operation: Operation) -> int | None:
            if at < n or operation.kind not in (*self.kinds, "start"):
                return None
            if not self.stays and state["left"] == 0:
                return None
            if operation.kind == "start":
                return None
            if self.part and operation.kind == "write" and state["left"]:
                state["left"] = 0
                return len(operation.data) // 2
            state["left"] = 0
            if self.number == 0:
                return None
            raise OSError(self.number, os.strerror(self.number), *_named(operation))

        return hook


def _named(operation: Operation) -> tuple[str, ...]:
    """Errors of open files do not say what they are of."""
    return () if operation.kind in ("write", "fsync", "syncdir") else (operation.path,)


FAILING = [name for name, kind in KINDS.items() if not (kind.deaths or kind.slow)]
"""Kinds of sweeps: those that are killed stop anyway, and a cluster goes on without a worker."""
EVERY = ("unlink", "rmdir", *TAKES_ROOM)
FAULTS = (
    Fault("ENOSPC", errno.ENOSPC, stays=True),
    Fault("ENOSPC after a part", errno.ENOSPC, stays=True, part=True),
    Fault("EDQUOT", errno.EDQUOT, stays=True),
    Fault("EIO once", errno.EIO, stays=False, kinds=EVERY),
    Fault("EROFS", errno.EROFS, stays=True, kinds=EVERY),
    Fault("short write", 0, stays=False, kinds=("write",), part=True),
)


class Failing:
    """A sweep, and what becomes of it when its storage fails.

    Args:
      recorded: the sweep as it goes through.
    """

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.points = [at for at, o in enumerate(recorded.log) if o.kind != "start"]

    def cases(self) -> Iterator[tuple[Fault, int]]:
        """Every fault at every operation that can have it."""
        for at in self.points:
            for fault in FAULTS:
                if self.recorded.log[at].kind in fault.kinds:
                    yield fault, at

    def check(self, fault: Fault, at: int) -> str | None:
        """Train on storage that fails, then on one that works again; what is wrong with that."""
        place = Path(tempfile.mkdtemp(dir=self.recorded.place))
        interposer = Interposer(place, fault.at(at))
        failed = False
        try:
            for number, start in enumerate(self.recorded.kind.starts):
                interposer.start(number)
                said = io.StringIO()
                with interposer.watching(), contextlib.redirect_stderr(said):
                    status = command.guarded(
                        lambda start=start: start(place / SWEEP, self.recorded.donor) and 0
                    )
                if status != 0:
                    failed = True
                    wrong = _ill_said(said.getvalue(), status)
                    if wrong or fault.number == 0:
                        return wrong or f"{fault.name}: {said.getvalue()}"
                    interposer.hook = None
                    with interposer.watching():
                        start(place / SWEEP, self.recorded.donor)
            if read_tree(place) != interposer.disk.tree():
                return "files were written that the interposer did not see"
            # The library of the lock tries once more by itself.
            again = not fault.stays and self.recorded.log[at].path.endswith("/lock")
            if fault.number and not failed and not again:
                return "it went through all the same"
            return difference(self.recorded.outcome, outcome(place / SWEEP))
        except Exception:
            return traceback.format_exc()
        finally:
            shutil.rmtree(place)


def _ill_said(said: str, status: int) -> str | None:
    """What is wrong with how a failure is told."""
    if status not in STATUSES:
        return f"exit status {status}: {said}"
    lines = said.strip().splitlines()
    if len(lines) != 1 or "Traceback" in said or len(lines[0]) > 300 or ": " not in lines[0]:
        return f"not a sentence: {said}"
    return None


def main() -> None:
    """Try all faults in some kinds of sweeps."""
    import jax

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--most", type=int, help="a seeded sample, where there are more cases")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 1)
    jax.config.update("jax_disable_most_optimizations", True)
    for name in given.kinds or FAILING:
        began = time.process_time()
        with small_ticks(), tempfile.TemporaryDirectory(dir=MEMORY) as place:
            failing = Failing(Recorded(KINDS[name], Path(place), random.Random(0)))
            counts = dict.fromkeys((fault.name for fault in FAULTS), 0)
            cases, bad = list(failing.cases()), 0
            tried = cases
            if given.most is not None and len(cases) > given.most:
                tried = random.Random(given.seed).sample(cases, given.most)
            for fault, at in tried:
                counts[fault.name] += 1
                if wrong := failing.check(fault, at):
                    bad += 1
                    print(f"{name}, {fault.name} at {at}, {failing.recorded.log[at]}: {wrong}")
            found = {"cases": len(cases), "tried": len(tried), "of them": counts, "wrong": bad}
            found["cpu_seconds"] = round(time.process_time() - began)
        print(f"{name}: {found}", flush=True)
        given_words = ["python", "-m", "crash.faults", *sys.argv[1:]]
        command_line = f"PYTHONPATH=tests:. {shlex.join(given_words)}"
        about = {"command": command_line, "status": STATUSES[1], "seed": given.seed}
        write_record(RECORD, {name: found}, about)


if __name__ == "__main__":
    main()
