"""Results for other programs: CSV, TensorBoard, Weights & Biases, xarray."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grokjax.analysis.cells import RESULTS
from grokjax.analysis.onset import table as with_onsets
from grokjax.config import ConfigError
from grokjax.config.coercion import require
from grokjax.config.experiment import SEEDS
from grokjax.exchange import event_files, wandb_runs
from grokjax.results.load import Results
from grokjax.results.schema import METRICS

if TYPE_CHECKING:
    import xarray

TAGS = {name: re.sub(r"^(train|test)_", r"\1/", name) for name in METRICS}
"""Metric → its tag, whose first part is the panel that trackers show it in."""
LONGEST_NAME = 150
TOLD = ("t_mem", "t_grok", "grok_gap", "phase", "status", "stop_reason")
"""What became of a run, for the summaries of a tracker."""


def to_csv(results: Results, folder: str | Path) -> list[Path]:
    """Write `runs.csv`, `curves.csv` and, where there are any, `measures.csv`; the files.

    `grokjax.read_curves(folder)` reads them back, with every digit.
    """
    place = _free(folder)
    tables = {"runs": with_onsets(results), "curves": results.curves, "measures": results.measures}
    paths = []
    for name, frame in tables.items():
        if len(frame):
            paths.append(place / f"{name}.csv")
            frame.to_csv(paths[-1], index=False)
    return paths


def to_tensorboard(results: Results, folder: str | Path) -> list[Path]:
    """Write an event file a run, in a folder named by its axes, with its settings; the files.

    Numbers are in float32, as TensorBoard has them. `tensorboard --logdir FOLDER` shows them, and
    `grokjax.read_curves(folder)` reads them back.
    """
    place = _free(folder)
    paths = []
    for row, called, curve in _each(results):
        inside = place / called
        inside.mkdir()
        paths.append(inside / f"{event_files.MARK}.0000000000.grokjax")
        columns = {str(tag): curve[tag].tolist() for tag in curve if tag != "step"}
        event_files.write(paths[-1], curve["step"].tolist(), columns, _settings(row))
    return paths


def to_wandb(
    results: Results,
    project: str,
    *,
    mode: str | None = None,
    run_ids: Sequence[str] | None = None,
    **init: Any,
) -> list[str]:
    """Log every run to a project of Weights & Biases; the names of the runs there.

    Args:
      results: whose runs.
      project: at Weights & Biases.
      mode: `offline` keeps them in a folder, to be sent with `wandb sync`; None: as the environment
        says.
      run_ids: of the runs to log; None: all.
      **init: further arguments of `wandb.init`: `entity`, `dir`, `tags` …

    Raises:
      ConfigError: the package `wandb` is not installed.
    """
    wandb = wandb_runs.package("to_wandb")
    group = str(results.manifest.get("name", results.path.name))
    found = []
    for row, called, curve in _each(results, run_ids):
        asked = {"group": group, "id": row["run_id"], **init}
        run = wandb.init(
            project=project,
            name=called,
            mode=mode,
            config=_settings(row),
            reinit="finish_previous",
            **asked,
        )
        run.define_metric("*", step_metric="step")
        for values in curve.to_dict("records"):
            run.log({k: v for k, v in values.items() if not pd.isna(v)}, step=int(values["step"]))
        told = {name: _plain(row[name]) for name in TOLD if name in row}
        run.summary.update({name: value for name, value in told.items() if value is not None})
        run.finish()
        found.append(called)
    return found


def to_xarray(results: Results, over: Sequence[str] | None = None) -> xarray.Dataset:
    """The curves as arrays over runs and steps, or over the axes of the sweep and steps.

    Curves are `[..., step]`, NaN where a run has no row; times and other numbers of a run `[...]`.

    Args:
      results: whose runs.
      over: columns of runs to be dimensions, which must tell all runs apart; an empty list: one
        dimension `run_id`. None: the axes of the sweep where they do, else `run_id`.

    Raises:
      ConfigError: the columns do not tell runs apart, or the package `xarray` is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise ConfigError("to_xarray needs the package xarray, `pip install xarray`.") from None
    runs = with_onsets(results)
    axes = _dimensions(results, runs) if over is None else list(over)
    _check_dimensions(runs, axes)
    keys = axes or ["run_id"]
    whole = runs.set_index(keys)
    numbers = [str(name) for name in whole if _is_number(whole[name])]
    texts = [str(name) for name in whole if name not in numbers]
    plain = whole[numbers].astype("float64").join(whole[texts].fillna("").astype(object))
    plain.index = _plain_index(plain.index)
    curves = results.curves.drop_duplicates(["run_id", "step"])
    placed = curves.merge(runs[list(dict.fromkeys(["run_id", *keys]))], on="run_id")
    rows = placed.set_index([*keys, "step"]).drop(columns="run_id", errors="ignore")
    rows.index = _plain_index(rows.index)
    of_steps, of_runs = (xarray.Dataset.from_dataframe(frame) for frame in (rows, plain))
    found = of_steps.merge(of_runs, join="outer")
    told = results.manifest
    return found.assign_attrs(
        name=str(told.get("name", results.path.name)), command=str(told.get("command", ""))
    )


def _dimensions(results: Results, runs: pd.DataFrame) -> list[str]:
    """The axes of the sweep that vary, where they tell all runs apart."""
    axes = [name for name in results.axes if name in runs and runs[name].nunique(dropna=False) > 1]
    seed, split = SEEDS
    if {seed, split} <= set(axes) and (runs[seed] == runs[split]).all():
        axes.remove(split)
    apart = not runs.duplicated(axes).any() and runs[axes].notna().all(axis=None) if axes else False
    return axes if apart else []


def _plain_index(index: pd.Index) -> pd.Index:
    """With the types that arrays have: whole numbers that cannot miss."""
    frame = index.to_frame(index=False)
    whole = {n: "int64" for n in frame if isinstance(frame[n].dtype, pd.Int64Dtype)}
    texts = {n: object for n in frame if isinstance(frame[n].dtype, pd.StringDtype)}
    frame = frame.astype({**whole, **texts})
    if len(frame.columns) == 1:
        return pd.Index(frame.iloc[:, 0], name=index.name)
    return pd.MultiIndex.from_frame(frame)


def _check_dimensions(runs: pd.DataFrame, axes: Sequence[str]) -> None:
    for name in axes:
        require(name in runs, "over", name, "there is no such column of the runs")
    if axes and runs.duplicated(list(axes)).any():
        raise ConfigError(
            f"over={list(axes)!r}: several runs have the same values there, add a column that "
            "tells them apart, or give over=[] for one dimension run_id."
        )


def _each(
    results: Results, run_ids: Sequence[str] | None = None
) -> list[tuple[dict[str, Any], str, pd.DataFrame]]:
    """Of each run with a curve: its row, a name by the axes, and its numbers by tag and `step`."""
    runs = with_onsets(results)
    if run_ids is not None:
        require(set(run_ids) <= set(runs["run_id"]), "run_ids", list(run_ids), "give ids of runs")
        runs = runs[runs["run_id"].isin(list(run_ids))]
    axes = [name for name in results.axes if name in runs]
    wide = results.measures_wide()
    by_run = dict(tuple(results.curves_of(list(runs["run_id"])).groupby("run_id")))
    measured = dict(tuple(wide.groupby("run_id")))
    found, seen = [], set()
    for row in ({str(k): v for k, v in row.items()} for row in runs.to_dict("records")):
        run_id = str(row["run_id"])
        if run_id not in by_run:
            continue  # it failed
        called = _called(row, axes)
        called = f"{called},{run_id}" if called in seen else called
        seen.add(called)
        curve = by_run[run_id].drop(columns="run_id").rename(columns=TAGS)
        if run_id in measured:
            more = measured[run_id].drop(columns="run_id").dropna(axis=1, how="all")
            curve = curve.merge(more, on="step", how="outer")
        found.append((row, called, curve.dropna(axis=1, how="all").sort_values("step")))
    return found


def _called(row: dict[str, Any], axes: Sequence[str]) -> str:
    """`weight_decay=0.1,seed=3`, as a name of a folder."""
    said = [f"{name}={_plain(row[name])}" for name in axes if _plain(row[name]) is not None]
    text = re.sub(r"[^\w.=,+-]+", "_", ",".join(said))
    return text if 0 < len(text) <= LONGEST_NAME else str(row["run_id"])


def _settings(row: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run, with what tells its results' status, in plain values."""
    kept = ("run_id", "status", "stop_reason", "wall_s")
    told = {
        name: _plain(value) for name, value in row.items() if name not in RESULTS or name in kept
    }
    return {name: value for name, value in told.items() if value is not None}


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column)


def _free(folder: str | Path) -> Path:
    """A folder that is new or empty."""
    place = Path(folder)
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise ConfigError(f"folder={str(place)!r}: there is something in it, give a new folder.")
    place.mkdir(parents=True, exist_ok=True)
    return place
