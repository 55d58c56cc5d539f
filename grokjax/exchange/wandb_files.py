"""The files `run-ID.wandb` that Weights & Biases leaves of a run, read without it.

A file is a header of seven bytes and a log as LevelDB writes them: blocks of 32 KiB with pieces of
records, each with checksum, length and whether it is the first, a middle or the last one. A record
is a message of `wandb_internal.proto`, whose numbers of fields stand here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange.wire import Fields, fields, signed

ENDING = ".wandb"
_BLOCK, _HEADER, _PIECE = 32768, 7, 7
_FULL, _FIRST, _LAST = 1, 2, 4
_HISTORY, _CONFIG, _RUN = 2, 5, 17
_ITEM, _STEP = 1, 2
_KEY, _NESTED_KEY, _NUMBER, _JSON = 1, 2, 6, 16
_RUN_CONFIG, _RUN_NAME = 4, 8


def run_id(path: Path) -> str:
    """What Weights & Biases knows the run of a file by; a run that was resumed has it again."""
    return path.stem.removeprefix("run-")


def read(path: Path) -> tuple[pd.DataFrame, str, dict[str, Any]]:
    """The history of a run, a row a call of `log`, its name and its configuration.

    Raises:
      ConfigError: it is no such file.
    """
    rows: list[dict[str, Any]] = []
    config: dict[str, Any] = {}
    name = run_id(path)
    for record in map(fields, _records(path)):
        for history in map(fields, record.get(_HISTORY, [])):
            row = _items(history.get(_ITEM, []))
            for step in map(fields, history.get(_STEP, [])):
                row.setdefault("_step", signed(step.get(1, [0])[-1]))
            rows.append(row)
        for run in map(fields, record.get(_RUN, ())):
            name = run[_RUN_NAME][-1].decode() if _RUN_NAME in run else name
            for told in map(fields, run.get(_RUN_CONFIG, ())):
                config |= _items(told.get(1, ()))
        for told in map(fields, record.get(_CONFIG, ())):
            config |= _items(told.get(1, ()))
    return pd.DataFrame(rows, dtype=object), name, config


def _items(items: Any) -> dict[str, Any]:
    """Names and values of items, those inside of others by their path."""
    found = {}
    for item in map(fields, items):
        words = item.get(_KEY) or item.get(_NESTED_KEY, [])
        value = _value(item)
        if isinstance(value, float) and value != value:
            value = "NaN"  # written so, and not missing
        found["/".join(word.decode() for word in words)] = value
    return found


def _value(item: Fields) -> Any:
    if _JSON in item:
        return json.loads(item[_JSON][-1])
    return struct.unpack("<d", item[_NUMBER][-1])[0] if _NUMBER in item else None


def _records(path: Path) -> Iterator[bytes]:
    """The records; one that is cut short ends the file, which may still be written."""
    data = path.read_bytes()
    if not data.startswith(b":W&B"):
        raise ConfigError(f"{path}: it does not begin as a file of Weights & Biases, restore it.")
    at, whole = _HEADER, b""
    while at + _PIECE <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _PIECE:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + _PIECE])
        piece = data[at + _PIECE : at + _PIECE + length]
        if kind == 0 or len(piece) < length:
            return
        whole = piece if kind in (_FULL, _FIRST) else whole + piece
        if kind in (_FULL, _LAST):
            yield whole
        at += _PIECE + length
