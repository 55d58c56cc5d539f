"""Folders of an engine on the driver's machine that are gone when their process is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

LONGEST = 20
"""Characters of a folder for temporary files below which sockets can have names: the system allows
107 in all."""


class Scratch:
    """A new folder with a short name that only its user can read.

    Its process holds a lock in it. Folders whose lock nobody holds any more are what a killed
    process left, and are removed by the next one.
    """

    def __init__(self, prefix: str) -> None:
        root = tempfile.gettempdir()
        root = root if len(root) <= LONGEST else "/tmp"
        prefix = f"{prefix}-{os.getuid()}-"
        for left in Path(root).glob(f"{prefix}*"):
            if left.stat().st_uid == os.getuid() and not left.is_symlink():
                _remove_unless_held(left)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        self._lock = (self.path / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def end_processes(self) -> None:
        """End all others whose command lines name the folder, where the system tells them."""
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            number = int(line.parent.name)
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if number != os.getpid() and bytes(self.path) in line.read_bytes():
                    os.kill(number, signal.SIGKILL)

    def remove(self) -> None:
        """Remove it; processes that are about to end may still write there for a moment."""
        for _ in range(20):
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(0.1)
        self._lock.close()


def _remove_unless_held(folder: Path) -> None:
    try:
        with (folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # its process lives, or has only just made the folder
        return
