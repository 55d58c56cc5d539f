"""A table as it stands in a file → one with a row a step of a run, under our names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import names
from grokjax.exchange.formats import Table, numbers
from grokjax.results.schema import METRICS

COMPANIONS = ("__MIN", "__MAX")
"""Endings of the columns that Weights & Biases puts beside those of a panel."""
VALUES = ("value", "values", "y", "metricvalue")
KEYS = ("metric", "variable", "tag", "key", "metricname")
"""Names of the two columns of a table with a row a number."""
_BETWEEN = re.compile(r"[\s/_.:|-]+")


@dataclasses.dataclass(frozen=True)
class Named:
    """A table under our names: a step or an epoch, metrics, and what else it has."""

    source: str
    frame: pd.DataFrame
    run: tuple[str, ...]
    """What the run is called that it holds, where no column `run` says it."""
    place: tuple[str, ...]
    """What its place says, for patterns of file names."""
    config: Mapping[str, object]
    known: Mapping[str, str]
    """Our name → the column that was taken for it."""


def named(table: Table, asked: Mapping[str, str]) -> Named:
    """The table under our names.

    Args:
      table: as read.
      asked: our name → the column there, of what shall not be guessed.

    Raises:
      ConfigError: several columns may be meant.
    """
    frame = scalars(table.frame.rename(columns=str))
    frame = frame[[name for name in _columns(frame) if not name.endswith(COMPANIONS)]]
    frame = _tidied(frame)
    whole = _whole(frame, asked)
    place = table.names
    if not whole:
        for widened in (_by_run_and_metric, _by_affix):
            if (wide := widened(frame, asked)) is not None:
                frame = wide
                break
        else:
            frame, place = _by_place(frame, place, asked)
    known = _recognised(frame, asked, table.source)
    renamed = frame.rename(columns={theirs: ours for ours, theirs in known.items()})
    return Named(table.source, renamed, place, table.names, table.config, known)


def scalars(frame: pd.DataFrame) -> pd.DataFrame:
    """The table without lists, arrays and dictionaries in its cells: histograms, images."""
    told = {}
    for name in (n for n in _columns(frame) if pd.api.types.is_object_dtype(frame[n])):
        kept = frame[name].map(lambda value: isinstance(value, Hashable))
        if not kept.all():
            told[name] = frame[name].where(kept.astype(bool), None)
    return frame.assign(**told)


def _columns(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame]


def _whole(frame: pd.DataFrame, asked: Mapping[str, str]) -> list[str]:
    """The columns that are a metric by their own names or because they are asked for."""
    told = [theirs for ours, theirs in asked.items() if ours in METRICS and theirs in frame]
    return told + [name for name in _columns(frame) if names.role(name) in METRICS]


def _tidied(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with a row a number, whose metrics are words in a column, with a column a metric."""
    keys = [name for name in _columns(frame) if names.plain(name) in KEYS]
    values = [name for name in _columns(frame) if names.plain(name) in VALUES]
    if len(keys) != 1 or len(values) != 1:
        return frame
    words = frame[keys[0]].dropna().astype(str)
    if not any(names.metric(word) for word in words.unique()):
        return frame
    rest = [
        name
        for name in _columns(frame)
        if name not in (*keys, *values) and names.role(name) != "ignored"
    ]
    rows = frame.groupby([*rest, keys[0]], dropna=False, sort=False)[values[0]].last()
    return rows.unstack().reset_index().rename_axis(columns=None).rename(columns=str)


def _by_run_and_metric(frame: pd.DataFrame, asked: Mapping[str, str]) -> pd.DataFrame | None:
    """What Weights & Biases exports of a panel: a column `run - metric` a run, and the x axis."""
    columns = {}
    for name in _columns(frame):
        run, mark, word = name.rpartition(" - ")
        if mark and names.role(word) != "counter":
            columns[name] = (run.removeprefix("Group: "), word)
    words = {word for _, word in columns.values()}
    if not any(word in asked.values() or names.metric(word) for word in words):
        return None
    return _long(frame, columns)


def _by_affix(frame: pd.DataFrame, asked: Mapping[str, str]) -> pd.DataFrame | None:
    """Columns such as `seed0_test_acc` or `train/loss/run 7`: a metric and the name of a run."""
    columns = {}
    for name in _columns(frame):
        pieces = list(_BETWEEN.finditer(name))
        halves = [(name[: m.start()], name[m.end() :]) for m in pieces]
        for run, word in [*halves, *((b, a) for a, b in reversed(halves))]:
            if run and (word in asked.values() or names.role(word) in METRICS):
                columns[name] = (run, word)
                break
    return _long(frame, columns) if columns else None


def _long(frame: pd.DataFrame, columns: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """The columns of each run below those of the run before, beside those that are no run's."""
    shared = [name for name in _columns(frame) if name not in columns and " - " not in name]
    pieces = []
    for run in dict.fromkeys(run for run, _ in columns.values()):
        own = {name: word for name, (other, word) in columns.items() if other == run}
        piece = frame[[*shared, *own]].rename(columns=own)
        piece = piece[piece[list(own.values())].notna().any(axis=1)]
        pieces.append(piece.assign(run=run))
    return pd.concat(pieces, ignore_index=True)


def _by_place(
    frame: pd.DataFrame, place: tuple[str, ...], asked: Mapping[str, str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A table whose file or folder says the split, or the whole metric, of what is in it."""
    free = [n for n in _columns(frame) if names.role(n) is None and n not in asked.values()]
    if place:
        metric, above = _of_place(place)
        if metric is not None and metric.name:
            values = [n for n in free if names.plain(n) in VALUES] or free
            bare = [n for n in free if names.metric(n) is not None]
            if len(values) == 1 or len(bare) == 1:
                return frame.rename(
                    columns={(values if len(values) == 1 else bare)[0]: metric.name}
                ), above
            columns = {name: (name, metric.name) for name in values}
            return (_long(frame, columns) if columns else frame), above
        if metric is not None and metric.split:
            told = {n: f"{metric.split} {n}" for n in free if _quantity(n)}
            if told:
                return frame.rename(columns=told), above
    return frame, place


def _of_place(place: tuple[str, ...]) -> tuple[names.Metric | None, tuple[str, ...]]:
    """The metric that the last name says, and the names without it."""
    last, above = place[-1], place[:-1]
    # What TensorBoard calls a downloaded scalar: run-NAME-tag-TAG.csv.
    if match := re.fullmatch(r"run-(.+?)-tag-(.+)", last):
        run, tag = match[1], names.metric(match[2])
        split = names.metric(re.split(r"[/_ -]", run)[-1])
        if tag is not None and tag.quantity and not tag.split and split is not None:
            tag = names.Metric(split.split, tag.quantity)
            run = re.sub(r"[/_ -]?[^/_ -]+$", "", run)
        return tag, (*above, *([run] if run not in ("", ".") else []))
    return names.metric(last), above


def _quantity(name: str) -> bool:
    found = names.metric(name)
    return found is not None and found.quantity is not None and found.split is None


def _recognised(frame: pd.DataFrame, asked: Mapping[str, str], source: str) -> dict[str, str]:
    """Our name → column, of all that are asked for or recognised."""
    known = {ours: theirs for ours, theirs in asked.items() if theirs in frame}
    taken = set(known.values())
    candidates: dict[str, list[str]] = {}
    halves: dict[names.Metric, list[str]] = {}
    for name in _columns(frame):
        if name in taken:
            continue
        role, metric = names.role(name), names.metric(name)
        if role is not None:
            candidates.setdefault(role, []).append(name)
        elif metric is not None:
            halves.setdefault(metric, []).append(name)
    for role, found in candidates.items():
        if role not in known and role != "ignored":
            known[role] = _only(frame, role, found, source)
    _add_halves(frame, known, halves, asked, source)
    return known


def _add_halves(
    frame: pd.DataFrame,
    known: dict[str, str],
    halves: Mapping[names.Metric, list[str]],
    asked: Mapping[str, str],
    source: str,
) -> None:
    """Names that say half of a metric: `train` beside `test`, `acc` beside `val_acc`."""
    for split in names.SPLITS:
        ours = f"{split}_accuracy"
        found = halves.get(names.Metric(split, None), [])
        if found and ours not in known and f"{split}_loss" not in asked:
            known[ours] = _only(frame, ours, found, source)
            _refuse_falling(frame, known, ours, source)
    for quantity in names.QUANTITIES:
        found = halves.get(names.Metric(None, quantity), [])
        if not found or f"train_{quantity}" in known:
            continue
        if quantity == "accuracy" and "test_accuracy" not in known:
            raise ConfigError(
                f"{source}: {found[0]} may be the accuracy on the training or on the test set, say "
                f"--columns test_accuracy={found[0]} or train_accuracy={found[0]} (in Python, "
                "columns={…})."
            )
        known[f"train_{quantity}"] = _only(frame, f"train_{quantity}", found, source)


def _refuse_falling(frame: pd.DataFrame, known: Mapping[str, str], ours: str, source: str) -> None:
    """Refuse a column `train` or `test` that falls along the run, as losses do."""
    at = next((known[axis] for axis in ("step", "epoch", "counter") if axis in known), None)
    steps = None if at is None else numbers(frame[at], counts=True)
    values = numbers(frame[known[ours]])
    if steps is None or values is None:
        return
    early, late = (values[steps == bound] for bound in (np.nanmin(steps), np.nanmax(steps)))
    if early.size and late.size and np.nanmean(late) < np.nanmean(early):
        theirs, split = known[ours], ours.removesuffix("_accuracy")
        raise ConfigError(
            f"{source}: {theirs} falls, as a loss does, say --columns {split}_loss={theirs} or "
            f"{ours}={theirs} (in Python, columns={{…}})."
        )


def _only(frame: pd.DataFrame, ours: str, found: Sequence[str], source: str) -> str:
    """The one column that is meant; those that hold the same count as one."""
    different = frame[list(found)].T.drop_duplicates().T if len(found) > 1 else frame[list(found)]
    if len(different.columns) > 1 and ours == "run":
        # Of a name and a number of the same runs, the one that tells more of them apart.
        return max(found, key=lambda name: frame[name].nunique())
    exact = [name for name in found if names.plain(name) == ours]
    if ours in ("step", "epoch") and len(exact) == 1:
        return exact[0]  # beside it `steps` is a budget
    if len(different.columns) > 1:
        names_ = " and ".join(found[:4])
        raise ConfigError(
            f"{source}: {names_} may be meant by {ours}, say which with --columns "
            f"{ours}={found[0]} (in Python, columns={{{ours!r}: {found[0]!r}}})."
        )
    return str(found[0])
