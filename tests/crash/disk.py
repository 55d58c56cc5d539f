"""What a machine finds on its disk when it starts again.

A log of file operations, and a model of what survives them. A process that is killed loses nothing:
the folder is as the operations before have left it. A power cut takes what was not synced:

- The content of a file is that of its last fsync. What was written since then may be there, or in
  part, or the file has its new length and zeros.
- The names in a folder are those of its last fsync. Each creation, rename and removal since then is
  there or is not, whatever became of the others; a rename within a folder is one change.
- A folder whose own name is lost is lost with all that is in it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import random
from collections.abc import Iterator

ROOT = 0
Tree = dict[str, bytes | None]
"""Path below the root → content of a file, None for a folder."""
Entry = tuple[int, str, int | None]
"""A folder, a name in it, and what the name stands for from now on."""
ALL_SUBSETS = 4
"""Changes of names that are not durable, of which every subset is tried; of more, a choice."""
MORE_SUBSETS = 6


@dataclasses.dataclass(frozen=True)
class Operation:
    """One change of files: its kind and what it is of."""

    kind: str
    """create, write, truncate, fsync, rename, unlink, mkdir, rmdir, syncdir or start."""
    path: str
    to: str = ""
    """New path of a rename."""
    data: bytes = b""
    at: int = 0
    """Offset of a write; length that is left by a truncate; number of a start."""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}" + f" → {self.to}" * bool(self.to)


class Disk:
    """The files of a machine, as programs see them and as far as they are durable."""

    def __init__(self) -> None:
        self._count = itertools.count(ROOT + 1)
        self.names: dict[int, dict[str, int]] = {ROOT: {}}
        self.content: dict[int, bytes] = {}
        self._durable_names: dict[int, dict[str, int]] = {ROOT: {}}
        self._durable: dict[int, bytes] = {}
        self._pending: list[list[Entry]] = []

    def find(self, path: str) -> int:
        """What a path stands for."""
        at = ROOT
        for name in filter(None, path.split("/")):
            at = self.names[at][name]
        return at

    def _place(self, path: str) -> tuple[int, str]:
        head, _, name = path.rpartition("/")
        return self.find(head), name

    def _rename(self, *entries: Entry) -> None:
        for folder, name, what in entries:
            if what is None:
                del self.names[folder][name]
            else:
                self.names[folder][name] = what
        self._pending.append(list(entries))

    def apply(self, operation: Operation) -> None:
        """Do an operation."""
        path = operation.path
        match operation.kind:
            case "create":
                new = next(self._count)
                self.content[new] = self._durable[new] = b""
                self._rename((*self._place(path), new))
            case "mkdir":
                new = next(self._count)
                self.names[new], self._durable_names[new] = {}, {}
                self._rename((*self._place(path), new))
            case "write":
                file, data, at = self.find(path), operation.data, operation.at
                old = self.content[file].ljust(at, b"\0")
                self.content[file] = old[:at] + data + old[at + len(data) :]
            case "truncate":
                file = self.find(path)
                self.content[file] = self.content[file][: operation.at].ljust(operation.at, b"\0")
            case "fsync":
                file = self.find(path)
                self._durable[file] = self.content[file]
            case "syncdir":
                folder = self.find(path)
                self._durable_names[folder] = dict(self.names[folder])
                left = [[e for e in entries if e[0] != folder] for entries in self._pending]
                self._pending = [entries for entries in left if entries]
            case "rename":
                what = self.find(path)
                self._rename((*self._place(operation.to), what), (*self._place(path), None))
            case "unlink" | "rmdir":
                self._rename((*self._place(path), None))
            case "start":
                pass
            case kind:
                raise ValueError(kind)

    def tree(self) -> Tree:
        """What a process sees, and the next one when this one is killed."""
        return _walk(self.names, self.content)

    def after_power_loss(self, choose: random.Random) -> Iterator[tuple[str, Tree]]:
        """Every folder that may be found after a power cut, and in words what was lost."""
        dirty = {file for file, data in self.content.items() if data != self._durable[file]}
        for kept in _subsets(len(self._pending), choose):
            names = {folder: dict(inside) for folder, inside in self._durable_names.items()}
            for at in kept:
                for folder, name, what in self._pending[at]:
                    if what is None:
                        names[folder].pop(name, None)
                    else:
                        names[folder][name] = what
            words = f"{len(kept)} of {len(self._pending)} changes of names kept: {kept}"
            reached = _reached(names)
            for how in ("lost", "there", "half", "zeros") if dirty & reached else ("lost",):
                content = dict(self._durable)
                for file in dirty:
                    content[file] = _after(how, self._durable[file], self.content[file])
                yield f"{words}, unsynced content {how}", _walk(names, content)


def _after(how: str, durable: bytes, live: bytes) -> bytes:
    return {
        "lost": durable,
        "there": live,
        "half": live[: len(live) // 2],
        "zeros": durable + bytes(max(0, len(live) - len(durable))),
    }[how]


def _subsets(n: int, choose: random.Random) -> list[tuple[int, ...]]:
    """Which of n changes are kept: all subsets of a few; of many a choice."""
    every = tuple(range(n))
    if n <= ALL_SUBSETS:
        return [s for size in range(n + 1) for s in itertools.combinations(every, size)]
    found = {every[:k] for k in range(n + 1)} | {every[k:] for k in range(n + 1)}
    found |= {every[:k] + every[k + 1 :] for k in range(n)} | {(k,) for k in every}
    found |= {tuple(k for k in every if choose.random() < 0.5) for _ in range(MORE_SUBSETS)}
    return sorted(found)


def _reached(names: dict[int, dict[str, int]]) -> set[int]:
    found, left = {ROOT}, [ROOT]
    while left:
        inside = set(names.get(left.pop(), {}).values()) - found
        found |= inside
        left += inside
    return found


def _walk(names: dict[int, dict[str, int]], content: dict[int, bytes]) -> Tree:
    tree: Tree = {}

    def walk(folder: int, head: str) -> None:
        for name, what in sorted(names[folder].items()):
            tree[head + name] = content.get(what)
            if what in names:
                walk(what, f"{head}{name}/")

    walk(ROOT, "")
    return tree


def fingerprint(tree: Tree) -> bytes:
    """A hash of a tree."""
    found = hashlib.blake2b(digest_size=16)
    for path, content in tree.items():
        found.update(f"{path}\0{-1 if content is None else len(content)}\0".encode())
        found.update(content or b"")
    return found.digest()
