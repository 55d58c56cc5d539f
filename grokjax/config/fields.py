"""The base class of every configuration: typed fields, dotted paths, traced numbers.

A field is *static* (it changes array shapes or the compiled program) or *traced*
(a number inside the program, so runs that differ in it share one compilation).
`traced(default)` marks the second kind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import inspect
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from grokjax.config import source

__all__ = ["Config", "ConfigError", "traced"]


class ConfigError(ValueError):
    """A value that the user can correct; the message is one sentence."""


def traced(default: Any, *, at_start: bool = False) -> Any:
    """A dataclass field whose value is an input of the compiled program.

    Where the default is None, so is the part of the program that would use the number:
    whether there is one is static, what it is is not.

    Args:
      default: of the field.
      at_start: whether only the start of a run looks at it, so that no change can reach it.
    """
    return dataclasses.field(default=default, metadata={"traced": True, "at_start": at_start})


def host(default: Any = dataclasses.MISSING) -> Any:
    """A field that the compiled program does not depend on, such as where a file lies."""
    return dataclasses.field(default=default, metadata={"host": True})


def data() -> Any:
    """A field that holds bulky data, which another field names by its checksum."""
    return dataclasses.field(default=(), compare=False, repr=False, metadata={"data": True})


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
        kinds = [option for option in options if option is not type(None)]
        fitting = [option for option in kinds if _fits(value, option)]
        kind = (fitting or kinds)[0]
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


def _fits(value: Any, kind: Any) -> bool:
    """Whether the value looks like this member of a union."""
    if typing.get_origin(kind) is Literal:
        return isinstance(value, str)
    return isinstance(value, typing.get_origin(kind) or kind)


def _kind_name(kind: type) -> str:
    plain = {int: "a whole number", float: "a number", bool: "True or False", str: "a string"}
    return plain.get(kind, f"a {kind.__name__}")


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of the configuration dataclasses: values are typed and checked once, here."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not source.is_ours(cls) and "kind" not in vars(cls):
            cls.kind = source.qualified_name(cls)

    def __post_init__(self) -> None:
        cls: Any = type(self)
        check_class(cls)
        for name, kind in field_types(cls).items():
            object.__setattr__(self, name, coerce(getattr(self, name), kind, name))
        self.check()

    def check(self) -> None:
        """Raise `ConfigError` where values of the right type make no sense."""

    def values(self) -> dict[str, Any]:
        """Field name → value, bulky data left out."""
        fields = dataclasses.fields(self)
        return {f.name: getattr(self, f.name) for f in fields if not f.metadata.get("data")}

    def replaced(self, **changes: Any) -> typing.Self:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)

    def types(self) -> Mapping[str, Any]:
        """Field name → annotation of `values`."""
        cls: Any = type(self)
        return {name: field_types(cls)[name] for name in self.values()}

    def traced_values(self) -> dict[str, float]:
        """Names and values of the traced fields, those that are None left out."""
        names = [field.name for field in dataclasses.fields(self) if field.metadata.get("traced")]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


@contextlib.contextmanager
def blamed(word: Config) -> Iterator[None]:
    """Say in one sentence where a word from elsewhere has failed."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if source.is_ours(type(word)):
            raise
        raise ConfigError(f"{word.kind}: {source.blame(type(word), error)}.") from error


@functools.cache
def check_class(cls: type[Config]) -> None:
    """Refuse a class from elsewhere that cannot be told from others, or is no dataclass."""
    if source.is_ours(cls):
        return
    remedy = "write @dataclasses.dataclass(frozen=True, kw_only=True) above it"
    if "__dataclass_fields__" not in vars(cls) and inspect.get_annotations(cls):
        raise ConfigError(f"{cls.__name__}: its fields are not seen, {remedy}.")
    for part in source.parts_of(cls):
        if why := source.why_unnamed(part):
            raise ConfigError(f"{cls.__name__}: {why}.")


def leaves(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted path → value of every field below `config`, for a part its kind.

    Parts in a list are numbered: `modifiers` → their kinds, `modifiers.0.factor` → 2.0.
    """
    found: dict[str, Any] = {}
    for name, value in config.values().items():
        path = prefix + name
        if isinstance(value, Config):
            found |= {path: value.kind} if value.kind else {}
            found |= leaves(value, f"{path}.")
        elif is_parts(value):
            found[path] = "+".join(part.kind for part in value)
            for at, part in enumerate(value):
                found |= leaves(part, f"{path}.{at}.")
        else:
            found[path] = value
    return found


def leaf_types(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted path → annotation of every field of `leaves`, `str` for kinds."""
    found: dict[str, Any] = {}
    values = config.values()
    for name, annotation in config.types().items():
        path, value = prefix + name, values.get(name)
        members: dict[str, Config] = {}
        if isinstance(value, Config):
            members = {path: value}
        elif value is not None and is_parts(value):
            members = {f"{path}.{at}": part for at, part in enumerate(value)}
        if members:
            found[path] = str
            for inner, part in members.items():
                found |= leaf_types(part, f"{inner}.")
        else:
            found[path] = annotation
    return found


def parts(config: Config) -> dict[str, Config]:
    """Dotted path → every part directly below `config`, those in lists included."""
    found: dict[str, Config] = {}
    for name, value in config.values().items():
        if isinstance(value, Config):
            found[name] = value
        elif is_parts(value):
            found |= {f"{name}.{at}": part for at, part in enumerate(value)}
    return found


def is_parts(value: Any) -> bool:
    """Whether the value is a list of parts, and not an empty one."""
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], Config)


def resolve_path(config: Config, name: str) -> str:
    """The dotted path that `name` (dotted, or a unique last part) stands for."""
    paths = leaves(config)
    if name in paths or name in parts(config):
        return name
    # What changes later goes by its path: its own names are those of the fields that change.
    short = [path for path in paths if not path.startswith("changes.")]
    matches = [path for path in short if path.rsplit(".", 1)[-1] == name]
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
        changes[head] = _replaced_inside(part, inner, head)
    return config.replaced(**changes)


def _replaced_inside(part: Any, inner: Mapping[str, Any], head: str) -> Any:
    if not is_parts(part):
        require(isinstance(part, Config), head, part, f"{next(iter(inner))} is a field of a part")
        return replace_paths(part, inner)
    members, by_member = list(part), dict[int, dict[str, Any]]()
    for path, value in inner.items():
        at, _, rest = path.partition(".")
        known = at.isdecimal() and int(at) < len(members)
        require(known, f"{head}.{at}", value, f"there are {len(members)} {head}, counted from 0")
        if rest:
            by_member.setdefault(int(at), {})[rest] = value
        else:
            members[int(at)] = value
    for at_member, fields in by_member.items():
        members[at_member] = replace_paths(members[at_member], fields)
    return tuple(members)
