"""The base class of every configuration: typed fields, dotted paths, traced numbers.

A field is *static* (it changes array shapes or the compiled program) or *traced*
(a number inside the program, so runs that differ in it share one compilation).
`traced(default)` marks the second kind.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from grokjax.config import source
from grokjax.config.coercion import ConfigError, coercer
from grokjax.config.coercion import require as require  # files of users have it from here

__all__ = ["Config", "ConfigError", "traced"]

_Made = typing.TypeVar("_Made")


def traced(default: Any, *, at_start: bool = False) -> Any:
    """A dataclass field whose value is an input of the compiled program.

    Runs that differ only in such numbers share a compilation. A field may be None, which leaves
    out the part of the program that would use the number: whether there is a number is static,
    which number it is is traced.

    Args:
      default: default value of the field.
      at_start: whether the number is used only when a run starts, so that no `Change` can set it.
    """
    return dataclasses.field(default=default, metadata={"traced": True, "at_start": at_start})


def host(default: Any = dataclasses.MISSING) -> Any:
    """A field that the compiled program does not depend on, such as where a file lies."""
    return dataclasses.field(default=default, metadata={"host": True})


def location() -> Any:
    """A field that says where data lie which another field names by their checksum."""
    return dataclasses.field(metadata={"location": True})


def data() -> Any:
    """A field that holds bulky data, which another field names by its checksum."""
    return dataclasses.field(default=(), compare=False, repr=False, metadata={"data": True})


@functools.cache
def field_types(cls: Any) -> Mapping[str, Any]:
    """Field name → resolved annotation of a dataclass."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


class Checked(abc.ABCMeta):
    """The class of configuration classes: wrong arguments are refused in a sentence.

    It is one of abstract classes too, so that a user's own part may also be one.
    """

    # A type checker goes by `__init__` where what comes out is an instance.
    def __call__(cls: type[_Made], *positional: Any, **named: Any) -> _Made:
        try:
            return super().__call__(*positional, **named)  # type: ignore[misc]
        except TypeError:
            from grokjax.config import wrong_words

            sentence = wrong_words.call(cls, positional, named)  # type: ignore[arg-type]
            if sentence is None:  # it came from within
                raise
        raise ConfigError(sentence)

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of `__init__`, for help and editors, who would show that of `__call__`."""
        whole = inspect.signature(cls.__init__)  # type: ignore[misc]
        return whole.replace(parameters=list(whole.parameters.values())[1:])


@dataclasses.dataclass(frozen=True)
class Config(metaclass=Checked):
    """Base of the configuration dataclasses: values are typed and checked once, here."""

    kind: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not source.is_ours(cls) and "kind" not in vars(cls):
            cls.kind = source.qualified_name(cls)
        if "__repr__" not in vars(cls):
            # Or `dataclass` would write one with every field.
            setattr(cls, "__repr__", cls.__repr__)  # noqa: B010

    @classmethod
    def remedy_for(cls, value: Any, name: str) -> str:
        """What to write where `value` was given as a field `name` that holds one of these."""
        from grokjax.config import wrong_words

        return wrong_words.part(cls, value, name)

    def __post_init__(self) -> None:
        cls: Any = type(self)
        check_class(cls)
        given = vars(self)
        for name, as_annotated in _coercers(cls):
            given[name] = as_annotated(given[name], name)
        self.check()

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.beyond_defaults().items())
        return f"{type(self).__name__}({told})"

    def beyond_defaults(self) -> dict[str, Any]:
        """Field name → value of what is not at its default, as one would write it."""
        fields = {field.name: field for field in dataclasses.fields(self) if field.repr}
        told = {name: value for name, value in self.values().items() if name in fields}
        return {name: value for name, value in told.items() if value != fields[name].default}

    def check(self) -> None:
        """Raise `ConfigError` where values of the right type make no sense."""

    def values(self) -> dict[str, Any]:
        """Field name → value, bulky data left out."""
        cls: Any = type(self)
        has = vars(self)
        return {name: has[name] for name in _plain_fields(cls)}

    def derived(self) -> dict[str, Any]:
        """What other fields make of fields that are None; these have that value when left out."""
        return {}

    def resolved(self) -> typing.Self:
        """The same with every derived value written out, those of its parts too."""
        cls: Any = type(self)
        has = vars(self)
        derived = self.derived().items()
        changes = {name: value for name, value in derived if getattr(self, name) is None}
        for name in _part_fields(cls):
            value = has[name]
            if is_config(value) and type(value).derived is not Config.derived:
                changes[name] = _resolved_part(value)
        return self._with(changes)

    def _with(self, values: Mapping[str, Any]) -> typing.Self:
        """A copy with values that need no check."""
        cls: Any = type(self)
        new, has = object.__new__(cls), vars(self)
        vars(new).update([(name, has[name]) for name in field_types(cls)], **values)
        return new

    def replaced(self, **changes: Any) -> typing.Self:
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)

    def varied(self, fields: Mapping[str, Any]) -> typing.Self:
        """As `replaced`, for thousands of cells: fields that stay are as they were coerced."""
        cls: Any = type(self)
        known, plainly = field_types(cls), cls.__post_init__ is Config.__post_init__
        if not plainly or not fields.keys() <= known.keys():
            return self.replaced(**fields)
        varied = self._with({n: coercer(known[n])(v, n) for n, v in fields.items()})
        varied.check()
        return varied

    def types(self) -> Mapping[str, Any]:
        """Field name → annotation of `values`."""
        cls: Any = type(self)
        return {name: field_types(cls)[name] for name in _plain_fields(cls)}

    def traced_values(self) -> dict[str, float]:
        """Names and values of the traced fields, those that are None left out."""
        cls: Any = type(self)
        values = {name: getattr(self, name) for name in _traced_fields(cls)}
        return {name: value for name, value in values.items() if value is not None}


def is_config(value: Any) -> typing.TypeGuard[Config]:
    """The same as `isinstance(value, Config)`, which takes abstract classes ten times as long."""
    return isinstance(type(value), Checked)


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most parts in common
def _resolved_part(part: Config) -> Config:
    return part.resolved()


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
def _coercers(cls: Any) -> tuple[tuple[str, Callable[[Any, str], Any]], ...]:
    """Every field of a class with what makes values as its annotation has them."""
    return tuple((name, coercer(kind)) for name, kind in field_types(cls).items())


@functools.cache
def _traced_fields(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(cls) if f.metadata.get("traced"))


@functools.cache
def _plain_fields(cls: Any) -> tuple[str, ...]:
    """Names of the fields of a class that hold no bulky data."""
    return tuple(f.name for f in dataclasses.fields(cls) if not f.metadata.get("data"))


@functools.cache
def _part_fields(cls: Any) -> tuple[str, ...]:
    """Names of the fields of a class that may hold a part or a list of parts."""
    types_ = field_types(cls)
    return tuple(name for name in _plain_fields(cls) if not _is_plain(types_[name]))


def _is_plain(annotation: Any) -> bool:
    """Whether an annotation is of numbers, flags and words alone."""
    if typing.get_origin(annotation) is typing.Literal:
        return True
    members = typing.get_args(annotation)
    plain = (int, float, str, bool, type(None), Ellipsis)
    return all(map(_is_plain, members)) if members else annotation in plain


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
    below: dict[str, Any] = {}
    for name, value in config.values().items():
        below.update(leaves_at(prefix + name, value))
    return below


def leaves_at(path: str, value: Any) -> dict[str, Any]:
    """Dotted path → value of what a field at `path` holds."""
    if is_config(value):
        return {**({path: value.kind} if value.kind else {}), **leaves(value, f"{path}.")}
    if not is_parts(value):
        return {path: value}
    below: dict[str, Any] = {path: "+".join(part.kind for part in value)}
    for at, part in enumerate(value):
        below.update(leaves(part, f"{path}.{at}."))
    return below


def leaf_types(config: Config, prefix: str = "") -> dict[str, Any]:
    """Dotted path → annotation of every field of `leaves`, `str` for kinds."""
    found: dict[str, Any] = {}
    values = config.values()
    for name, annotation in config.types().items():
        path, value = prefix + name, values.get(name)
        members: dict[str, Config] = {}
        if is_config(value):
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
    cls: Any = type(config)
    has = vars(config)
    for name in _part_fields(cls):
        value = has[name]
        if is_config(value):
            found[name] = value
        elif is_parts(value):
            found |= {f"{name}.{at}": part for at, part in enumerate(value)}
    return found


def every_part(config: Config) -> dict[str, Config]:
    """Dotted path → every part below `config`, parts of parts included."""
    found = parts(config)
    for path, part in list(found.items()):
        found |= {f"{path}.{inner}": below for inner, below in every_part(part).items()}
    return found


def is_parts(value: Any) -> bool:
    """Whether the value is a list of parts, and not an empty one."""
    return isinstance(value, tuple) and bool(value) and is_config(value[0])


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
    from grokjax.config import wrong_words

    raise ConfigError(wrong_words.axis(config, name))
