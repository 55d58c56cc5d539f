"""What is wrong about a word that was written: a field that is not there, a part that is none.

Constructors, axes, changes and flags are refused by the same sentence. It needs every class of
parts, so this file is imported where something is refused, and not before.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import reprlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grokjax.config import source
from grokjax.config.changes import Change
from grokjax.config.experiment import Experiment
from grokjax.config.fields import Config, field_types, leaves, parts
from grokjax.config.operation import Operation, formula_of
from grokjax.config.refine import Refine
from grokjax.config.synonyms import MOST_NAMES, Known, article, explain, same

NOUNS = {
    "": "the experiment",
    "task": "the task",
    "model": "the model",
    "optimizer": "the optimiser",
    "loss": "the loss",
    "mask": "the mask",
    "groups": "the parameter groups",
    "thresholds": "the thresholds",
    "snapshots": "the snapshots",
}
"""Field of an experiment that holds a part → what the part is called."""
PART_WORDS = {
    "addition plus": "add",
    "subtraction minus": "sub",
    "multiplication times": "mul",
    "division divide": "div",
    "ce xent nll": "cross_entropy",
    "l2 squared": "mse",
    "perceptron mlpmodel fcn feedforward": "mlp",
    "gpt decoder attention": "transformer",
}
"""Words for parts in other tools → a kind, or a choice of its first field."""
TELLING = ("learning_rate", "width", "steps")
"""Fields that say best what kind of part has them."""
WHOLE = "all of them are listed by `python -m grokjax.sweep FILE --help`"


def call(cls: type[Config], positional: Sequence[Any], named: Mapping[str, Any]) -> str | None:
    """What is wrong about the arguments of a constructor; None where they fit.

    Args:
      cls: the class that was called.
      positional: arguments without a name.
      named: arguments by name.
    """
    accepted = list(inspect.signature(cls).parameters.values())
    by_name = {p.name for p in accepted}
    if not any(p.kind is p.VAR_KEYWORD for p in accepted):
        for name in named:
            if name not in by_name:
                return _unknown_field(cls, name, named)
    places = [p.name for p in accepted if p.kind is p.POSITIONAL_OR_KEYWORD]
    if len(positional) > len(places):
        names = [p.name for p in accepted if p.kind is not p.VAR_KEYWORD]
        example = next((n for n in TELLING if n in names), (names or ["…"])[-1])
        if not places:
            return f"{cls.__name__}: fields are given by name, as in {cls.__name__}({example}=…)."
        listed = ", ".join(places)
        return f"{cls.__name__}: {len(positional)} values are given for {listed}, drop one."
    if twice := [name for name in places[: len(positional)] if name in named]:
        return f"{twice[0]}: it is given twice, by its place and by its name, drop one."
    needed = [p.name for p in accepted if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    missing = [name for name in needed if name not in {*named, *places[: len(positional)]}]
    if missing:
        example = ", ".join(f"{name}=…" for name in missing)
        return f"{cls.__name__}: {' and '.join(missing)} must be given, {cls.__name__}({example})."
    return None


def _unknown_field(cls: type[Config], name: str, named: Mapping[str, Any]) -> str:
    value = reprlib.repr(named[name])
    chosen = {_section(type(p)): type(p) for p in parts(Experiment()).values()}
    own = _section(cls)
    if cls is Experiment:
        given = {n: type(v) for n, v in named.items() if isinstance(v, Config)}
        chosen |= given

    def write(part: type[Config], field: str) -> str:
        section = _section(part)
        made = f"{part.__name__}({field}={value})"
        if cls is not Experiment or not section:
            return made
        return f"{section}=[{made}]" if _is_list(section) else f"{section}={made}"

    def contrast(section: str) -> str:
        if cls is Experiment:
            other = given.get(section)
            return f", and {_noun(section)} is {other.__name__}" if other else ""
        return f", and not of {cls.__name__}" if section == own else ""

    if own:
        chosen[own] = cls
    fields = [Known(field, _owner(cls)) for field in inspect.signature(cls).parameters]
    whole = WHOLE if cls is Experiment else ""
    return explain(name, fields, _elsewhere(chosen, contrast, write), whole=whole)


def axis(experiment: Config, name: str) -> str:
    """The sentence about a name that no field of the experiment has."""
    head, _, at = name.rpartition(".")[0].rpartition(".")
    if at.isdecimal() and name.rpartition(".")[0] not in parts(experiment):
        there = sum(path.startswith(f"{head}.") for path in parts(experiment))
        return f"{name}: there are {there} {head}, counted from 0, choose one of them."
    below = [path for path in leaves(experiment) if not path.startswith("changes.")]
    short = [path.rsplit(".", 1)[-1] for path in below]
    fields = [
        Known(last if short.count(last) == 1 else path, _place(experiment, path))
        for path, last in zip(below, short, strict=True)
    ]
    return explain(name, fields, _not_in(experiment), whole=WHOLE)


def flag(experiment: Config, name: str, fields: Iterable[str], options: Iterable[str]) -> str:
    """The sentence about a flag that the command line does not have.

    Args:
      experiment: of FILE.
      name: as it was written, `--lr`.
      fields: dotted paths of the fields that have flags.
      options: names of the options that are no fields.
    """
    path = name.removeprefix("--").replace("-", "_")
    if path in experiment.values():
        inside = next((as_flag(field) for field in fields if field.startswith(f"{path}.")), "")
        return (
            f"{name}: it is chosen in FILE{f', flags are for its fields: {inside}' * bool(inside)}."
        )
    known = [Known(as_flag(path), _place(experiment, path)) for path in fields]
    known += [Known(as_flag(option), "the command", "option") for option in options]
    return explain(name, known, _not_in(experiment), whole=WHOLE)


def as_flag(path: str) -> str:
    """`optimizer.weight_decay` → `--optimizer.weight-decay`."""
    return f"--{path.replace('_', '-')}"


def part(base: type[Config], value: Any, name: str) -> str:
    """The remedy where something else is given than one of a kind of parts.

    Args:
      base: class of the parts that fit, `Optimizer`.
      value: what was given.
      name: of the field that it was given for.
    """
    section = _section(base)

    def write(made: str) -> str:
        return f"write {name}=[{made}]" if _is_list(section) else f"write {name}={made}"

    if isinstance(value, type) and issubclass(value, base):
        return write(f"{value.__name__}()")
    there = [cls for cls in _classes() if issubclass(cls, base)]
    if isinstance(value, str):
        return _part_called(value, there, write)
    such = f"{article(base.__name__)} such as {there[0].__name__}()"
    return f"expected {such if base not in there else f'{base.__name__}()'}, not {_called(value)}"


def _part_called(value: str, there: list[type[Config]], write: Callable[[str], str]) -> str:
    """What to write for a string, which may be a part's kind, or a choice that one offers."""
    spoken = value.lower()
    word = next((ours for others, ours in PART_WORDS.items() if spoken in others.split()), value)
    for cls in there:
        if same(word, cls.kind) or same(word, cls.__name__):
            return write(f"{cls.__name__}()")
    for cls in there:
        for field, annotation in field_types(cls).items():
            is_list = typing.get_origin(annotation) is tuple
            choices = typing.get_args(annotation)
            if word in (typing.get_args(choices[0]) if is_list else choices):
                given = [word] if is_list else word
                return write(f"{cls.__name__}({field}={given!r})")
    if Operation in there and (formula := formula_of(value)):
        return f"it is a formula, {write(f'Operation({formula!r})')}"
    by_name: dict[str, type[Config]] = {}
    for cls in there:
        for name in filter(None, (cls.kind, cls.__name__)):
            by_name.setdefault(name.lower(), cls)
    if near := difflib.get_close_matches(spoken, by_name, 1):
        made = write(f"{by_name[near[0]].__name__}()")
        return f"nothing is called that, {made} if it is meant"
    few = ", ".join(f"{cls.__name__}()" for cls in there[:MOST_NAMES])
    return f"nothing is called that, write {few}" + " or another" * (len(there) > MOST_NAMES)


def _called(value: Any) -> str:
    return type(value).__name__ if not isinstance(value, type) else f"the class {value.__name__}"


def _not_in(experiment: Config) -> list[Known]:
    """Fields of parts that this experiment does not have."""
    chosen = {_section(type(p)): type(p) for p in parts(experiment).values()}

    def contrast(section: str) -> str:
        is_one = section in chosen and not _is_list(section)
        return f", and {_noun(section)} is {chosen[section].__name__}" if is_one else ""

    known = _elsewhere(chosen, contrast, lambda part, field: "")
    return [dataclasses.replace(one, absent=True) for one in known]


def _elsewhere(
    chosen: Mapping[str, type[Config]],
    contrast: Callable[[str], str],
    write: Callable[[type[Config], str], str],
) -> list[Known]:
    """Every field of every part: of those that are chosen if they have it, else of others.

    Args:
      chosen: section → the class of the part there.
      contrast: section → what is said where the part there has no such field.
      write: class and field → how it is written.
    """
    known = []
    for field, classes in _holders().items():
        having = [cls for cls in classes if cls is Experiment or chosen.get(_section(cls)) is cls]
        if having:
            known.append(Known(field, _owner(having[0]), example=write(having[0], field)))
            continue
        section = _section(classes[0])
        names = [cls.__name__ for cls in classes if _section(cls) == section][:3]
        owner = f"{' and '.join(names)}{contrast(section)}"
        known.append(Known(field, owner, example=write(classes[0], field)))
    return known


@functools.cache
def _classes() -> list[type[Config]]:
    """Every class of grokjax that an experiment may be made of; what it has by default is first."""
    below: list[Any] = list(Config.__subclasses__())
    for cls in below:
        below += cls.__subclasses__()
    usual = [Experiment, *map(type, parts(Experiment()).values())]
    whole = [cls for cls in dict.fromkeys([*usual, *below]) if source.is_ours(cls)]
    return [c for c in whole if c in usual or c is Refine or (c.kind and c is not Change)]


@functools.cache
def _holders() -> Mapping[str, list[type[Config]]]:
    """Field → the classes that have it, in the order of `_classes`."""
    holders: dict[str, list[type[Config]]] = {}
    for cls in _classes():
        for field in field_types(cls):
            holders.setdefault(field, []).append(cls)
    return holders


@functools.cache
def _section(cls: type) -> str:
    """The field of an experiment that holds such a part; none where it is the experiment."""
    for name, annotation in field_types(Experiment).items():
        for kind in (annotation, *typing.get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, Config) and issubclass(cls, kind):
                return name
    return ""


def _is_list(section: str) -> bool:
    return typing.get_origin(field_types(Experiment).get(section)) is tuple


def _noun(section: str) -> str:
    return NOUNS.get(section, section)


def _owner(cls: type[Config]) -> str:
    section = _section(cls)
    if section in NOUNS and (section or issubclass(cls, Experiment)):
        return NOUNS[section]
    return cls.__name__


def _place(experiment: Config, path: str) -> str:
    """Whose field stands at a path: the optimiser's, that of a modifier in the list."""
    head = path.rpartition(".")[0]
    return NOUNS.get(head) or type(parts(experiment)[head]).__name__ if head else NOUNS[""]
