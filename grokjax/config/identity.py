"""What a run is called: a hash of what its experiment says beyond the defaults.

A field at its default is no part of an identity, so a field with a default can be added to any
class without renaming a run. `docs/identity.md` says what else may change and what may not.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any

from grokjax.config import source
from grokjax.config.fields import Config, every_part, is_config, is_parts, leaves

if TYPE_CHECKING:
    from grokjax.config.experiment import Experiment

OF_THE_SWEEP = (
    "thresholds",
    "sweep",
    "refine",
    "instruments",
    "table_points_per_decade",
    "keep_final",
)
"""Fields of an experiment that are no part of a run."""


SECTIONS = ("task", "model", "optimizer", "loss")
"""Parts whose fields have columns under their own names."""
FORMER_IDS = 3
"""The last schema version whose run ids were hashes of all fields."""


_PLAINLY = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def digest(value: Mapping[str, Any]) -> str:
    """A short stable name for a mapping of plain values."""
    return hashlib.sha256(_PLAINLY.encode(value).encode()).hexdigest()[:16]


def identity(config: Config, without: Collection[str] = ()) -> dict[str, Any]:
    """Dotted path → value of every field that is not at its default, parts and lists included.

    A part has its kind under its own path, and where it is a user's own word the checksum of its
    source under `PATH_source`. The four that every run has do so at their default too; any other
    part at its default says nothing, so that a new field may hold a part.

    Args:
      config: an experiment or a part.
      without: fields of it that are left out.
    """
    cls: Any = type(config)
    derived, has = config.derived(), vars(config)
    told: dict[str, Any] = {}
    for name, default in _telling(cls):
        value = has[name]
        if value is default or value == default or name in without:
            continue
        if is_config(value):
            told.update(_of_part(name, value))
        elif is_parts(value):
            told[name] = [part.kind for part in value]
            for at, part in enumerate(value):
                told.update(_of_part(f"{name}.{at}", part))
        elif value != derived.get(name, MISSING):
            told[name] = list(value) if isinstance(value, tuple) else value
    return told


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most parts in common
def _of_part(path: str, part: Config) -> Mapping[str, Any]:
    told = {path: part.kind, **{f"{path}.{name}": v for name, v in identity(part).items()}}
    checksum = source.checksum(type(part))
    return told if checksum is None else {**told, f"{path}_source": checksum}


def plain(value: Any) -> Any:
    """A value as tables have it: lists in one string."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def checksums(config: Config) -> dict[str, str]:
    """`PATH_source` → checksum of the source of every part that is a user's own word."""
    told = {path: source.checksum(type(part)) for path, part in every_part(config).items()}
    return {f"{path}_source": checksum for path, checksum in told.items() if checksum is not None}


@functools.cache
def _telling(cls: Any) -> tuple[tuple[str, Any], ...]:
    """Fields that an identity may have, each with the value at which it has not."""
    silent = {"data", "location"}
    fields = [f for f in dataclasses.fields(cls) if not any(map(f.metadata.get, silent))]
    return tuple((f.name, MISSING if f.name in SECTIONS else f.default) for f in fields)


@functools.cache
def defaults(cls: Any) -> Mapping[str, Any]:
    """Field → default of a class of configurations; fields without one are left out."""
    fields = dataclasses.fields(cls)
    return {f.name: f.default for f in fields if f.default is not MISSING}


def sources(values: Iterable[Any]) -> dict[str, str]:
    """Kind → source of every user's own word among some values of fields, and their parts."""
    few = [v for v in values if isinstance(v, Config) or is_parts(v)]
    flat = [part for v in few for part in (v if is_parts(v) else (v,))]
    words: set[Any] = {type(p) for one in flat for p in (one, *every_part(one).values())}
    own = [word for word in words if source.checksum(word) is not None]
    return {word.kind: source.whole_text(word) for word in sorted(own, key=lambda word: word.kind)}


def unknown_paths(run: Config, base: Collection[str]) -> set[str]:
    """Paths of the fields of a run that a base of an older grokjax does not have."""
    unknown = leaves(run).keys() - set(base)
    return {path for path in unknown if path.split(".")[0] not in OF_THE_SWEEP}


def former_run_id(run: Experiment, unknown: Collection[str]) -> str:
    """What a run was called up to schema version 3: a hash of all its columns, defaults included.

    Args:
      run: resolved.
      unknown: dotted paths of fields that came later, and are at their defaults.
    """
    told = {path: plain(value) for path, value in leaves(run).items() if path not in unknown}
    return digest({column(p): v for p, v in told.items() if p.split(".")[0] not in OF_THE_SWEEP})


def column(path: str) -> str:
    """The column of the `runs` table that a field has: dotted only in experiments.

    `optimizer.b2` → `b2`, `modifiers.0.factor` → `modifiers_0_factor`.
    """
    head, _, rest = path.partition(".")
    return (rest if rest and head in SECTIONS else path).replace(".", "_")
