"""The depot: what workers leave for each other and for the driver, in a folder or a bucket.

Its driver makes it, and nobody else. Four things more are asked of it: put a whole object, get it,
list names, remove. Nothing is locked or renamed, and no two processes write one name, so that a
shared file system or an object store may show writes late, and listings later still. What is listed
but not there yet is waited for; what counts is named, with its hash, in a listing that is put after
it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from grokjax.config import ConfigError

T = TypeVar("T")

PATIENCE = 90.0
"""Seconds that an object which must be there is waited for: a client of NFS may remember for 60 s
that a name was missing."""
TRIES = 5
"""Attempts at an operation that fails."""
FIRST_PAUSE = 0.2
"""Seconds before the second attempt; each further pause is twice as long."""


class Place(Protocol):
    """Where objects lie. Errors are `OSError`; a missing object is `FileNotFoundError`."""

    def make(self) -> None:
        """Have the place, where it is one that has to be made."""

    def put(self, name: str, content: bytes) -> None:
        """Store an object, in the place of one of the same name.

        Raises:
          FileNotFoundError: the place has been removed, and is not made again by late objects.
        """

    def get(self, name: str) -> bytes:
        """An object."""

    def names(self, under: str) -> list[str]:
        """Names of all objects whose names begin with `under/`; all of them where it is empty."""

    def remove(self, under: str) -> None:
        """Remove an object, or all whose names begin with `under/`; what is missing is no error."""


class Depot:
    """A place, used with patience.

    Args:
      place: where the objects lie.
      patience: seconds that an object which must be there is waited for.
    """

    def __init__(self, place: Place, patience: float = PATIENCE) -> None:
        self._place, self.patience = place, patience

    def make(self) -> None:
        """Have a place for objects; its driver does."""
        _tried(self._place.make)

    def put(self, name: str, content: bytes) -> None:
        """Store an object under a name that no other process writes.

        Raises:
          FileNotFoundError: the depot has been removed.
        """
        _tried(lambda: self._place.put(name, content))

    def put_json(self, name: str, value: Any) -> None:
        """Store a value; half of an object is no JSON, so that no reader takes it for whole."""
        self.put(name, json.dumps(value, indent=1).encode())

    def get(self, name: str) -> bytes:
        """An object that has been put.

        Raises:
          FileNotFoundError: it has not come in all the time that it is waited for.
        """
        return self._awaited(lambda: self._place.get(name))

    def get_json(self, name: str) -> Any:
        """A value that has been put."""
        return self._awaited(lambda: json.loads(self._place.get(name)))

    def look(self, name: str) -> Any:
        """A value if it is there and whole now, else None."""
        try:
            return json.loads(_tried(lambda: self._place.get(name)))
        except (FileNotFoundError, ValueError):
            return None

    def still_has(self, name: str) -> bool:
        """Whether an object that has been seen was not removed since."""
        try:
            _tried(lambda: self._place.get(name))
        except FileNotFoundError:
            return False
        return True

    def names(self, under: str = "") -> list[str]:
        """Names of the objects below a name, in order, as far as they are seen yet."""
        return sorted(_tried(lambda: self._place.names(under)))

    def remove(self, under: str) -> None:
        """Remove an object, or what lies below a name; what is in use by nobody."""
        with contextlib.suppress(OSError):  # it is in nobody's way
            _tried(lambda: self._place.remove(under))

    def _awaited(self, read: Callable[[], T]) -> T:
        """What is read, once it is there and whole."""
        end = time.monotonic() + self.patience
        while True:
            try:
                return _tried(read)
            except (FileNotFoundError, ValueError):
                if time.monotonic() >= end:
                    raise
                time.sleep(min(1.0, max(0.0, end - time.monotonic())))


def open_depot(url: str, patience: float = PATIENCE) -> Depot:
    """The depot in a folder, or at a URL that fsspec reads.

    Raises:
      ConfigError: what reads the URL is not installed.
    """
    return Depot(Bucket(url) if "://" in url else Folder(Path(url)), patience)


class Folder:
    """A folder that all machines see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def make(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name
        self._make(path.parent)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def get(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def names(self, under: str) -> list[str]:
        found: list[str] = []
        for folder, _, files in os.walk(self._root / under):
            inside = Path(folder).relative_to(self._root)
            found += [(inside / file).as_posix() for file in files]
        return found

    def remove(self, under: str) -> None:
        path = self._root / under
        if not path.is_dir():
            path.unlink(missing_ok=True)
        for _ in range(TRIES):  # a late worker may be putting something there
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        """A folder below the root, and not the root: who has removed it needs nothing more."""
        if folder != self._root and not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)


class Bucket:
    """Objects at a URL, through fsspec."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:
            library = f"{error}".splitlines()[0].rstrip(".")
            raise ConfigError(f"depot={url!r}: {library}; install it, or give a folder.") from None
        except ValueError as error:
            raise ConfigError(f"depot={url!r}: {error}, give a folder or s3://…, gs://….") from None

    def make(self) -> None:
        pass  # a bucket has no folders

    def put(self, name: str, content: bytes) -> None:
        with _of_a_file_system():
            self._files.pipe_file(self._at(name), content)

    def get(self, name: str) -> bytes:
        with _of_a_file_system():
            content: bytes = self._files.cat_file(self._at(name))
        return content

    def names(self, under: str) -> list[str]:
        with _of_a_file_system():
            self._files.invalidate_cache()
            found: list[str] = self._files.find(self._at(under).rstrip("/"))
        start = len(self._root.rstrip("/")) + 1
        return [path[start:] for path in found]

    def remove(self, under: str) -> None:
        with contextlib.suppress(FileNotFoundError), _of_a_file_system():
            self._files.rm(self._at(under), recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


@contextlib.contextmanager
def _of_a_file_system() -> Iterator[None]:
    """What a cloud's library raises, as errors of a file system.

    A lost connection or missing rights have classes of their own in each of these libraries.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}".splitlines()[0]) from error


def _tried(work: Callable[[], T]) -> T:
    """The result of an operation that may fail a few times; a missing object is no failure."""
    pause = FIRST_PAUSE
    for _ in range(TRIES - 1):
        try:
            return work()
        except FileNotFoundError:
            raise
        except OSError:
            time.sleep(pause)
            pause *= 2
    return work()
