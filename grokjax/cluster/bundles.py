"""Files of a folder on their way through the depot: tar objects, and listings that name them.

A *listing* is put after all that it names: path in the folder → hash, and the object that holds
the file. A listing is whole or it is not read, and a file is what the listing says or it is not
used, whatever the depot shows and when.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from grokjax.cluster.depot import Depot

Files = dict[str, dict[str, str]]
"""Path below the folder → `sha256`, and the `object` in the depot that holds the file."""


class DamagedError(Exception):
    """Something in the depot is not what its listing says."""


class Sender:
    """Puts files of one folder, each content once.

    Args:
      depot: to put them into.
      home: names of its objects begin so, and those of no other process.
      folder: that paths are below.
      known: what lies in the depot already.
    """

    def __init__(self, depot: Depot, home: str, folder: Path, known: Files) -> None:
        self._depot, self._home, self._folder = depot, home, folder
        self._objects = {one["sha256"]: one["object"] for one in known.values()}
        self._hashes: dict[tuple[str, int, int], str] = {}
        self.sent = 0
        """Bytes that were put."""

    def send(self, name: str, paths: Iterable[Path]) -> Files:
        """Put those of some files that are new, in one object; where all of them are."""
        files, fresh = dict[str, dict[str, str]](), dict[str, Path]()
        for path in paths:
            sha256 = self._hash(path)
            if sha256 not in self._objects:
                self._objects[sha256] = f"{self._home}/{name}.tar"
                fresh[sha256] = path
            inside = path.relative_to(self._folder).as_posix()
            files[inside] = {"sha256": sha256, "object": self._objects[sha256]}
        if fresh:
            content = _tar(fresh)
            self._depot.put(f"{self._home}/{name}.tar", content)
            self.sent += len(content)
        return files

    def forget(self, name: str) -> None:
        """Remove an object that no listing of this process's names any more."""
        gone = f"{self._home}/{name}.tar"
        self._objects = {h: held for h, held in self._objects.items() if held != gone}
        self._depot.remove(gone)

    def _hash(self, path: Path) -> str:
        about = path.stat()
        key = (str(path), about.st_mtime_ns, about.st_size)
        if key not in self._hashes:
            with path.open("rb") as file:
                self._hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._hashes[key]


def _tar(files: Mapping[str, Path]) -> bytes:
    """An archive of files, each under the hash of its content."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for sha256, path in files.items():
            content = path.read_bytes()
            about = tarfile.TarInfo(sha256)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return whole.getvalue()


def receive(depot: Depot, files: Files, under: Collection[str] = ()) -> dict[str, bytes]:
    """Path → content of the files of a listing, each compared with its hash.

    Args:
      depot: that they lie in.
      files: of a listing.
      under: first folders of the paths that are wanted; all of them where it is empty.

    Raises:
      DamagedError: one is missing, or is not what the listing says.
    """
    wanted = {path: one for path, one in files.items() if not under or _head(path) in under}
    found: dict[str, bytes] = {}
    for name in sorted({one["object"] for one in wanted.values()}):
        try:
            with tarfile.open(fileobj=io.BytesIO(depot.get(name))) as archive:
                members = {one.name: one for one in archive.getmembers() if one.isreg()}
                for path, one in wanted.items():
                    if one["object"] == name:
                        file: Any = archive.extractfile(members[one["sha256"]])
                        found[path] = file.read()
        except (OSError, KeyError, tarfile.TarError) as error:
            raise DamagedError(f"{name}: {error}") from None
    for path, content in found.items():
        if hashlib.sha256(content).hexdigest() != wanted[path]["sha256"]:
            raise DamagedError(f"{path}: not what was put")
    return found


def unpack(contents: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder, and nowhere else."""
    for path, content in contents.items():
        parts = PurePosixPath(path).parts
        if PurePosixPath(path).is_absolute() or ".." in parts:
            raise DamagedError(f"{path}: no path below a folder")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _head(path: str) -> str:
    return PurePosixPath(path).parts[0]
