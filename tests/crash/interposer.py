"""Stands between Python and the system: sees every change of the files below a folder, may fail it.

grokjax writes through Python's own files alone. That this is so is tested by the log itself: what
it rebuilds must be what lies on the disk.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from crash.disk import Disk, Operation, Tree

Hook = Callable[[int, Operation], int | None]
"""Called before the n-th operation; may raise instead of it. What it returns is how many bytes of
a write are done, None: all."""
_WRITING = os.O_WRONLY | os.O_RDWR
_REAL = {
    name: getattr(os, name)
    for name in (
        *("open", "write", "fsync", "fdatasync", "truncate", "ftruncate"),
        *("rename", "replace", "unlink", "remove", "mkdir", "rmdir", "link", "symlink", "pwrite"),
    )
}
_open = io.open


class Interposer:
    """Records what is done below a root; `log` has it in order.

    Args:
      root: the folder that is watched, which is empty and stays.
      hook: called before each operation.
    """

    def __init__(self, root: Path, hook: Hook | None = None) -> None:
        self.root = root.resolve()
        self.log: list[Operation] = []
        self.disk = Disk()
        self.hook = hook

    def start(self, number: int) -> None:
        """Note that a start begins, the `number`-th."""
        self._note(Operation("start", "", at=number))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what this process does."""
        replaced = {
            name: value for name in _REAL if (value := getattr(self, f"_{name}", None)) is not None
        }
        replaced |= {"replace": self._rename, "remove": self._unlink}
        replaced |= dict.fromkeys(("link", "symlink", "pwrite"), self._never)
        for name, value in replaced.items():
            setattr(os, name, value)
        io.open = builtins.open = self._open_file
        try:
            yield
        finally:
            for name in replaced:
                setattr(os, name, _REAL[name])
            io.open = builtins.open = _open

    def _path(self, path: Any, dir_fd: int | None = None) -> str | None:
        """A path below the root, None of one that lies elsewhere."""
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        elif dir_fd is not None:
            path = Path(f"/proc/self/fd/{dir_fd}").readlink() / os.fsdecode(path)
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a link is its name
        if whole == str(self.root):
            return ""
        return os.path.relpath(whole, self.root) if whole.startswith(f"{self.root}/") else None

    def ask(self, operation: Operation) -> int | None:
        """Let the hook fail an operation that is to come."""
        return self.hook(len(self.log), operation) if self.hook else None

    def _note(self, operation: Operation) -> None:
        self.disk.apply(operation)
        self.log.append(operation)

    def _do(self, operation: Operation, do: Callable[[], Any]) -> Any:
        self.ask(operation)
        result = do()
        self._note(operation)
        return result

    def _one(self, kind: str, name: str, path: Any, *args: Any, dir_fd: int | None = None) -> Any:
        here = self._path(path, dir_fd)

        def do() -> Any:
            return _REAL[name](path, *args, dir_fd=dir_fd)

        return do() if here is None else self._do(Operation(kind, here), do)

    def _mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._one("mkdir", "mkdir", path, mode, dir_fd=dir_fd)

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._one("rmdir", "rmdir", path, dir_fd=dir_fd)

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._one("unlink", "unlink", path, dir_fd=dir_fd)

    def _rename(self, source: Any, target: Any, **options: Any) -> None:
        here, there = self._path(source), self._path(target)
        assert (here is None) == (there is None) and not options
        if here is None or there is None:
            return _REAL["replace"](source, target)
        operation = Operation("rename", here, there)
        return self._do(operation, lambda: _REAL["replace"](source, target))

    def _fsync(self, file: Any) -> None:
        descriptor = file if isinstance(file, int) else file.fileno()
        here = self._path(descriptor)
        if here is None:
            return _REAL["fsync"](descriptor)
        kind = "syncdir" if (self.root / here).is_dir() else "fsync"
        # The model says what it does; the disk of a test need not.
        return self._do(Operation(kind, here), lambda: None)

    _fdatasync = _fsync

    def _open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        here = self._path(path, dir_fd)
        if here is None or not flags & (_WRITING | os.O_CREAT | os.O_TRUNC):
            return _REAL["open"](path, flags, mode, dir_fd=dir_fd)
        do = lambda: _REAL["open"](path, flags, mode, dir_fd=dir_fd)  # noqa: E731
        return self._opening(here, bool(flags & os.O_CREAT), bool(flags & os.O_TRUNC), do)

    def _opening(self, here: str, create: bool, cut: bool, do: Callable[[], Any]) -> Any:
        if create and not os.path.lexists(self.root / here):
            return self._do(Operation("create", here), do)
        if cut and (self.root / here).stat().st_size:
            return self._do(Operation("truncate", here), do)
        return do()

    def _write(self, descriptor: int, data: Any) -> int:
        here = self._path(descriptor)
        if here is None:
            return _REAL["write"](descriptor, data)
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        return self.written(here, at, data, lambda part: _REAL["write"](descriptor, part))

    def written(self, here: str, at: int, data: Any, do: Callable[[Any], int]) -> int:
        """Write, or a part of it."""
        whole = bytes(data)
        count = do(whole[: self.ask(Operation("write", here, data=whole, at=at))])
        self._note(Operation("write", here, data=whole[:count], at=at))
        return count

    def _truncate(self, path: Any, length: int) -> None:
        here = self._path(path)
        if here is None:
            return _REAL["truncate"](path, length)
        operation = Operation("truncate", here, at=length)
        return self._do(operation, lambda: _REAL["truncate"](path, length))

    _ftruncate = _truncate

    def _never(self, *args: Any, **options: Any) -> None:
        if any(self._path(path) is not None for path in args[:2] if not isinstance(path, bytes)):
            raise NotImplementedError("the model of a disk has no links and no writes at places")

    def _open_file(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        here = None if isinstance(file, int) else self._path(file)
        if here is None or not set(mode) & set("wax+"):
            return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = _File(self, here, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline)


class _File(io.FileIO):
    """A file whose writes are seen."""

    def __init__(self, interposer: Interposer, here: str, path: Any, mode: str) -> None:
        self._interposer, self._here = interposer, here
        begin = super().__init__
        create, cut = "r" not in mode, "w" in mode
        interposer._opening(here, create, cut, lambda: begin(path, mode))

    def write(self, data: Any) -> int:
        at = self.tell()
        return self._interposer.written(self._here, at, data, super().write)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        operation = Operation("truncate", self._here, at=length)
        do = super().truncate
        return self._interposer._do(operation, lambda: do(length))


def read_tree(root: Path) -> Tree:
    """What lies below a folder."""
    paths = sorted(root.rglob("*"))
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in paths
    }


def write_tree(root: Path, tree: Tree) -> None:
    """Make a tree on the disk, below a folder that is empty."""
    for path, content in sorted(tree.items()):
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
