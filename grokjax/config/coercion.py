"""Values as the annotations of their fields have them, and how a value is refused."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Set, Sized
from typing import Any, Literal

from grokjax.config.refusals import brief, one_line, shown
from grokjax.config.synonyms import article, suggestion

MOST_VALUES = 2**26
"""More values than any list of a configuration has; a list without end is refused here."""


class ConfigError(ValueError):
    """A value that the user can correct; the message is one sentence.

    It quotes what was given, so this is where that is made fit to be read: on one line, of no more
    than `refusals.MOST_CHARACTERS`, and without characters that a terminal obeys.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(brief(one_line(sentence)))


def require(condition: bool, field: str, value: object, remedy: str) -> None:
    """Raise a one-sentence `ConfigError` that names field, value and remedy."""
    if not condition:
        raise ConfigError(f"{field}={shown(value)}: {remedy}.")


_PLAIN = (float, int, str, bool)


def coerce(value: Any, kind: Any, name: str) -> Any:
    """`value` as the annotation `kind` has it: 1 → 1.0 and NumPy scalars → Python's.

    Normalising matters beyond tidiness: equal configurations must hash to the
    same run id however they were written.

    Args:
      value: of a field.
      kind: its annotation, resolved.
      name: of the field, for the refusal.
    """
    return coercer(kind)(value, name)


@functools.cache
def coercer(kind: Any) -> Callable[[Any, str], Any]:
    """The function that makes values what an annotation says; a sweep asks thousands of times."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return functools.partial(_as_one_of, arguments)
    if origin is Literal:
        return functools.partial(_as_choice, arguments)
    if origin is tuple:
        return functools.partial(_as_tuple, coercer(arguments[0]))
    return functools.partial(_as_kind, kind)


def _as_one_of(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    others = [kind for kind in kinds if kind is not type(None)]
    fitting = [kind for kind in others if _fits(value, kind)]
    return coerce(value, (fitting or others)[0], name)


def _as_choice(choices: tuple[Any, ...], value: Any, name: str) -> Any:
    if not (isinstance(value, str) and value in choices):
        near = suggestion(value, choices) if isinstance(value, str) else ""
        if near.endswith("?"):
            raise ConfigError(f"{name}={shown(value)}: {near}")
        require(False, name, value, f"choose from {', '.join(map(repr, choices))}")
    return value


def _as_tuple(item: Callable[[Any, str], Any], value: Any, name: str) -> Any:
    if isinstance(value, str):
        item(value, name)  # which may know better what is meant
    many = isinstance(value, Iterable) and getattr(value, "shape", None) != ()
    # Sets have no order, of which the identity of a run is made too.
    listed = many and not isinstance(value, (str, bytes, Mapping, Set))
    remedy = "give a list" if many and not isinstance(value, str) else "give a list, put it into []"
    require(listed, name, value, remedy)
    return tuple(item(v, name) for v in bounded(value, name, MOST_VALUES))


def bounded(values: Iterable[Any], name: str, most: int) -> Iterable[Any]:
    """The values, refused where there are more than `most`: before they fill the memory."""
    if isinstance(values, Sized):
        with contextlib.suppress(OverflowError):  # of range(10**30)
            if len(values) <= most:
                return values
    few = list(itertools.islice(values, most + 1))
    if len(few) > most:
        raise ConfigError(f"{name}: these are more than {most} values, give fewer.")
    return few


def _as_kind(kind: Any, value: Any, name: str) -> Any:
    if type(value) is kind and kind is not float:
        _CHECKS.get(kind, _no_check)(value, name)
        return value
    if type(value) not in _PLAIN and getattr(value, "shape", None) == ():
        value = value.item()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) < 2**1000, name, value, "give a number that a float can hold")
        value = float(value)
    if kind is int and isinstance(value, float):
        # Beyond that size floats are rounded, and 1e16 + 1 is another number than was meant.
        exact = value.is_integer() and abs(value) < 2**53
        require(exact, name, value, "give a whole number")
        value = int(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        # Parts say what to write instead, for they know each other.
        remedy = getattr(kind, "remedy_for", None)
        text = f"expected {_kind_name(kind)}, not {type(value).__name__}"
        require(False, name, value, remedy(value, name) if remedy else text)
    _CHECKS.get(kind, _no_check)(value, name)
    if kind is not float:
        return value
    require(math.isfinite(value), name, value, "give a finite number")
    return value + 0.0  # -0.0 equals 0.0, but would be written and hashed otherwise


def _check_text(value: str, name: str) -> None:
    """Refuse what no file can hold or be called."""
    if not value.isascii():
        whole = not any("\ud800" <= character <= "\udfff" for character in value)
        require(whole, name, value, "it has half of a character (a surrogate), which no file holds")
    require("\0" not in value, name, value, "it has a null character, leave that out")


def _check_whole(value: int, name: str) -> None:
    require(-(2**63) <= value < 2**63, name, value, "give a number that 64 bits can hold")


def _no_check(value: Any, name: str) -> None:
    pass


_CHECKS: Mapping[Any, Callable[[Any, str], None]] = {str: _check_text, int: _check_whole}


def _fits(value: Any, kind: Any) -> bool:
    """Whether the value looks like this member of a union."""
    if typing.get_origin(kind) is Literal:
        return isinstance(value, str)
    return isinstance(value, typing.get_origin(kind) or kind)


def _kind_name(kind: type) -> str:
    plain = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}
    return plain.get(kind, article(kind.__name__))


def within(value: int, name: str, least: int, most: int) -> None:
    """Refuse a number that is less than the least, or more than the most that makes sense."""
    require(value >= least, name, value, f"give {least} or more")
    require(value <= most, name, value, f"give {most} or fewer")


def share(value: float, remedy: str) -> str:
    """The remedy for a share that is out of bounds, which may have been meant as per cent."""
    return f"{remedy}: for {value:g} % give {value / 100:g}" if 1 < value <= 100 else remedy
