"""How every command line ends: with a status, and at most a sentence on standard error.

Exit status: what the command says; 2 for a configuration that cannot work; 74 where the storage
fails (full, over quota, read-only, broken): what was committed is kept, and the same command goes
on when it works again; 130 after Ctrl-C.
A reader of standard output that goes away (`| head`) is no error, and a device that takes no
more of it is one sentence at the end. Neither changes the status nor stops the command: losing
a display must never cost training.

Nothing slow is imported here, and a command imports what is slow when it runs, so that Ctrl-C
during an import is caught as well.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

from grokjax.text import printable

T = TypeVar("T")

STORAGE_FAILED = 74
"""EX_IOERR of sysexits.h."""
REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room in the quota",
    errno.EFBIG: "raise the limit of a file's size",
    errno.EROFS: "make it writable",
    errno.EIO: "look after the disk",
}
"""What a fault of the storage is called → what to do about it."""
OF_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES)
"""Errors of the system for which a name is to blame that the user has given."""
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


@contextlib.contextmanager
def stop_after_a_commit() -> Iterator[tuple[threading.Event, list[int]]]:
    """SIGINT and SIGTERM set an event instead of ending the process; it, and the signals that came.

    What trains or measures looks at the event after each commit. 128 and the first signal is then
    the exit status.
    """
    stop, caught = threading.Event(), list[int]()

    def request_stop(number: int, frame: object) -> None:
        caught.append(number)
        stop.set()

    previous = {s: signal.signal(s, request_stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


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
        except OSError as error:
            return _of_the_system(error)
    except KeyboardInterrupt:
        return _interrupted()


def _of_the_system(error: OSError) -> int:
    """The exit status of what the system has refused, in a sentence; other errors are ours."""
    from grokjax.config import ConfigError

    name = os.fsdecode(error.filename or "a file")
    if error.errno in REMEDIES:
        say(
            f"error: {name}: {error.strerror}; {REMEDIES[error.errno]} and give the same command "
            "again, what was committed is kept"
        )
        return STORAGE_FAILED
    if error.errno not in OF_NAMES or not error.filename:
        raise error
    say(f"error: {ConfigError(f'{name}: {error.strerror}, give another name.')}")
    return 2


class Parser(argparse.ArgumentParser):
    """Words of a command line; wrong ones are refused in a sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        from grokjax.config import ConfigError

        raise ConfigError(f"{message}; see --help.")


def say(sentence: str) -> None:
    """Print a sentence on standard error."""
    print(printable(sentence), file=sys.stderr, flush=True)


def attempted(what: str, work: Callable[[], T], instead: T) -> T:
    """What `work` returns; where it raises, a sentence is printed and `instead` is returned.

    Raises:
      OSError: the storage takes or gives no more, which is no fault of this work.
    """
    try:
        return work()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in REMEDIES:
            raise
        # The one place that catches everything: behind it lie hours of training, and a fault in
        # one figure must cost neither their status nor the other figures.
        from grokjax.config import ConfigError
        from grokjax.config.refusals import brief

        if isinstance(error, ConfigError):
            reason = str(error)
        else:
            *_, frame = traceback.extract_tb(error.__traceback__)
            first = (str(error).splitlines() or ["no message"])[0]
            place = f"{Path(frame.filename).name}, line {frame.lineno}"
            reason = f"{type(error).__name__}: {first} ({place})"
        say(brief(f"{what} is left out: {reason}"))
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


class Printed(io.TextIOWrapper):
    """A text stream on which words of others are text: what a terminal would obey is spelt out.

    What is meant for the terminal, a bar that is redrawn, is written to `controls(stream)`. An
    experiment file, or a library, cannot close it.
    """

    def write(self, text: str) -> int:
        return super().write(printable(text))

    def close(self) -> None:
        self.flush()


class Controls:
    """The same stream for what a terminal shall obey."""

    def __init__(self, stream: Printed) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return io.TextIOWrapper.write(self._stream, text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def controls(stream: TextIO) -> Any:
    """Where to write what a terminal shall obey."""
    return Controls(stream) if isinstance(stream, Printed) else stream


def _outliving(stream: TextIO | None) -> tuple[Outliving, TextIO]:
    """A text stream in the place of `stream` whose writing never fails, and what is below it.

    It writes line by line, so that nothing is left to be written when the interpreter ends.
    """
    if stream is None:  # the shell closed it: `>&-`
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for good
    stream.flush()
    raw = Outliving(stream)
    # Names of files may hold what no encoding has, and losing a letter is no reason to stop.
    errors = "backslashreplace" if stream.errors == "strict" else stream.errors
    text = Printed(io.BufferedWriter(raw), stream.encoding, errors, line_buffering=True)
    return raw, text
