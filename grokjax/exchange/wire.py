"""Protobuf's wire format, as far as logs need it: fields by their numbers, values as bytes."""

from __future__ import annotations

from typing import Any

Fields = dict[int, list[Any]]
"""Number of a field → its values: ints of varints, bytes of all else."""


MOST_BITS = 63
"""Of a varint, which has seven a byte."""


def fields(data: bytes) -> Fields:
    """The fields of a message."""
    found: Fields = {}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value: Any
            value, at = varint(data, at)
        elif wire == 2:
            length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
            value, at = data[at : at + length], at + length
        else:
            break  # groups, which none of these messages has
        found.setdefault(number, []).append(value)
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at a place, and the place after it."""
    value = shift = 0
    while True:
        if shift > MOST_BITS:
            raise ValueError("it is no message of numbers and fields")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def signed(value: int) -> int:
    """A varint of an int64."""
    return value - (1 << 64) if value >= 1 << 63 else value


def field(number: int, value: bytes) -> bytes:
    """A field of bytes: a string, or a message."""
    return key(number, 2) + to_varint(len(value)) + value


def key(number: int, wire: int) -> bytes:
    """What stands before a value."""
    return to_varint(number << 3 | wire)


def to_varint(value: int) -> bytes:
    """A whole number that is not negative."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
