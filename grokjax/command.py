"""How every command line ends: with a status, and at most a sentence on standard error.

Exit status: what the command says; 2 for a configuration that cannot work; 130 after Ctrl-C.
A reader of standard output that goes away (`| head`) is no error, and a device that takes no
more of it is one sentence at the end. Neither changes the status nor stops the command: losing
a display must never cost training.

Nothing slow is imported here, and a command imports what is slow when it runs, so that Ctrl-C
during an import is caught as well.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

T = TypeVar("T")

INTERRUPTED = 130
"""128 and the number of SIGINT, as a shell has it."""


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Run `main` on the words of this process's command line, and leave with its exit status."""
    caught: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is under `nohup … &`
        signal.signal(signal.SIGINT, interrupt)
    sys.unraisablehook = _unraisable
    out, sys.stdout = _outliving(sys.stdout)
    _, sys.stderr = _outliving(sys.stderr)
    status = 1
    try:
        status = guarded(lambda: main(sys.argv[1:]))
    except Exception:
        # C extensions turn an interrupt into an error of the import that it fell into.
        if not caught:
            raise
        status = _interrupted()
    finally:
        # What is left is the interpreter's own end, which shows an interrupt as an error.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stdout.flush()
        if out.lost is not None and not isinstance(out.lost, BrokenPipeError):
            say(f"standard output: {out.lost.strerror}, what was printed since then is lost")
    sys.exit(status)


def guarded(work: Callable[[], int]) -> int:
    """The exit status of `work`, where a refused configuration and Ctrl-C have their own."""
    try:
        from grokjax.config import ConfigError
        from grokjax.config.cluster import WorkersError

        try:
            return work()
        except ConfigError as error:
            say(f"error: {error}")
            return 2
        except WorkersError as error:
            say(f"error: {error}")
            return 1
    except KeyboardInterrupt:
        return _interrupted()


def say(sentence: str) -> None:
    """Print a sentence on standard error."""
    print(sentence, file=sys.stderr, flush=True)


def attempted(what: str, work: Callable[[], T], instead: T) -> T:
    """What `work` returns; where it raises, a sentence is printed and `instead` is returned."""
    try:
        return work()
    except Exception as error:
        # The one place that catches everything: behind it lie hours of training, and a fault in
        # one figure must cost neither their status nor the other figures.
        from grokjax.config import ConfigError

        if isinstance(error, ConfigError):
            reason = str(error)
        else:
            *_, frame = traceback.extract_tb(error.__traceback__)
            first = (str(error).splitlines() or ["no message"])[0]
            place = f"{Path(frame.filename).name}, line {frame.lineno}"
            reason = f"{type(error).__name__}: {first} ({place})"
        say(f"{what} is left out: {reason}")
        return instead


def _unraisable(error: Any) -> None:
    """What is raised where nothing can catch it: an interrupt there ends the process at once."""
    if isinstance(error.exc_value, KeyboardInterrupt):
        os._exit(_interrupted())
    sys.__unraisablehook__(error)


def _interrupted() -> int:
    say("stopped by Ctrl-C")
    return INTERRUPTED


class Outliving(io.RawIOBase):
    """A stream that takes all that is written, and drops it once the stream below has failed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # it would close what is below it if nobody held it
        buffer: Any = stream.buffer
        self._below = getattr(buffer, "raw", buffer)
        self.lost: OSError | None = None
        """The first failure."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()

    def write(self, data: Any) -> int | None:
        if self.lost is None:
            try:
                return self._below.write(data)
            except OSError as error:
                self.lost = error
        return memoryview(data).nbytes


def _outliving(stream: TextIO | None) -> tuple[Outliving, TextIO]:
    """A text stream in the place of `stream` whose writing never fails, and what is below it.

    It writes line by line, so that nothing is left to be written when the interpreter ends.
    """
    if stream is None:  # the shell closed it: `>&-`
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for good
    stream.flush()
    raw = Outliving(stream)
    text = io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True
    )
    return raw, text
