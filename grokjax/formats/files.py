"""Files of arrays by name, with words about them: safetensors, and NumPy's npz."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from grokjax.config import ConfigError
from grokjax.config.coercion import require
from grokjax.results.files import write_atomically

SUFFIXES = (".safetensors", ".npz")
METADATA = "__metadata__"
"""Where a safetensors file has its metadata, and the array of an npz file that holds them, pairs of
name and text `[M, 2]`."""


def write(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata, as the suffix of the path says.

    Raises:
      ConfigError: the suffix is no format, or the file cannot be written.
    """
    require(path.suffix in SUFFIXES, "path", str(path), f"end it in {' or '.join(SUFFIXES)}")
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    try:
        if path.suffix == ".npz":
            words = np.array(sorted(metadata.items()), dtype=str).reshape(-1, 2)
            write_atomically(path, partial(_fill_npz, {**contiguous, METADATA: words}))
        else:
            content = safetensors.numpy.save(contiguous, dict(metadata))
            write_atomically(path, partial(_fill, _in_order(content)))
    except OSError as error:
        raise ConfigError(f"path={str(path)!r}: {error.strerror}, give another one.") from None


_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and zipfile raise of files that are empty, cut off, encrypted or of another kind."""


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a file; no metadata where another program wrote it.

    Raises:
      ConfigError: there is no such file, or it is not readable.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            words = arrays.pop(METADATA, np.zeros((0, 2), str))
            return arrays, dict(words.tolist())
        with safetensors.safe_open(path, framework="numpy") as file:
            names = file.keys()  # an open file is no mapping that could be walked
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (*_UNREADABLE, safetensors.SafetensorError) as error:
        raise ConfigError(f"{path}: not a readable file of weights ({error}).") from None


def _in_order(content: bytes) -> bytes:
    """The same safetensors file with its metadata sorted, which the library puts in any order.

    The file is the length of its head in 8 bytes, the head as JSON, and the numbers.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    head = json.loads(content[8:start])
    head[METADATA] = dict(sorted(head[METADATA].items()))
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers stay aligned
    return len(text).to_bytes(8, "little") + text + content[start:]


def _fill(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _fill_npz(arrays: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:  # of a name, NumPy would make another one
        np.savez(file, **arrays)
