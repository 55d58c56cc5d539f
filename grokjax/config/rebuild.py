"""A run's experiment from what its results say of it, without running anybody's code."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from grokjax.config import source
from grokjax.config.changes import Change
from grokjax.config.coercion import ConfigError
from grokjax.config.experiment import Experiment
from grokjax.config.fields import Config, field_types
from grokjax.config.identity import OF_THE_SWEEP, column

_NOTHING = object()


def rebuild(base: Mapping[str, Any], row: Mapping[str, Any]) -> Experiment:
    """The experiment of a run, its sweep left out.

    Args:
      base: dotted path → value of the base configuration, as a manifest has them.
      row: column → value of the run, None where it has none.

    Raises:
      ConfigError: results do not hold all that it takes: rows of a `Table`, or a word that this
        process does not define.
    """
    told = _Told(base, row)
    # Changes at moments happen where the thresholds say.
    left_out = {*OF_THE_SWEEP} - {"thresholds"}
    names = [name for name in field_types(Experiment) if name not in left_out]
    defaults = Experiment()
    given = {name: told.field(name, getattr(defaults, name)) for name in names}
    return Experiment(**{name: value for name, value in given.items() if value is not _NOTHING})


class _Told:
    """What results say of a run."""

    def __init__(self, base: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        self._base, self._row = base, row

    def field(self, name: str, default: Any) -> Any:
        """The value of a field of the experiment; `_NOTHING` where nothing is told of it."""
        annotation = field_types(Experiment)[name]
        bases = [part for part in _members(annotation) if _is_config(part)]
        if not bases:
            return self._plain(name, annotation)
        value = self._value(name)
        if typing.get_origin(annotation) is tuple:
            return self._list(name, bases[0])
        if value is None:
            return None
        # Folders of the first versions do not name the kinds that they knew one of only.
        kind = default.kind if value is _NOTHING and _is_config(type(default)) else value
        if kind in _choices(annotation):
            return kind
        return _NOTHING if kind is _NOTHING else self._part(name, kind, bases[0])

    def _part(self, path: str, kind: str, base: type[Config]) -> Config:
        cls: Any = _class_of(kind, base, path)
        if cls is Change:
            return self._change(path)
        plain = [f for f in dataclasses.fields(cls) if not f.metadata.get("data")]
        types_ = field_types(cls)
        given = {f.name: self._inside(f"{path}.{f.name}", types_[f.name]) for f in plain}
        if len(plain) < len(dataclasses.fields(cls)):
            raise ConfigError(
                f"{path}={kind!r}: its rows are not in the results, give experiment=, as it was "
                "trained."
            )
        return cls(**{name: value for name, value in given.items() if value is not _NOTHING})

    def _list(self, path: str, base: type[Config]) -> tuple[Config, ...]:
        """The parts in a list."""
        value = self._value(path)
        kinds = value.split("+") if isinstance(value, str) and value else []
        return tuple(self._part(f"{path}.{at}", kind, base) for at, kind in enumerate(kinds))

    def _inside(self, path: str, annotation: Any) -> Any:
        """A field of a part: plain, or a list of further parts."""
        bases = [member for member in _members(annotation) if _is_config(member)]
        return self._list(path, bases[0]) if bases else self._plain(path, annotation)

    def _change(self, path: str) -> Change:
        start = f"{path}."
        new = {p.removeprefix(start): self._value(p) for p in self._base if p.startswith(start)}
        step, delay = (
            None if value is None else _converted(value, int, f"{path}.{name}")
            for name, value in (("step", new.pop("step", None)), ("delay", new.pop("delay", 0)))
        )
        return Change(step, at=new.pop("at", None), delay=delay or 0, **new)

    def _plain(self, path: str, annotation: Any) -> Any:
        """A number, word or list, as its annotation has it."""
        value, members = self._value(path), _members(annotation)
        if value is _NOTHING or (value is None and type(None) not in members):
            return _NOTHING
        lists = [one for one in (annotation, *members) if typing.get_origin(one) is tuple]
        if not lists or not isinstance(value, (str, list)):
            return value
        item = typing.get_args(lists[0])[0]
        kind = item if item in (int, float) else str
        items = value.split() if isinstance(value, str) else value
        return tuple(_converted(one, kind, path) for one in items)

    def _value(self, path: str) -> Any:
        name = column(path)
        return self._row[name] if name in self._row else self._base.get(path, _NOTHING)


def _converted(value: Any, kind: Callable[[Any], Any], path: str) -> Any:
    """A value that stands as text in a table."""
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{path}={value!r}: no such value, restore the results.") from None


def _members(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, what a list is of, or the annotation itself."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        return typing.get_args(annotation)[:1]
    return (annotation,)


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The words that a field may hold instead of a part."""
    plain = [part for part in _members(annotation) if typing.get_origin(part) is typing.Literal]
    return tuple(word for part in plain for word in typing.get_args(part))


def _is_config(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def _class_of(kind: str, base: type[Config], path: str) -> type[Config]:
    """The class of a kind among a base class and all below it; of a user's own, the newest."""
    below = [base]
    for cls in below:
        below += cls.__subclasses__()
    found = [cls for cls in below if cls.kind == kind]
    if not found:
        raise ConfigError(
            f"{path}={kind!r}: no word of this name is defined here; import the file that defines "
            "it, or give experiment=, as it was trained."
        )
    ours = [cls for cls in found if source.is_ours(cls)]
    return (ours[:1] or found)[-1]
