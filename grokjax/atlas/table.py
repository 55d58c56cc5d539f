"""The table of a claim: a row a run, with no more columns than the decision needs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from grokjax.atlas.claim import Claim
from grokjax.config import ConfigError, Thresholds
from grokjax.results.files import write_text
from grokjax.results.load import Results
from grokjax.results.outside import regular
from grokjax.results.schema import onset_columns

ALWAYS = (
    *("run_id", "experiment", "seed", "status", "steps", "last_step"),
    *("t_mem", "t_grok", "t_grok_sustained", "t_grok_interpolated", "grok_gap"),
    *("final_train_accuracy", "final_test_accuracy"),
)
"""Columns of every table."""


def of_results(claim: Claim, results: Mapping[str, Results]) -> pd.DataFrame:
    """The table of all experiments whose runs are rows of it."""
    frames = [_of_one(claim, name, results[name]) for name in results if name not in claim.without]
    return pd.concat(frames, ignore_index=True)


def _of_one(claim: Claim, name: str, results: Results) -> pd.DataFrame:
    runs = results.runs.assign(experiment=name)
    wanted = list(dict.fromkeys([*ALWAYS, *claim.cells, *claim.columns]))
    table = runs[[column for column in wanted if column in runs]]
    if claim.measured is None:
        return table
    return table.merge(claim.measured(name, results), on="run_id", how="left", validate="1:1")


def write(path: Path, table: pd.DataFrame) -> None:
    """Store a table as text that a diff can read."""
    write_text(path, table.to_csv(index=False, float_format="%.7g", lineterminator="\n"))


def read(path: Path) -> pd.DataFrame:
    """A table as `write` has stored it, whole numbers that may be missing as such."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no such table, train the claim with `run` first.")
    table = pd.read_csv(io.BytesIO(regular(path).read_bytes()), dtype={"run_id": "str"})
    whole = {name for name, kind in onset_columns(Thresholds()).items() if str(kind) == "int64"}
    return table.astype({name: "Int64" for name in table.columns if name in whole})


def cells(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """The cells of a table with `n`, their number of runs, in the table's order."""
    axes = ["experiment", *(axis for axis in claim.cells if axis in table)]
    return table.groupby(axes, dropna=False, sort=False).size().rename("n").reset_index()
