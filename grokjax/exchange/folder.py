"""Runs of other programs as a results folder: the store's schema, and a manifest that says so."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from grokjax.analysis import onset
from grokjax.analysis.curves import Curves
from grokjax.config import ConfigError, Thresholds
from grokjax.config.fields import leaves
from grokjax.results import manifest, parts
from grokjax.results.files import make_folder
from grokjax.results.outside import check_no_links
from grokjax.results.schema import (
    CURVES,
    MEASURES,
    SCHEMA_VERSION,
    onset_columns,
    runs_table,
)
from grokjax.results.shapes import Manifest, Origin
from grokjax.results.store import Store

OURS = (*parts.TABLES, "figures", "report.html", "plotly.min.js", "summary.md")
"""What is replaced in a folder of an earlier reading."""
TEXTS = ("run_id", "status", "stop_reason", "error")
KNOWN = ("n_rows", "n_train", "n_test", "lanes")


def write(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    curves: pd.DataFrame,
    measures: pd.DataFrame,
    thresholds: Thresholds,
    origin: Origin,
    command: str,
) -> None:
    """Write the tables, between a manifest that says whose they are and one that lists them.

    Args:
      folder: free, or of an earlier reading of the same curves.
      rows: what is known of each run, by column: `run_id`, `status`, settings and so on.
      curves: of all runs, as the curves table has them.
      measures: other numbers of the curves, as the measures table has them.
      thresholds: what the onset columns are by.
      origin: where the curves came from.
      command: how they were read.
    """
    settings = _settings(rows)
    schema = _schema(rows, list(settings), thresholds)
    told = _with_onsets(rows, curves, thresholds)
    tables = {
        "runs": runs_table(told, schema),
        "curves": pa.Table.from_pandas(curves, schema=CURVES, preserve_index=False),
        "measures": pa.Table.from_pandas(measures, schema=MEASURES, preserve_index=False),
    }
    swept = {name: values for name, values in settings.items() if len(values) > 1}
    if not swept and len(rows) > 1:
        swept = {"run": [row["run"] for row in rows]}
    found: Manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": folder.name,
        "base": {name: values[0] for name, values in settings.items() if len(values) == 1},
        "axes": manifest.plain(swept),
        "thresholds": manifest.plain(leaves(thresholds)),
        "sources": {},
        "vocabularies": {},
        "command": command,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "curves_of": origin,
    }
    make_folder(folder)
    manifest.write(folder, found)  # first: what is interrupted from here on may be written again
    for path in (folder / name for name in OURS):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    store = Store(folder, -1, {name: {} for name in parts.TABLES}, {"curves_of": origin["sources"]})
    store.recover()
    found["parts"] = store.write(0, tables)
    store.install(found["parts"])
    manifest.write(folder, found)


def check_free(folder: Path, sources: Sequence[str], paths: Sequence[Path]) -> None:
    """Refuse a folder with something else than an earlier reading of these curves, or of fewer.

    Args:
      folder: to be written; what is in it and has a name of ours is removed then.
      sources: as the manifest names them.
      paths: those of the sources that are files or folders.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out={str(folder)!r}: it is a file, give a folder for the results.")
    check_no_links(folder, OURS)
    old = manifest.read(folder)
    if old is None and folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"out={str(folder)!r}: there are other files in it, give a new folder for the results."
        )
    place = folder.resolve()
    for source in paths:
        curves = source.resolve()
        if place.is_relative_to(curves) or curves.is_relative_to(place):
            raise ConfigError(
                f"out={str(folder)!r}: the curves of {source} and the results would lie in each "
                "other, give a folder beside them (--out)."
            )
    if old is None:
        return
    if "curves_of" not in old:
        raise ConfigError(
            f"out={str(folder)!r}: it holds a sweep of grokjax, give another folder (--out)."
        )
    if others := set(old["curves_of"]["sources"]) - set(sources):
        raise ConfigError(
            f"out={str(folder)!r}: it holds the curves of {', '.join(sorted(others)[:3])}, give "
            "another folder (--out), or remove that one."
        )


def _settings(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Column → its values in order, of all that a run was set to."""
    fixed = {*TEXTS, *KNOWN, "run", "last_step", "steps", "log_every", "chance", "wall_s"}
    names = dict.fromkeys(name for row in rows for name in row if name not in fixed)
    found = {}
    for name in names:
        values = {row[name] for row in rows if not pd.isna(row.get(name))}
        kinds = {isinstance(value, str) for value in values}
        found[name] = sorted(values) if len(kinds) == 1 else sorted(values, key=str)
    return found


def _schema(
    rows: Sequence[dict[str, Any]], settings: Sequence[str], thresholds: Thresholds
) -> pa.Schema:
    columns: dict[str, pa.DataType] = {
        **dict.fromkeys(TEXTS, pa.string()),
        "run": pa.string(),
        "last_step": pa.int64(),
        "steps": pa.int64(),
        "log_every": pa.int64(),
        **{name: _type([row.get(name) for row in rows]) for name in settings},
        **dict.fromkeys(KNOWN, pa.int64()),
        "chance": pa.float64(),
        **onset_columns(thresholds),
        "wall_s": pa.float64(),
    }
    return pa.schema(list(columns.items()))


def _type(values: Sequence[Any]) -> pa.DataType:
    kinds = {type(value) for value in values if not pd.isna(value)}
    if kinds and kinds <= {bool}:
        return pa.bool_()
    if kinds and kinds <= {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float, bool} else pa.string()


def _with_onsets(
    rows: Sequence[dict[str, Any]], curves: pd.DataFrame, thresholds: Thresholds
) -> list[dict[str, Any]]:
    """The rows with their onset columns."""
    of_runs = Curves.of_table(curves, sparse=True)
    chance = {row["run_id"]: row.get("chance", np.nan) for row in rows}
    known = np.array([chance[run_id] for run_id in of_runs.run_ids], float)
    found = {n: v.tolist() for n, v in onset.onsets(of_runs, known, thresholds).items()}
    measured = {
        run_id: {name: values[at] for name, values in found.items()}
        for at, run_id in enumerate(of_runs.run_ids)
    }
    return [{**row, **measured.get(row["run_id"], {})} for row in rows]
