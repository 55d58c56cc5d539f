"""Tables under our names → the curve of each run, what is known of it, and what tells it apart."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokjax.config import ConfigError
from grokjax.config.synonyms import translated
from grokjax.exchange import names
from grokjax.exchange.columns import Named, scalars
from grokjax.exchange.formats import Table, numbers
from grokjax.results.schema import METRICS

AXIS = ("step", "epoch", "counter")
"""Columns that say where a row lies, the better ones first."""
_EQUALS = re.compile(
    r"(?:^|[,;&/_ -])(?P<name>[A-Za-z][A-Za-z_.]*?)=(?P<value>[^=,;&/ ]+?)"
    r"(?=$|[,;&/ ]|[_-][A-Za-z][A-Za-z_.]*=)"
)
RUNS_SHARE = 0.5
"""Share of rows with a step that occurred before, from which on several runs must be in a table."""


@dataclasses.dataclass
class OtherRun:
    """A run of another program."""

    name: str
    curve: pd.DataFrame
    """Numbers by our names, and by their own where we have none; a step, an epoch or a counter."""
    config: dict[str, Any]
    """Hyperparameters by our names, and what else the tables say of the whole run."""
    source: str
    place: tuple[str, ...] = ()
    """Where its table stands: folders and the file."""


def split(table: Named) -> list[OtherRun]:
    """The runs in a table.

    Raises:
      ConfigError: several runs are in it and nothing tells them apart.
    """
    frame = table.frame
    if frame.empty:  # of an event file that has the settings only
        told = settings(table.config)
        return [OtherRun("/".join(table.run), frame, told, table.source, table.place)]
    axis = next((name for name in AXIS if name in frame), None)
    columns = {str(name): numbers(frame[name], counts=name in AXIS) for name in frame}
    curve = {n: v for n, v in columns.items() if n in (*AXIS, *METRICS) and v is not None}
    _refuse_words(table, columns)
    ignored = {n for n in columns if names.role(n) == "ignored"}
    rest = [n for n in columns if n not in curve and n not in ignored and n != "run"]
    for text in rest:
        if not pd.api.types.is_numeric_dtype(frame[text]) and (frame[text] == "").any():
            frame = frame.assign(**{text: frame[text].map(lambda value: value or None)})
    rest = [n for n in rest if frame[n].notna().any()]
    if "run" in frame:
        group = frame["run"].astype(str).where(frame["run"].notna(), "")
    else:
        group = _told_apart(table, rest, columns, axis)
    found = []
    for name, at in frame.groupby(group.to_numpy(), sort=False).indices.items():
        rows = np.asarray(at)
        config, measured = _of_run(frame.iloc[rows], rest, columns, rows)
        values = {n: v[rows] for n, v in curve.items()}
        words = [*table.run, *([str(name)] if name != "" else [])]
        if "run" in frame:
            words = words[-1:]
        called = "/".join(words)
        told = {**settings(table.config), **_from_words((*table.place, str(name))), **config}
        curve_ = pd.DataFrame({**values, **measured})
        found.append(OtherRun(called, curve_, told, table.source, table.place))
    return found


def _refuse_words(table: Named, columns: Mapping[str, np.ndarray | None]) -> None:
    for name, values in columns.items():
        if values is None and name in (*AXIS, *METRICS):
            words = table.frame[name].dropna().astype(str)
            wrong = next(word for word in words if numbers(pd.Series([word], dtype=object)) is None)
            theirs = table.known.get(name, name)
            raise ConfigError(
                f"{table.source}: {theirs} is taken for {name}, but {wrong!r} in it is no number, "
                f"mend it or name another column with --columns {name}=…."
            )


def _of_run(
    frame: pd.DataFrame,
    rest: Sequence[str],
    columns: Mapping[str, np.ndarray | None],
    rows: np.ndarray,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Columns with one value, which are settings, and those that vary, which were measured."""
    config: dict[str, Any] = {}
    measured: dict[str, np.ndarray] = {}
    for name in rest:
        there = frame[name].dropna()
        values = columns[name]
        ours = translated(name) is not None or names.role(name) is not None
        often = ours or values is None or len(there) >= len(frame) / 2
        if there.nunique() == 1 and often:
            config[_setting(name)] = plain(there.iloc[0])
        elif values is not None and len(there):
            measured[name] = values[rows]
    return config, measured


def _told_apart(
    table: Named,
    rest: Sequence[str],
    columns: Mapping[str, np.ndarray | None],
    axis: str | None,
) -> pd.Series:
    """A label of each row that says which run it is of, by the columns that are settings."""
    frame = table.frame
    candidates = [n for n in rest if translated(n) or columns[n] is None]
    candidates += [n for n in rest if n not in candidates and _is_setting(frame[n])]
    candidates = [n for n in candidates if frame[n].notna().all() and frame[n].nunique() > 1]
    one = pd.Series("", index=frame.index)
    logged = next((n for n in ("test_accuracy", *METRICS) if n in frame), axis)
    # Rows of other metrics may stand at the same steps.
    rows = frame[frame[logged].notna()] if logged is not None else frame
    if axis is None or not rows[axis].duplicated().any():
        return one

    def repeated(keys: Iterable[str]) -> int:
        return int(rows.duplicated([axis, *keys]).sum())

    least = repeated(candidates)
    chosen = list(candidates)
    # What varies within a run, a scheduled rate say, is not needed to tell runs apart.
    for name in reversed(candidates):
        without = [other for other in chosen if other != name]
        if repeated(without) == least:
            chosen = without
    if least >= RUNS_SHARE * len(rows):
        raise ConfigError(
            f"{table.source}: the same {table.known.get(axis, axis)} occurs in many rows, so "
            "several runs seem to be in it, say with --columns run=NAME what tells them apart."
        )
    if not chosen:
        return one
    texts = [n + "=" + frame[n].map(_text) for n in chosen]
    label = texts[0]
    for text in texts[1:]:
        label = label.str.cat(text, sep=",")
    return label


def _is_setting(column: pd.Series) -> bool:
    """Whether a column of numbers has few values, as a setting has and a measurement has not."""
    return bool(column.nunique() <= max(2, len(column) ** 0.5))


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _from_words(words: Sequence[str]) -> dict[str, Any]:
    """Settings that names say themselves: `lr=0.1,wd=1` or `wd=1_seed=3`."""
    found = {}
    for word in words:
        for match in _EQUALS.finditer(word):
            found[_setting(match["name"].lstrip("_"))] = plain(match["value"])
    return found


def settings(config: Mapping[str, object]) -> dict[str, Any]:
    """Settings of a file by our names."""
    return {_setting(str(name)): plain(value) for name, value in config.items()}


def _setting(name: str) -> str:
    role = names.role(name)
    if name == "run_id":
        return name
    return role if role in ("updates_per_epoch", "classes", "run") else names.hyperparameter(name)


def plain(value: Any) -> Any:
    """A setting as Python has it: `1e-3` and `"0.001"` are the same number."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        try:
            value = float(text.replace("p", ".")) if re.fullmatch(r"\d+p\d+", text) else float(text)
        except ValueError:
            return text
        if not math.isfinite(value):
            return text
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def by_pattern(pattern: str, place: Sequence[str], name: str) -> dict[str, Any]:
    """What a pattern such as `wd{weight_decay}_s{seed}.csv` reads off the name of a file or run.

    Raises:
      ConfigError: the pattern has no fields, or the name is not of its kind.
    """
    pieces = re.split(
        r"\{([^{}]*)\}", re.sub(r"\.(csv|tsv|json|jsonl|log|txt|parquet)$", "", pattern)
    )
    fields = pieces[1::2]
    if not fields or not all(field.isidentifier() for field in fields):
        raise ConfigError(
            f"pattern={pattern!r}: name what it reads in braces, as in "
            "wd{weight_decay}_f{train_fraction}_s{seed}.csv."
        )
    if len(set(fields)) < len(fields):
        raise ConfigError(f"pattern={pattern!r}: a name in braces is there twice, drop one.")
    expression = "".join(
        re.escape(piece) if at % 2 == 0 else f"(?P<{piece}>[^/]+?)"
        for at, piece in enumerate(pieces)
    )
    whole = "/".join(place)
    told = [whole, *("/".join(place[at:]) for at in range(len(place))), *place, name]
    for text in told:
        if match := re.fullmatch(expression, text):
            return {_setting(field): plain(value) for field, value in match.groupdict().items()}
    raise ConfigError(
        f"pattern={pattern!r}: {whole or name} is not of this kind, mend the pattern or rename it."
    )


def joined(pieces: Sequence[OtherRun]) -> list[OtherRun]:
    """The runs, those of one name in several tables put together, named without what all share."""
    groups: dict[tuple[str, str], list[OtherRun]] = {}
    for piece in _with_settings_below(pieces):
        # Runs that no name tells from others are the same where their settings are.
        told = "" if piece.name else repr(sorted(piece.config.items(), key=str))
        groups.setdefault((piece.name, told), []).append(piece)
    found = []
    for (name, _), parts in _without_namesakes(groups):
        config = {key: value for part in parts for key, value in part.config.items()}
        filled = [part.curve for part in parts if len(part.curve) and set(part.curve) - set(AXIS)]
        if not filled:
            continue
        curve = filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)
        found.append(OtherRun(name, curve, config, parts[0].source))
    for run, name in zip(found, _shortened([run.name for run in found]), strict=True):
        run.name = name
    return found


def _with_settings_below(pieces: Sequence[OtherRun]) -> list[OtherRun]:
    """The pieces, those that have no curve in a folder below a run's as settings of that run.

    TensorBoard's `add_hparams` in PyTorch makes such a folder, with a row of last values.
    """
    curves: dict[tuple[str, ...], list[OtherRun]] = {}
    for piece in pieces:
        if len(piece.curve) > 1:
            curves.setdefault(piece.place, []).append(piece)
    found = []
    for piece in pieces:
        places = [piece.place[:n] for n in range(len(piece.place), -1, -1)]
        nearest = next((place for place in places if place in curves), piece.place)
        runs = [] if nearest == piece.place or len(piece.curve) > 1 else curves[nearest]
        if not runs or not piece.config or piece.name in {run.name for run in runs}:
            found.append(piece)
        for run in runs:
            run.config = {**piece.config, **run.config}
    return found


def _without_namesakes(
    groups: Mapping[tuple[str, str], list[OtherRun]],
) -> Iterable[tuple[tuple[str, str], list[OtherRun]]]:
    """The groups; runs of one name in two files that say different things are two runs."""
    for (name, told), parts in groups.items():
        places = {part.place for part in parts}
        if len(places) > 1 and any(
            _disagree(a.curve, b.curve)
            for a, b in itertools.combinations(parts, 2)
            if a.place != b.place
        ):
            for place in sorted(places):
                yield ("/".join((*place, name)), told), [p for p in parts if p.place == place]
        else:
            yield (name, told), parts


def _disagree(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two curves have another value of a metric at the same place."""
    shared = [name for name in METRICS if name in one and name in other]
    axis = next((name for name in AXIS if name in one and name in other), None)
    if axis is None or not shared:
        return bool(shared)
    both = one[[axis, *shared]].merge(other[[axis, *shared]], on=axis, suffixes=("", " too"))
    pairs = [(both[name], both[f"{name} too"]) for name in shared]
    return any(((a != b) & a.notna() & b.notna()).any() for a, b in pairs)


def _shortened(called: Sequence[str]) -> list[str]:
    """Names without the folders, and the names of files, that all of them have."""
    words = [name.split("/") for name in called]
    while len(words) > 1 and min(map(len, words)) > 1 and len({w[0] for w in words}) == 1:
        words = [w[1:] for w in words]
    while len(words) > 1 and min(map(len, words)) > 1 and len({w[-1] for w in words}) == 1:
        words = [w[:-1] for w in words]
    return ["/".join(w) for w in words]


def keyed(table: Table, called: Sequence[str]) -> tuple[dict[str, dict[str, Any]], str]:
    """Name of a run → what a table with a row a run says of it, and the column that has the names.

    Raises:
      ConfigError: no column has the names, or a name is there twice.
    """
    frame = scalars(table.frame.rename(columns=str))
    texts = {name: frame[name].map(plain, na_action="ignore").astype(str) for name in frame}
    wanted = {str(plain(name)): name for name in called}
    hits = {name: int(column.isin(wanted).sum()) for name, column in texts.items()}
    key = max(hits, key=lambda name: (hits[name], names.role(name) == "run"), default="")
    if not key or not hits[key]:
        raise ConfigError(
            f"{table.source}: no column has the names of the runs, which are "
            f"{', '.join(called[:4])}{' …' * (len(called) > 4)}; give one that does."
        )
    twice = texts[key][texts[key].isin(wanted) & texts[key].duplicated()]
    if len(twice):
        raise ConfigError(
            f"{table.source}: {twice.iloc[0]!r} is there twice in {key}, so that it is not known "
            "which row is meant; keep one."
        )
    found = {}
    for at, row in enumerate(frame.drop(columns=key).to_dict("records")):
        said = {str(n): v for n, v in row.items() if not pd.isna(v)}
        told = {n: plain(v) for n, v in said.items() if names.role(n) not in ("ignored", *METRICS)}
        text = texts[key].iloc[at]
        found[wanted.get(text, text)] = {_setting(n): value for n, value in told.items()}
    return found, str(key)
