"""The columns of the tables; other programs rely on them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from grokjax.config import Experiment, Thresholds
from grokjax.config.identity import column
from grokjax.config.identity import FORMER_IDS, OF_THE_SWEEP, checksums
from grokjax.config.fields import is_config, is_parts, leaf_types

SCHEMA_VERSION = 4
READABLE = (1, 2, 3, 4)
"""Version 1 lacks some onset columns, which `analysis.onset` then computes from the curves;
versions 1 and 2 lack `train_accuracy_true` and the columns of what came with it; up to version 3
run ids were hashes of all fields, defaults included."""
GROWABLE = (FORMER_IDS, SCHEMA_VERSION)
"""Versions of folders that a sweep may add runs to, those of the first once it has finished."""
METRICS = (
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "weight_norm",
    "grad_norm",
    "update_norm",
    "train_accuracy_true",
)
FINAL = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
"""Metrics whose last value is a column of `runs`."""
CLOCK_COLUMNS = ("wall_s",)
"""What two otherwise identical sweeps may differ in."""

CURVES = pa.schema(
    [("run_id", pa.string()), ("step", pa.int64())] + [(name, pa.float64()) for name in METRICS]
)

MEASURES = pa.schema(
    [
        ("run_id", pa.string()),
        ("step", pa.int64()),
        ("instrument", pa.string()),
        ("part", pa.string()),
        ("value", pa.float64()),
    ]
)


def onset_columns(thresholds: Thresholds) -> dict[str, pa.DataType]:
    """Columns that `analysis.onset` computes from a run's curve."""
    times = ["t_mem", "t_grok", "t_grok_sustained"]
    for threshold in thresholds.also:
        times += [f"t_grok_{100 * threshold:g}", f"t_grok_{100 * threshold:g}_sustained"]
    numbers = [
        *("grok_ratio", "t_mem_interpolated", "t_grok_interpolated"),
        *("transition_width", "relative_width", "slope_at_t_grok"),
        *("plateau_level", "plateau_length", "collapse_depth"),
        *("weight_norm_at_t_mem", "weight_norm_at_t_grok"),
        *(f"final_{name}" for name in FINAL),
        "max_test_accuracy",
    ]
    wholes = [*times, "t_grok_argmax", "grok_gap", "n_collapses", "t_collapse"]
    flags = ["recovered", "partial", "early", "double_descent"]
    return {
        **dict.fromkeys(wholes, pa.int64()),
        "phase": pa.string(),
        **dict.fromkeys(flags, pa.bool_()),
        **dict.fromkeys(numbers, pa.float64()),
    }


def runs_schema(experiment: Experiment) -> pa.Schema:
    """A row a run: what ended it, its configuration, its onsets."""
    columns: dict[str, pa.DataType] = {
        **dict.fromkeys(["run_id", "status", "stop_reason", "error"], pa.string()),
        "last_step": pa.int64(),
        **_config_columns(experiment),
        **dict.fromkeys(["n_rows", "n_train", "n_test"], pa.int64()),
        "chance": pa.float64(),
        "lanes": pa.int64(),
        **onset_columns(experiment.thresholds),
        "wall_s": pa.float64(),
    }
    return pa.schema(list(columns.items()))


def _config_columns(experiment: Experiment) -> dict[str, pa.DataType]:
    """Those of every kind of part that the sweep has: runs without a field have no value there."""
    types_: dict[str, pa.DataType] = {}
    for run in _one_of_a_kind(experiment):
        for path, annotation in leaf_types(run).items():
            if path.split(".")[0] not in OF_THE_SWEEP:
                types_.setdefault(column(path), _arrow_type(annotation))
        own = [path for path in checksums(run) if path.split(".")[0] not in OF_THE_SWEEP]
        types_ |= dict.fromkeys(map(column, own), pa.string())
        types_ |= {f"{name}_donor": pa.string() for name in ("start", "mask") if getattr(run, name)}
    return types_


def _one_of_a_kind(experiment: Experiment) -> list[Experiment]:
    """Runs of the sweep that differ in what fields they have."""
    # Fields follow from parts, and of parts runs have few between them.
    swept = experiment.expansion.swept.items()
    varied = [name for name, values in swept if any(is_config(v) or is_parts(v) for v in values)]
    alike: dict[tuple[int, ...], Experiment] = {}
    for run in experiment.runs():
        alike.setdefault(tuple(id(getattr(run, name)) for name in varied), run)
    kinds: dict[frozenset[str], Experiment] = {}
    for run in alike.values():
        kinds.setdefault(frozenset(leaf_types(run)), run)
    return list(kinds.values())


def _arrow_type(annotation: object) -> pa.DataType:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        # A share of rows is a number of rows in every run.
        options = [t for t in typing.get_args(annotation) if t is not type(None)]
        options = [int] if options == [int, float] else options
        annotation = options[0] if len(options) == 1 else str
    plain: dict[object, pa.DataType] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return plain.get(annotation, pa.string())


def runs_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows of `runs`, in a form that pandas reads back with nullable integers."""
    frame = pd.DataFrame(rows, columns=schema.names)
    frame = frame.astype(nullable(schema))
    for field in schema:
        if field.type == pa.string():  # a step may be a number or a moment
            frame[field.name] = frame[field.name].map(str, na_action="ignore")
    return pa.Table.from_pandas(frame, schema=schema, preserve_index=False)


def nullable(columns: Iterable[pa.Field]) -> dict[str, str]:
    """The pandas types in which whole numbers and flags may be missing."""
    types_ = {pa.int64(): "Int64", pa.bool_(): "boolean"}
    return {field.name: types_[field.type] for field in columns if field.type in types_}


def curves_table(pieces: list[tuple[str, np.ndarray, dict[str, np.ndarray]]]) -> pa.Table:
    """Rows of `curves` from pieces of runs: run id, steps `[K]`, metrics each `[K]`."""
    if not pieces:
        return CURVES.empty_table()
    ids = np.repeat([run_id for run_id, _, _ in pieces], [len(step) for _, step, _ in pieces])
    columns = [ids, np.concatenate([step for _, step, _ in pieces])]
    for name in METRICS:
        values = np.concatenate([metrics[name] for _, _, metrics in pieces])
        columns.append(values.astype(np.float64))
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=CURVES)


def measures_table(
    pieces: list[tuple[str, np.ndarray, dict[str, dict[str, np.ndarray]]]],
) -> pa.Table:
    """Rows of `measures` from pieces of runs.

    Args:
      pieces: run id, steps `[K]`, and instrument → part → values `[K]`.
    """
    found = [
        MEASURES.empty_table(),
        *(
            pa.table(
                [
                    pa.array([run_id] * len(step)),
                    pa.array(step, pa.int64()),
                    pa.array([instrument] * len(step)),
                    pa.array([part] * len(step)),
                    pa.array(values, pa.float64()),
                ],
                schema=MEASURES,
            )
            for run_id, step, measures in pieces
            for instrument, parts in measures.items()
            for part, values in parts.items()
        ),
    ]
    return pa.concat_tables(found)


def wide_measures(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `measures` with a column each: `run_id`, `step`, and `instrument.part`."""
    if rows.empty:
        return pd.DataFrame({"run_id": pd.Series(dtype="str"), "step": pd.Series(dtype="int")})
    name = rows["instrument"].str.cat(rows["part"], sep=".").str.rstrip(".")
    wide = rows.assign(name=name).pivot(index=["run_id", "step"], columns="name", values="value")
    return wide.rename_axis(columns=None).reset_index()
