"""Arrays by name in safetensors files, with words about them and a checksum of all of it.

PyTorch and others read the files too. A file without a checksum, of another program or of an older
grokjax, is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.numpy

from grokjax.config import ConfigError
from grokjax.results.files import write_bytes
from grokjax.results.outside import regular, unreadable

T = TypeVar("T")
METADATA = "__metadata__"
"""Key of the words in the head of a file."""
CHECKSUM = "blake2b"
"""The word that is a hash of the arrays and of the other words."""
_DAMAGED = (OSError, ValueError, TypeError, KeyError, AttributeError, safetensors.SafetensorError)
"""What the library raises of a file that is cut short, or has types that NumPy has not."""


def write(path: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
    """Write arrays and words about them; the same again gives the same file."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    words = {**about, CHECKSUM: _checksum(contiguous, about)}
    # Not by save_file, which writes another temporary file beside ours.
    write_bytes(path, _in_order(safetensors.numpy.save(contiguous, words)))


def read(path: Path, remedy: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays in a file, and the words about them.

    Args:
      path: of the file.
      remedy: what to do where it is damaged.

    Raises:
      ConfigError: there is no such file, or it is not as it was written.
    """
    try:
        with safetensors.safe_open(regular(path), framework="numpy") as file:
            names = file.keys()  # an open file is no mapping that could be walked
            arrays = {name: file.get_tensor(name) for name in names}
            about = dict(file.metadata() or {})
        told = about.pop(CHECKSUM, None)
        if told not in (None, _checksum(arrays, about)):
            raise ValueError("it is not as it was written")
    except _DAMAGED as error:
        raise _refusal(path, error, remedy) from None
    return arrays, about


def shapes(path: Path, remedy: str) -> dict[str, tuple[int, ...]]:
    """Name → shape of the arrays, from the head of a file; arguments and errors are those of `read`."""
    return _of_head(path, remedy, lambda one: tuple(one.get_shape()))


def types(path: Path, remedy: str) -> dict[str, str]:
    """Name → type of the arrays, F32 say; as `shapes`."""
    return _of_head(path, remedy, lambda one: str(one.get_dtype()))


def words(path: Path, remedy: str) -> dict[str, str]:
    """The words about the arrays, from the head of a file, which are not compared with the checksum."""
    try:
        with safetensors.safe_open(regular(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except _DAMAGED as error:
        raise _refusal(path, error, remedy) from None


def _of_head(path: Path, remedy: str, ask: Callable[[Any], T]) -> dict[str, T]:
    try:
        with safetensors.safe_open(regular(path), framework="numpy") as file:
            names = file.keys()
            return {name: ask(file.get_slice(name)) for name in names}
    except _DAMAGED as error:
        raise _refusal(path, error, remedy) from None


def _refusal(path: Path, error: Exception, remedy: str) -> ConfigError:
    return error if isinstance(error, ConfigError) else unreadable(path, error, remedy)


def _checksum(arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> str:
    found = hashlib.blake2b(json.dumps(dict(about), sort_keys=True).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        found.update(f"{name!r} {array.dtype} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _in_order(content: bytes) -> bytes:
    """The same file with its words sorted, which the library puts in any order.

    The file is the length of its head in 8 bytes, the head as JSON, and the numbers.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    head = json.loads(content[8:start])
    head[METADATA] = dict(sorted(head[METADATA].items()))
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers stay aligned
    return len(text).to_bytes(8, "little") + text + content[start:]
