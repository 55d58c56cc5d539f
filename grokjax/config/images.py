"""The configuration of tasks on pictures of handwritten digits."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import ClassVar, Literal

from grokjax.config.coercion import ConfigError, require
from grokjax.config.fields import location
from grokjax.config.modular import check_table_seed
from grokjax.config.parts import Task

__all__ = ["MNIST", "Digits"]

DIGITS = 1797
"""Pictures that scikit-learn brings along."""
MNIST_FILES = {"train-images-idx3-ubyte": (28, 28), "train-labels-idx1-ubyte": ()}
"""Names of the files, and the shape of an item of each."""


@dataclasses.dataclass(frozen=True)
class Digits(Task):
    """Handwritten digits of 8×8 pixels, those of scikit-learn (Alpaydin & Kaynak 1998).

    Features are pixels `v / 16` in [0, 1], classes the ten digits. This is not MNIST.
    """

    kind: ClassVar[str] = "digits"
    encoding: ClassVar[Literal["tokens", "features"]] = "features"

    limit: int | None = None
    """Number of pictures in the table, drawn at random; None: all 1797."""
    table_seed: int = 0
    """Seed of which pictures are drawn, and of their order."""

    def check(self) -> None:
        limit = DIGITS if self.limit is None else self.limit
        require(2 <= limit <= DIGITS, "limit", self.limit, f"give 2 to {DIGITS} pictures")
        check_table_seed(self.table_seed)

    @property
    def n_rows(self) -> int:
        """Number of pictures in the table."""
        return DIGITS if self.limit is None else self.limit


@dataclasses.dataclass(frozen=True)
class MNIST(Task):
    """Training pictures of MNIST, 28×28 pixels, from files that you have (LeCun et al. 1998).

    Features are pixels `v / 255`, classes the ten digits. Liu et al. 2022 (arXiv 2210.01117) grok
    1000 of them.
    """

    kind: ClassVar[str] = "mnist"
    encoding: ClassVar[Literal["tokens", "features"]] = "features"

    folder: str = location()
    """Folder that holds the files train-images-idx3-ubyte and train-labels-idx1-ubyte, packed
    (.gz) or not."""
    limit: int | None = 2000
    """Number of pictures in the table, drawn uniformly; None: all, their number is filled in."""
    table_seed: int = 0
    """Seed of which pictures are drawn, and of their order."""
    sha256: str = ""
    """Checksum of both files' unpacked contents. It is filled in; where you give one, the files
    must have it."""

    def check(self) -> None:
        check_table_seed(self.table_seed)
        paths = tuple(idx_path(self.folder, name) for name in MNIST_FILES)
        n, checksum = _facts(paths, tuple(path.stat().st_mtime_ns for path in paths))
        remedy = f"the files in {self.folder!r} have {checksum}, give their folder or leave it out"
        require(self.sha256 in ("", checksum), "sha256", self.sha256, remedy)
        limit = n if self.limit is None else self.limit
        require(2 <= limit <= n, "limit", self.limit, f"give 2 to {n} pictures")
        object.__setattr__(self, "sha256", checksum)
        object.__setattr__(self, "limit", limit)

    @property
    def n_rows(self) -> int:
        """Number of pictures in the table."""
        return self.limit or 0


def idx_path(folder: str, name: str) -> Path:
    """The file of this name, packed or not."""
    for path in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if path.is_file():
            return path
    raise ConfigError(f"folder={folder!r}: there is no {name} or {name}.gz in it, put it there.")


def idx_content(path: Path) -> bytes:
    """An IDX file of MNIST, unpacked; its header has been compared with its size."""
    field, name = str(path.parent), path.name.removesuffix(".gz")
    try:
        packed = path.read_bytes()
        content = gzip.decompress(packed) if path.suffix == ".gz" else packed
    except (OSError, EOFError, zlib.error) as error:
        remedy = f"{path.name} cannot be read ({error}), fetch it anew"
        raise ConfigError(f"folder={field!r}: {remedy}.") from None
    shape = MNIST_FILES[name]
    start = 8 + 4 * len(shape)
    magic, n, *sizes = struct.unpack(f">{start // 4}I", content[:start].ljust(start, b"\0"))
    remedy = f"{path.name} does not begin as that file of MNIST does, fetch it anew"
    require((magic, *sizes) == (0x801 + len(shape), *shape), "folder", field, remedy)
    expected = start + n * math.prod(shape)
    remedy = f"{path.name} has {len(content)} bytes instead of {expected}, fetch it anew"
    require(len(content) == expected, "folder", field, remedy)
    return content


@functools.lru_cache(maxsize=16)
def _facts(paths: tuple[Path, ...], times: tuple[int, ...]) -> tuple[int, str]:
    """Number and checksum of the pictures; read again when the files' times change."""
    pictures, labels = map(idx_content, paths)
    n, n_labels, largest = len(pictures) // 784, len(labels) - 8, max(labels[8:], default=0)
    remedy = f"it has {n} pictures and {n_labels} labels up to {largest}, fetch both files anew"
    require(n == n_labels and largest <= 9, "folder", str(paths[0].parent), remedy)
    return n, hashlib.sha256(pictures + labels).hexdigest()
