"""Where an outside file becomes ours: that it is a file, that it is JSON, that it has our shape.

A results folder may be damaged, or somebody else's. What is read of it is data and never code; it is
looked at here, once, before anybody relies on it, and refused in a sentence that names the file.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import types
import typing
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from grokjax.config import ConfigError
from grokjax.config.refusals import cut

PIECES = 4
"""Times that a text is in memory while it becomes numbers."""
WIDEST = 2**63
"""Whole numbers are smaller: tables hold no larger ones."""


def regular(path: Path) -> Path:
    """The path, which must lead to a file: a pipe or a device might never end.

    Raises:
      ConfigError: there is none, or something else.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(mode):
        raise ConfigError(f"{path}: it is no file, restore it from a copy.")
    return path


def unreadable(path: Path, error: Exception, remedy: str = "restore it from a copy") -> ConfigError:
    """The refusal of a file that could not be read, with what the reader has said."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    said = cut(" ".join(said.replace(str(path), path.name).split()), 100).rstrip(".")
    return ConfigError(f"{path}: not readable ({said}), {remedy}.")


def check_no_links(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder to be written to where a link would lead what is written, or removed, out of it.

    Args:
      folder: of results.
      names: of what may be in it and is no file.
    """
    for path in (folder / name for name in names):
        if path.is_symlink():
            raise ConfigError(
                f"{path}: it is a link, and nothing is changed through it; put the folder itself "
                "there, or give another --out."
            )


def check_fits(path: Path, size: int) -> None:
    """Refuse a file whose content would fill the memory, however small the file is.

    Args:
      path: of the file.
      size: of its content, unpacked, in bytes.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise ConfigError(
            f"{path}: it unpacks to {size / 1e9:.3g} GB, and this machine has {memory / 1e9:.3g} GB "
            "of memory; read it on a larger one, if it is meant to be as large."
        )


def read_json(path: Path) -> Any:
    """The value in a file of JSON.

    Raises:
      ConfigError: there is no such file, or it is not JSON.
    """
    try:
        text = regular(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None
    return parse_json(text, path)


def parse_json(text: str, path: Path) -> Any:
    """The value that a text from a file is as JSON.

    Raises:
      ConfigError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, error) from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file of NumPy's; objects, which are pickles, are refused.

    What NumPy raises of a damaged file is left to the caller.
    """
    with zipfile.ZipFile(regular(path)) as file:
        check_fits(path, sum(member.file_size for member in file.infolist()))
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def unpacked(path: Path, data: bytes) -> bytes:
    """What is packed by gzip in a file, whose head does not say its size.

    Args:
      path: of the file.
      data: all of it.
    """
    found = io.BytesIO()
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while piece := file.read(2**24):
            found.write(piece)
            check_fits(path, PIECES * found.tell())
    return found.getvalue()


def check_shape(value: Any, kind: Any, path: Path, where: str = "") -> None:
    """Refuse a value that is not what a type says: a `TypedDict`, or what one is made of.

    Args:
      value: as JSON gives it.
      kind: a type, as in an annotation.
      path: of the file that it comes from.
      where: its place in the file, as in `starts.0.command`.

    Raises:
      ConfigError: file, place, and what belongs there.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return
    if origin in (types.UnionType, typing.Union):
        kinds = [one for one in inner if one is not type(None)]
        if value is None and len(kinds) < len(inner):
            return
        if len(kinds) > 1:
            return _require(isinstance(value, tuple(kinds)), value, "a value", path, where)
        return check_shape(value, kinds[0], path, where)
    if typing.is_typeddict(kind):
        _require(isinstance(value, dict), value, "a dictionary", path, where)
        if gone := sorted(kind.__required_keys__ - value.keys()):
            refuse(path, _below(where, gone[0]), "nothing stands there")
        for key, of_key in typing.get_type_hints(kind).items():
            if key in value:
                check_shape(value[key], of_key, path, _below(where, key))
        return
    if origin is dict:
        _require(isinstance(value, dict), value, "a dictionary", path, where)
        for key, one in value.items():
            check_shape(one, inner[1], path, _below(where, key))
        return
    if origin is list:
        _require(isinstance(value, list), value, "a list", path, where)
        for at, one in enumerate(value):
            check_shape(one, inner[0], path, _below(where, at))
        return
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return _require(number and abs(value) < WIDEST, value, "a number", path, where)
    if kind is int:
        whole = type(value) is int and abs(value) < WIDEST
        return _require(whole, value, "a whole number", path, where)
    _require(isinstance(value, kind), value, {str: "text"}.get(kind, kind.__name__), path, where)


def refuse(path: Path, where: str, why: str) -> typing.NoReturn:
    """Refuse what stands at a place in a file."""
    place = f", {cut(where, 60)}" * bool(where)
    raise ConfigError(f"{path}{place}: {why}, restore the file from a copy.")


def _require(holds: bool, value: Any, wanted: str, path: Path, where: str) -> None:
    if not holds:
        told = ascii(value) if isinstance(value, (str, int, float, type(None))) else "something else"
        refuse(path, where, f"{cut(told, 40)} stands where {wanted} belongs")


def _below(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
