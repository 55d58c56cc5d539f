"""Files of curves → tables as they stand there, with what their place says of the run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import config_files, event_files, json_curves, text_logs, wandb_files
from grokjax.results.files import read_table, to_frame
from grokjax.results.outside import read_npz, regular, unpacked, unreadable

TABLES = (".csv", ".tsv", ".parquet", ".json", ".jsonl", ".ndjson", ".npz")
LOGS = (".log", ".txt", ".out", ".dat")
PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".npy", ".ckpt")
RUNS, MEASURES = "runs", "measures"
"""Names of tables beside curves: a row a run, and numbers at steps of their own."""
DAMAGED = (
    OSError, ValueError, TypeError, LookupError, EOFError, OverflowError, RecursionError,
    NotImplementedError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What reading a file raises that is cut short or of another kind than its name says."""
_ROW_NUMBERS = re.compile(r"__index_level_\d+__")
_NO_CURVES = ("readme", "requirements", "license", "wandb-summary", "wandb-metadata", "package")
MISSING = ("", "null", "NULL", "None", "N/A", "n/a", "NA", "<NA>", "-")
_TENSOR = re.compile(r"^tensor\(\s*([^,()\[\]]+)(,.*)?\)$")
_WHOLE = re.compile(r"^[+-]?(\d+|[1-9]\d{0,2}(,\d{3})+)$")
_SIGN = re.compile(r"^[+-]?(nan|inf|infinity)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as it stands in a file, or a part of one."""

    source: str
    """The file, as messages name it."""
    frame: pd.DataFrame
    names: tuple[str, ...] = ()
    """What the place says: folders below the one that was given, the file without its ending."""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Hyperparameters that stand beside it."""
    id: str = ""
    """What a tracker knows the run by, whose names need not be different."""


@dataclasses.dataclass(frozen=True)
class Found:
    """All that some files hold."""

    curves: list[Table]
    runs: list[Table]
    measures: list[Table]
    skipped: list[str]
    """Sentences for the files that were passed over."""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # of the kernel's own, below /proc
        return False


def read_folder(folder: Path, above: Sequence[str] = ()) -> Found:
    """Every curve below a folder, with the configurations and the table of runs beside them.

    Args:
      folder: whose files are read.
      above: folders that tell it from others that are read with it.

    Raises:
      ConfigError: no file of curves is in it.
    """
    # Unlike rglob, walk passes over folders that cannot be read or go meanwhile.
    walked = [Path(root, name) for root, _, names in os.walk(folder) for name in names]
    files = [path for path in sorted(walked) if _is_file(path)]
    events = [path for path in files if _is_of_tracker(path)]
    plain = [path for path in files if path.stem.lower() not in (*config_files.NAMES, *_NO_CURVES)]
    plain = [path for path in plain if not _hidden(path, folder)]
    tables = [path for path in plain if path.suffix.lower() in TABLES]
    beside = {id_: [p for p in tables if p.stem.lower() == id_] for id_ in (RUNS, MEASURES)}
    tables = [path for path in tables if path.stem.lower() not in (RUNS, MEASURES)]
    logs = [path for path in plain if path.suffix.lower() in LOGS]
    if not (curves := [*tables, *events]):
        curves, logs = logs, []
    if not curves:
        raise ConfigError(
            f"{folder}: no file of curves is in it, give a folder with {', '.join(TABLES)}, "
            f"{', '.join(LOGS)} or files of TensorBoard and Weights & Biases."
        )
    found, skipped, empty = [], [], []
    for path in curves:
        within = (*above, *path.relative_to(folder).parts)
        config = config_files.beside(path, folder)
        try:
            found += read_file(path, within, config)
        except ConfigError as error:
            if path.suffix.lower() == ".json" and not json_curves.has_curves(path):
                empty.append(path)  # a configuration of another name, or a summary
                continue
            if len(curves) == 1:
                raise
            skipped.append(str(error))
    if not found:
        raise ConfigError(skipped[0] if skipped else f"{folder}: no file of curves is in it.")
    settings_of = {path.with_suffix("") for path in curves if path not in empty}
    empty = [path for path in empty if path.with_suffix("") not in settings_of]
    pickles = [path for path in plain if path.suffix.lower() in PICKLES]
    for what, passed in (
        ("the logs, beside which there are tables of curves", logs),
        ("pickles, which can run code and are not read", pickles),
        ("JSON without curves", empty),
    ):
        if passed:
            names = listed([str(path.relative_to(folder)) for path in passed])
            skipped.append(f"what {names} in {folder} may say: passed over as {what}")
    return Found(
        found,
        [table for path in beside[RUNS] for table in read_file(path, (path.name,), {})],
        [table for path in beside[MEASURES] for table in read_file(path, (path.name,), {})],
        skipped,
    )


def read_file(path: Path, within: Sequence[str], config: Mapping[str, Any]) -> list[Table]:
    """The tables in a file.

    Args:
      path: of the file.
      within: its name, with the folders below the one that was given.
      config: hyperparameters that are known of it.

    Raises:
      ConfigError: it is none that can be read.
    """
    if path.suffix.lower() in PICKLES:
        raise ConfigError(
            f"{path}: a pickle can run code and is not read, save its numbers as JSON or CSV."
        )
    try:
        return _tables_in(regular(path), within, config)
    except ConfigError:
        raise
    except DAMAGED as error:
        raise unreadable(path, error, "give a file of curves") from None


def _tables_in(path: Path, within: Sequence[str], config: Mapping[str, Any]) -> list[Table]:
    ending = path.suffix.lower()
    place = (*within[:-1], Path(within[-1]).stem)
    if event_files.is_event_file(path):
        frame, hparams = event_files.read(path)
        return [Table(str(path), frame, tuple(within[:-1]), {**config, **hparams})]
    if ending == wandb_files.ENDING:
        frame, name, settings = wandb_files.read(path)
        told = {**config, **json_curves.flat(settings)}
        return [Table(str(path), frame, (name,), told, wandb_files.run_id(path))]
    if ending == ".parquet":
        return [Table(str(path), _of_parquet(path), place, config)]
    if ending == ".npz":
        value: Any = {name: array.tolist() for name, array in read_npz(path).items()}
        return _of_json(path, value, place, config)
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = unpacked(path, data)
    if b"\0" in data[:4096]:
        raise ValueError("it is no text")
    text = data.decode("utf-8-sig", "replace")
    if not text.strip():
        raise ConfigError(f"{path}: it is empty, give a file of curves.")
    if text.lstrip()[0] in "{[" and ending not in (".csv", ".tsv"):
        value = json_curves.parse(path, text)
        if value is not None:
            return _of_json(path, value, place, config)
    if ending in LOGS and (prose := text_logs.read(path, text)) is not None:
        return [Table(str(path), prose, place, config)]
    return [Table(str(path), _delimited(path, text), place, config)]


def _of_parquet(path: Path) -> pd.DataFrame:
    """The columns of a table; one that pandas has made of its row numbers is none."""
    table = read_table(path)
    return to_frame(table.drop_columns([n for n in table.column_names if _ROW_NUMBERS.match(n)]))


def _of_json(
    path: Path, value: Any, place: tuple[str, ...], config: Mapping[str, Any]
) -> list[Table]:
    runs = json_curves.runs(path, value)
    return [
        Table(str(path), run.frame, (*place, *run.names), {**config, **run.config}) for run in runs
    ]


def _delimited(path: Path, text: str) -> pd.DataFrame:
    """A table with a line of names; columns are called by their numbers from 1 without one."""
    lines = [line for line in text.splitlines() if line.strip()]
    named = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if named == len(lines):
        raise ConfigError(f"{path}: there are only comments in it, give a file of curves.")
    separator = _separator(lines[named : named + 20])
    first = _cells(lines[named], separator)
    header: list[str] | None = None
    if not all(_is_number(cell) for cell in first):
        header, named = first, named + 1
    elif named and len(before := _cells(lines[named - 1].lstrip("# "), separator)) == len(first):
        header = before  # np.savetxt puts # before the names
    names = header or [str(i + 1) for i in range(len(first))]
    body = "\n".join(line for line in lines[named:] if not line.startswith("#"))
    if not body:
        raise ConfigError(f"{path}: there are names but no rows in it, give a file of curves.")
    try:
        return pd.read_csv(
            io.StringIO(body), sep=r"\s+" if separator is None else separator, header=None,
            names=_distinct(names), index_col=False, keep_default_na=False, na_values=list(MISSING),
            skipinitialspace=True, low_memory=False,
        )  # fmt: skip
    except (ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: not a table ({reason}), give one with a line of names."
        ) from None


def _separator(lines: Sequence[str]) -> str | None:
    """What stands between cells; None for white space."""
    for mark in ("\t", ";", "|", ","):
        counts = {len(_cells(line, mark)) for line in lines}
        if min(counts) > 1 and (len(counts) == 1 or mark in "\t,;"):
            return mark
    return None if any(len(line.split()) > 1 for line in lines) else ","


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _distinct(names: Sequence[str]) -> list[str]:
    seen: dict[str, int] = {}
    found = []
    for at, name in enumerate(names):
        name = name or f"Unnamed: {at}"
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}.{seen[name] - 1}")
    return found


def _is_number(cell: str) -> bool:
    return not np.isnan(_number(cell)) or cell in MISSING or bool(_SIGN.match(cell))


def _number(text: str) -> float:
    text = text.strip().removesuffix("%")
    if match := _TENSOR.match(text):
        text = match[1]
    if re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", text):  # a comma before the decimals
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def numbers(column: pd.Series, counts: bool = False) -> np.ndarray | None:
    """A column as float64: NaN where a value is missing, inf where it was written as NaN or inf.

    `98.5%` is 0.985. None where something else than numbers is in it.

    Args:
      column: of numbers or texts.
      counts: whether it counts steps or epochs, where `1,000` is a thousand if all are whole.
    """
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("Float64").to_numpy(float, na_value=np.nan)
    if counts and all(_WHOLE.match(str(value).strip()) for value in column.dropna()):
        column = column.map(lambda value: str(value).replace(",", ""), na_action="ignore")
    found = np.full(len(column), np.nan)
    for at, value in enumerate(column.tolist()):
        if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
            continue
        if isinstance(value, (int, float, np.number)):
            found[at] = float(value)
            continue
        text = str(value).strip()
        if text in MISSING:
            continue
        number = _number(text)
        if np.isnan(number) and not _SIGN.match(text):
            return None
        found[at] = np.inf if np.isnan(number) else number / 100 if text.endswith("%") else number
    return found


def _is_of_tracker(path: Path) -> bool:
    return event_files.is_event_file(path) or path.suffix == wandb_files.ENDING


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def listed(words: Sequence[str]) -> str:
    """The first few words."""
    return f"{', '.join(words[:8])}{' …' * (len(words) > 8)}"


def read_settings(path: Path) -> Table:
    """A JSON file of settings: of all runs, or a row or a part for each.

    Raises:
      ConfigError: it is none.
    """
    try:
        value = json.loads(regular(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise unreadable(path, error, "give a table of runs") from None
    if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        return Table(
            str(path), pd.DataFrame([json_curves.flat(row) for row in value], dtype=object)
        )
    if isinstance(value, Mapping) and value and all(map(_is_settings, value.values())):
        rows = [{"run": name, **json_curves.flat(part)} for name, part in value.items()]
        return Table(str(path), pd.DataFrame(rows, dtype=object))
    if isinstance(value, Mapping):
        return Table(str(path), pd.DataFrame(), (), json_curves.flat(value))
    raise ConfigError(f"{path}: not a table of runs, give a list of records or settings by name.")


def _is_settings(value: Any) -> bool:
    """Whether this is a part with settings of its own, and none as Weights & Biases writes it."""
    return isinstance(value, Mapping) and "value" not in value
