"""The base class of every configuration: typed fields, dotted paths, traced numbers.

A field is *static* (it changes array shapes or the compiled program) or *traced*
(a number inside the program, so runs that differ in it share one compilation).
`traced(default)` marks the second kind.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal


class ConfigError(ValueError):
    """A value that the user can correct; the message is one sentence."""


def traced(default: Any) -> Any:
    """A dataclass field whose value is an input of the compiled program."""
    return dataclasses.field(default=default, metadata={"traced": True})


def require(condition: bool, field: str, value: object, remedy: str) -> None:
    """Raise a one-sentence `ConfigError` that names field, value and remedy."""
    if not condition:
        raise ConfigError(f"{field}={value!r}: {remedy}.")


def suggestion(name: str, known: typing.Iterable[str]) -> str:
    """`did you mean 'width'?`, or the list of what there is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"


@functools.cache
def field_types(cls: Any) -> Mapping[str, Any]:
    """Field name → resolved annotation of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def coerce(value: Any, kind: Any, name: str) -> Any:
    """`value` as the annotation `kind` has it: 1 → 1.0 and NumPy scalars → Python's.

    Normalising matters beyond tidiness: equal configurations must hash to the
    same run id however they were written.
    """
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        options = typing.get_args(kind)
        if value is None and type(None) in options:
            return None
        (kind,) = [option for option in options if option is not type(None)]
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        require(
            isinstance(value, str) and value in choices,
            name,
            value,
            f"choose from {', '.join(map(repr, choices))}",
        )
        return value
    if typing.get_origin(kind) is tuple:
        require(isinstance(value, (tuple, list)), name, value, "give a tuple")
        (item, _) = typing.get_args(kind)
        return tuple(coerce(v, item, name) for v in value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        require(abs(value) < 2**1000, name, value, "give a number that a float can hold")
        value = float(value)
    matches = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    require(matches, name, value, f"expected {_kind_name(kind)}, not {type(value).__name__}")
    require(kind is not float or math.isfinite(value), name, value, "give a finite number")
    return value


def _kind_name(kind: type) -> str:
    plain = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}
    return plain.get(kind, f"a {kind.__name__}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of the configuration dataclasses: values are typed and checked once, here."""

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        cls: Any = type(self)
        for name, kind in field_types(cls).items():
            object.__setattr__(self, name, coerce(getattr(self, name), kind, name))
        self.check()

    def check(self) -> None:
        """Raise `ConfigError` where values of the right type make no sense."""

    def static(self) -> typing.Self:
        """This configuration with every traced field at its default."""
        reset = {
            field.name: field.default
            for field in dataclasses.fields(self)
            if field.metadata.get("traced")
        }
        return dataclasses.replace(self, **reset)

    def numbers(self) -> dict[str, float]:
        """The traced fields and their values."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata.get("traced")
        }


def leaves(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted path → value of every plain field below `config`."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Config):
            found |= leaves(value, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = value
    return found


def resolve_path(config: Config, name: str) -> str:
    """The dotted path that `name` (dotted, or a unique last part) stands for."""
    paths = leaves(config)
    parts = {f.name for f in dataclasses.fields(config) if f.name not in paths}
    if name in paths or name in parts:
        return name
    matches = [path for path in paths if path.rsplit(".", 1)[-1] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"{name}: the name is not unique, write one of {', '.join(matches)}.")
    known = {path.rsplit(".", 1)[-1] for path in paths} | set(paths)
    raise ConfigError(
        f"{name}: no field of the experiment has this name, {suggestion(name, known)}"
    )


def replace_paths(config: Any, values: Mapping[str, Any]) -> Any:
    """`config` with the fields at these dotted paths replaced, and checked once."""
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        head, _, rest = path.partition(".")
        if rest:
            nested.setdefault(head, {})[rest] = value
        else:
            changes[head] = value
    for head, inner in nested.items():
        part = changes.get(head, getattr(config, head))
        require(isinstance(part, Config), head, part, f"{next(iter(inner))} is a field of a part")
        changes[head] = replace_paths(part, inner)
    return dataclasses.replace(config, **changes)
