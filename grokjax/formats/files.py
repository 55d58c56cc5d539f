"""Files of arrays by name, with words about them: safetensors, and NumPy's npz."""

from __future__ import annotations

import dataclasses
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from grokjax.command import REMEDIES
from grokjax.config import ConfigError
from grokjax.config.coercion import require
from grokjax.results import array_files
from grokjax.results.array_files import METADATA
from grokjax.results.files import write_atomically
from grokjax.results.outside import check_shape, parse_json, read_npz, refuse, unreadable

SUFFIXES = (".safetensors", ".npz")


@dataclasses.dataclass(frozen=True)
class NetworkTold:
    """What the metadata of a file say of the network in it."""

    base: dict[str, Any]
    """Dotted path → value of its run's configuration."""
    run_id: str
    step: int
    stage: int


def told_of_network(path: Path, about: Mapping[str, str]) -> NetworkTold:
    """What the metadata of a file by our names say.

    Raises:
      ConfigError: they say less, or something else.
    """
    base = parse_json(about["experiment"], path)
    check_shape(base, dict[str, Any], path, "experiment")
    run_id, step, stage = (about.get(word, "") for word in ("run_id", "step", "stage"))
    if not (run_id and step.isdecimal() and stage.isdecimal()):
        refuse(path, "", "it does not say of which run and step it is")
    return NetworkTold(base, run_id, int(step), int(stage))


def write(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays and metadata, as the suffix of the path says.

    Raises:
      ConfigError: the suffix is no format, or no file of this name can be written.
      OSError: the storage takes no more.
    """
    require(path.suffix in SUFFIXES, "path", str(path), f"end it in {' or '.join(SUFFIXES)}")
    try:
        if path.suffix == ".npz":
            contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
            words = np.array(sorted(metadata.items()), dtype=str).reshape(-1, 2)
            write_atomically(path, partial(_fill_npz, {**contiguous, METADATA: words}))
        else:
            array_files.write(path, arrays, metadata)
    except OSError as error:
        if error.errno in REMEDIES:
            raise
        raise ConfigError(f"path={str(path)!r}: {error.strerror}, give another one.") from None


_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
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
    remedy = "give a safetensors or an npz file of arrays"
    if path.suffix != ".npz":
        return array_files.read(path, remedy)
    try:
        arrays = read_npz(path)
        words = arrays.pop(METADATA, np.zeros((0, 2), str))
        return arrays, dict(words.tolist())
    except _UNREADABLE as error:
        if isinstance(error, ConfigError):
            raise
        raise unreadable(path, error, remedy) from None


def _fill_npz(arrays: dict[str, Any], file: BinaryIO) -> None:
    np.savez(file, **arrays)
