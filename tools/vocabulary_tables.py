"""`python tools/vocabulary_tables.py docs/vocabulary.md`: the vocabulary as the tables of its page.

Without a file it prints them.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from pathlib import Path
from typing import Any

from grokjax import config
from grokjax.config import (
    Config,
    Experiment,
    Instrument,
    Loss,
    Modifier,
    Network,
    Optimizer,
    Task,
    source,
)
from grokjax.config.changes import Change
from grokjax.config.donors import StartFrom
from grokjax.config.fields import field_types
from grokjax.config.masks import Mask
from grokjax.config.snapshots import SnapshotSchedule
from grokjax.config.splits import Split

FAMILIES: dict[str, tuple[type[Config], ...]] = {
    "Tasks": (Task,),
    "Splits": (Split,),
    "Models": (Network,),
    "Optimisers": (Optimizer,),
    "Modifiers": (Modifier,),
    "Losses": (Loss,),
    "Instruments": (Instrument,),
    "Interventions": (Change, config.ParameterGroups, Mask, StartFrom, SnapshotSchedule),
}
"""Heading → what its entries are, or are kinds of."""
BEGIN, END = "<!-- vocabulary -->", "<!-- end of vocabulary -->"


def entries(base: type[Config]) -> list[type[Config]]:
    """The public classes that are kinds of a part, in the order of their modules."""
    public = base.kind and base.__name__ in config.__all__ and source.is_ours(base)
    kinds = [base] if public else []
    for cls in base.__subclasses__():
        kinds += entries(cls)
    return kinds


def tables() -> str:
    """Markdown: a table for every family, and one for the experiment's own fields."""
    parts = []
    for heading, bases in FAMILIES.items():
        rows = [_row(cls, base) for base in bases for cls in entries(base)]
        common = [_row(base, Config) for base in bases if not base.kind and _fields(base)]
        table = _table(heading, [("all of them", *row[1:]) for row in common] + rows)
        parts.append(f"## {heading}\n\n{table}")
    own = [_field(name) for name in ("train_fraction", "split", "label_noise")]
    own += [_field(name) for name in ("label_noise_kind", "batch_size", "batches")]
    own += [_field(name) for name in ("seed", "split_seed", "dtype", "loss_dtype")]
    parts.append(
        "## Fields of the experiment itself\n\n" + ", ".join(own) + ".\n\nSettings in bold are "
        "numbers of the compiled program: runs that differ in them alone share a compilation."
    )
    return "\n\n".join(parts) + "\n"


def _table(heading: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"| {heading} | what it is | settings |", "|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _row(cls: type[Config], base: type[Config]) -> tuple[str, str, str]:
    """Name, what it is, and the settings that not all kinds of the base have."""
    known = [] if cls is base else [field.name for field in _fields(base)]
    summary = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    own = [f for f in _fields(cls) if f.name not in known and not f.metadata.get("data")]
    shown = [_setting(cls, f) for f in own]
    return f"`{cls.__name__}`", summary.replace("|", r"\|").removesuffix("."), ", ".join(shown)


def _fields(cls: Any) -> tuple[dataclasses.Field, ...]:
    return dataclasses.fields(cls)


def _field(name: str) -> str:
    (field,) = [f for f in dataclasses.fields(Experiment) if f.name == name]
    return _setting(Experiment, field)


def _setting(cls: Any, field: Any) -> str:
    """A field's name, bold if it is traced, with its choices if it has some."""
    annotation = field_types(cls)[field.name]
    name = f"**{field.name}**" if field.metadata.get("traced") else field.name
    options = [
        choice
        for part in (annotation, *typing.get_args(annotation))
        if typing.get_origin(part) is typing.Literal
        for choice in typing.get_args(part)
    ]
    return f"{name} ({' / '.join(options)})" if options else name


def written(text: str) -> str:
    """A page with the tables between their marks."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if page is None:
        print(tables())
    else:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")
