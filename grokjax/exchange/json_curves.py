"""JSON of any shape → the curves of runs: records, lists by name, runs by name, histories."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import names
from grokjax.results.outside import regular

HISTORIES = (
    "history",
    "loghistory",
    "metrics",
    "logs",
    "log",
    "curves",
    "records",
    "results",
    "data",
)
"""Names of a part that holds the curves of what it is a part of."""


MOST_SETTINGS = 10_000


@dataclasses.dataclass(frozen=True)
class JsonRun:
    """The curves of a run."""

    frame: pd.DataFrame
    names: tuple[str, ...] = ()
    """What it is called inside the file; empty where the file is one run."""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def parse(path: Path, text: str) -> Any:
    """What a text says as JSON, or as a line of JSON each; None where it is neither.

    Raises:
      ConfigError: it begins as JSON, and is none.
    """
    try:
        return json.loads(text)
    except ValueError:
        pass
    lines = [line for line in text.splitlines() if line.strip()]
    records = []
    for number, line in enumerate(lines, 1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number == len(lines) and records:
                break  # a program that was killed while it wrote
            if path.suffix.lower() not in (".json", ".jsonl", ".ndjson"):
                if line.lstrip()[0] != "{":
                    continue  # a log with other lines between
                return None
            raise ConfigError(
                f"{path}, line {number}: not JSON ({error}), mend or remove the line."
            ) from None
    return records


def has_curves(path: Path) -> bool:
    """Whether a file of JSON holds curves rather than settings."""
    if path.suffix.lower() != ".json":
        return False
    try:
        return bool(_runs(json.loads(regular(path).read_text(encoding="utf-8-sig"))))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def runs(path: Path, value: Any) -> list[JsonRun]:
    """The runs that a value of JSON holds.

    Raises:
      ConfigError: it holds none.
    """
    try:
        found = _runs(value)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}.") from None
    if not found:
        raise ConfigError(
            f"{path}: no curves are in it, give a list of records such as "
            '{"epoch": 1, "train_acc": 0.5, "test_acc": 0.1}, or lists by name.'
        )
    return found


def flat(value: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by their last name; by the whole path where several have the same."""
    leaves = _leaves(value)
    last = [path[-1] for path in leaves]
    return {
        path[-1] if last.count(path[-1]) == 1 else "_".join(path): leaf
        for path, leaf in leaves.items()
    }


def _leaves(value: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping) and "value" in inner and set(inner) <= {"value", "desc"}:
            inner = inner["value"]  # as Weights & Biases writes a configuration
        if str(key).startswith("_") or names.plain(str(key)) == "wandbversion":
            continue
        if isinstance(inner, Mapping):
            found |= _leaves(inner, (*above, str(key)))
            if len(found) > MOST_SETTINGS:  # a file of YAML may say so in a few lines
                raise ValueError(f"it has more than {MOST_SETTINGS} settings")
        elif isinstance(inner, (str, int, float, bool)):
            found[*above, str(key)] = inner
    return found


def _runs(value: Any) -> list[JsonRun]:
    if isinstance(value, list):
        return _of_list(value)
    if not isinstance(value, Mapping):
        return []
    return _of_mapping(value)


def _of_list(value: Sequence[Any]) -> list[JsonRun]:
    records = [record for record in value if isinstance(record, Mapping)]
    nested = [_runs(record) for record in records]
    if any(nested):
        found = []
        for number, (record, inner) in enumerate(zip(records, nested, strict=True)):
            own = next((str(v) for k, v in record.items() if names.role(str(k)) == "run"), number)
            found += [dataclasses.replace(run, names=(str(own), *run.names)) for run in inner]
        return found
    return [JsonRun(_frame(records))] if records else []


def _frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Records as rows; parts inside of a record by their path, `train/acc`."""
    rows = [{"/".join(path): leaf for path, leaf in _pairs(record)} for record in records]
    return pd.DataFrame(rows, dtype=object)


def _pairs(
    value: Mapping[str, Any], above: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found += _pairs(inner, (*above, str(key)))
        elif isinstance(inner, (str, int, float, bool)) or inner is None:
            literal = isinstance(inner, float) and inner != inner
            found.append(((*above, str(key)), "NaN" if literal else inner))
    return found


def _of_mapping(value: Mapping[str, Any]) -> list[JsonRun]:
    lists = _lists(value)
    whole = {path: column for path, column in lists.items() if names.role("/".join(path))}
    whole |= {path: c for path, c in lists.items() if len(path) == 1 and path not in whole}
    # A part called `history` says nothing; what is in it has its names alone.
    inner = {path[1:]: c for path, c in lists.items() if names.plain(path[0]) in HISTORIES}
    for columns in (inner, whole):
        if any(_is_metric("/".join(path)) for path in columns):
            lengths = {len(column) for column in columns.values()}
            if len(lengths) > 1:
                told = ", ".join(f"{'/'.join(p)} {len(c)}" for p, c in columns.items())
                raise ValueError(
                    f"its lists have different lengths ({told}), so that it is not known which "
                    "values belong to the same step; save records with a step each"
                )
            frame = pd.DataFrame(
                {"/".join(p): pd.Series(c, dtype=object) for p, c in columns.items()}
            )
            return [JsonRun(frame, (), flat(value))]
    for key, part in value.items():
        if isinstance(part, list) and any(isinstance(record, Mapping) for record in part):
            found = _of_list(part)
            if len(found) == 1 and not found[0].names:
                return [dataclasses.replace(found[0], config=flat(value))]
            if found and names.plain(str(key)) in (*HISTORIES, "runs"):
                return found
    found = []
    shared = flat({k: v for k, v in value.items() if not isinstance(v, (Mapping, list))})
    for key, part in value.items():
        for run in _runs(part):
            config = {**shared, **run.config}
            if names.plain(str(key)) in HISTORIES:
                config |= flat({k: v for k, v in value.items() if k != key})
                found.append(dataclasses.replace(run, config=config))
            else:
                found.append(JsonRun(run.frame, (str(key), *run.names), config))
    return found


def _lists(
    value: Mapping[str, Any], above: tuple[str, ...] = ()
) -> dict[tuple[str, ...], list[Any]]:
    """Path → list of numbers, of all that are inside."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            found |= _lists(inner, (*above, str(key)))
        elif isinstance(inner, list) and inner and all(_is_scalar(item) for item in inner):
            found[*above, str(key)] = ["NaN" if item != item else item for item in inner]
    return found


def _is_scalar(item: Any) -> bool:
    return item is None or (isinstance(item, (int, float)) and not isinstance(item, bool))


def _is_metric(name: str) -> bool:
    return names.metric(name) is not None
