"""TensorBoard's event files, read and written as they are on disk, without TensorBoard.

A file is a row of records: length `uint64`, its checksum, the bytes of an `Event` in protobuf's
wire format, their checksum. The messages and the numbers of their fields are those of tensorflow's
`event.proto`, `summary.proto`, `tensor.proto`, and of the plugin's `hparams/plugin_data.proto`.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange.wire import Fields, field, fields, key, signed, to_varint

MARK = "events.out.tfevents"
_EVENT_TIME, _EVENT_STEP, _EVENT_VERSION, _EVENT_SUMMARY = 1, 2, 3, 5
_SUMMARY_VALUE = 1
_VALUE_TAG, _VALUE_SIMPLE, _VALUE_TENSOR, _VALUE_METADATA = 1, 2, 8, 9
_TENSOR_DTYPE, _TENSOR_CONTENT, _TENSOR_FLOATS, _TENSOR_DOUBLES = 1, 4, 5, 6
_METADATA_PLUGIN, _PLUGIN_NAME, _PLUGIN_CONTENT = 1, 1, 2
_HPARAMS_START, _START_HPARAMS = 3, 1
_DTYPES = {1: "<f4", 2: "<f8"}


def is_event_file(path: Path) -> bool:
    """Whether a file has the name that TensorBoard looks for."""
    return MARK in path.name


def read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The scalars in a file, a row a step with a column a tag, and its hyperparameters.

    The last value counts where a tag has several at a step, which is what a run that was started
    again leaves. A record that is cut short ends the file: the program may still be writing.

    Raises:
      ConfigError: it is no event file.
    """
    values: dict[str, dict[int, float]] = {}
    hparams: dict[str, Any] = {}
    for event in map(fields, _records(path)):
        step = signed(event.get(_EVENT_STEP, [0])[-1])
        for summary in event.get(_EVENT_SUMMARY, ()):
            for value in map(fields, fields(summary).get(_SUMMARY_VALUE, ())):
                hparams |= _hparams(value)
                number = _scalar(value)
                if number is not None:
                    tag = value[_VALUE_TAG][-1].decode("utf-8", "replace")
                    values.setdefault(tag, {})[step] = number
    frame = pd.DataFrame({tag: pd.Series(at, dtype=float) for tag, at in values.items()})
    frame = frame.rename_axis("step").reset_index()
    return frame, hparams


def write(
    path: Path,
    steps: Sequence[int],
    values: Mapping[str, Sequence[float]],
    hparams: Mapping[str, Any],
) -> None:
    """An event file of scalars, in float32 as TensorBoard has them; NaN leaves a value out.

    Args:
      path: its name must have `MARK` in it.
      steps: `[K]`.
      values: tag → `[K]`.
      hparams: numbers, strings and flags of the run, for TensorBoard's table of hyperparameters.
    """
    records = [
        _event({_EVENT_VERSION: b"brain.Event:2"}),
        _event({_EVENT_SUMMARY: _start(hparams)}),
    ]
    for at, step in enumerate(steps):
        told = [
            field(
                _SUMMARY_VALUE,
                field(_VALUE_TAG, tag.encode()) + _float(_VALUE_SIMPLE, column[at]),
            )
            for tag, column in values.items()
            if not math.isnan(column[at])
        ]  # fmt: skip
        if told:
            records.append(_event({_EVENT_SUMMARY: b"".join(told)}, int(step)))
    path.write_bytes(b"".join(map(_record, records)))


def _records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    at = 0
    while at + 12 <= len(data):
        head = data[at : at + 8]
        (length,) = struct.unpack("<Q", head)
        if struct.unpack("<I", data[at + 8 : at + 12])[0] != _masked(head):
            raise ConfigError(f"{path}: byte {at} begins no record of TensorBoard's, restore it.")
        body = data[at + 12 : at + 12 + length]
        if len(body) < length or at + 16 + length > len(data):
            return
        yield body
        at += 16 + length


def _scalar(value: Fields) -> float | None:
    """The number in a `Summary.Value`, where it is one; `inf` where it is no finite one."""
    if _VALUE_SIMPLE in value:
        (number,) = struct.unpack("<f", value[_VALUE_SIMPLE][-1])
    elif _VALUE_TENSOR in value:
        tensor = fields(value[_VALUE_TENSOR][-1])
        dtype = _DTYPES.get(tensor.get(_TENSOR_DTYPE, [0])[-1])
        part = _TENSOR_FLOATS if dtype == "<f4" else _TENSOR_DOUBLES
        content = b"".join(tensor.get(_TENSOR_CONTENT, tensor.get(part, ())))
        if dtype is None or len(content) != np.dtype(dtype).itemsize:
            return None  # a histogram, a text, an array
        number = np.frombuffer(content, dtype)[0]
    else:
        return None
    return float(number) if math.isfinite(number) else math.inf


def _hparams(value: Fields) -> dict[str, Any]:
    """What `SummaryWriter.add_hparams` has written of a run, if this is it."""
    for metadata in value.get(_VALUE_METADATA, ()):
        for plugin in map(fields, fields(metadata).get(_METADATA_PLUGIN, ())):
            if plugin.get(_PLUGIN_NAME, [b""])[-1] != b"hparams":
                continue
            content = fields(plugin.get(_PLUGIN_CONTENT, [b""])[-1])
            found = {}
            for start in map(fields, content.get(_HPARAMS_START, ())):
                for entry in map(fields, start.get(_START_HPARAMS, ())):
                    found[entry[1][-1].decode()] = _of_struct(fields(entry.get(2, [b""])[-1]))
            return found
    return {}


def _of_struct(value: Fields) -> Any:
    """A `google.protobuf.Value`: number, string or bool."""
    if 2 in value:
        return struct.unpack("<d", value[2][-1])[0]
    if 3 in value:
        return value[3][-1].decode("utf-8", "replace")
    return bool(value[4][-1]) if 4 in value else None


def _start(hparams: Mapping[str, Any]) -> bytes:
    """The summary with which a run begins in TensorBoard's table of hyperparameters."""
    entries = [
        field(_START_HPARAMS, field(1, name.encode()) + field(2, _to_struct(value)))
        for name, value in hparams.items()
    ]
    content = field(_HPARAMS_START, b"".join(entries))
    plugin = field(_PLUGIN_NAME, b"hparams") + field(_PLUGIN_CONTENT, content)
    tag = field(_VALUE_TAG, b"_hparams_/session_start_info")
    metadata = field(_VALUE_METADATA, field(_METADATA_PLUGIN, plugin))
    # A table of hyperparameters passes over what has no tensor; an empty one will do.
    tensor = field(_VALUE_TENSOR, key(_TENSOR_DTYPE, 0) + to_varint(1) + field(2, b""))
    return field(_SUMMARY_VALUE, tag + tensor + metadata)


def _to_struct(value: Any) -> bytes:
    """As a `google.protobuf.Value`."""
    if isinstance(value, bool):
        return key(4, 0) + to_varint(int(value))
    if isinstance(value, (int, float)):
        return key(2, 1) + struct.pack("<d", value)
    return field(3, str(value).encode())


def _event(parts: Mapping[int, bytes], step: int = 0) -> bytes:
    # A time of 0: the same results give the same bytes.
    head = key(_EVENT_TIME, 1) + struct.pack("<d", 0.0) + key(_EVENT_STEP, 0) + to_varint(step)
    return head + b"".join(field(number, value) for number, value in parts.items())


def _float(number: int, value: float) -> bytes:
    return key(number, 5) + struct.pack("<f", value)


def _record(body: bytes) -> bytes:
    head = struct.pack("<Q", len(body))
    return head + struct.pack("<I", _masked(head)) + body + struct.pack("<I", _masked(body))


def _masked(data: bytes) -> int:
    """The masked CRC-32C of TensorFlow's record files."""
    crc, table = 0xFFFFFFFF, _crc_table()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _crc_table() -> list[int]:
    """Of Castagnoli's polynomial, bits reversed."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table
