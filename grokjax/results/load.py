"""Reading a results folder; nothing in it is executed."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.results import manifest


@dataclasses.dataclass(frozen=True)
class Results:
    """The tables of a sweep, read when first asked for."""

    path: Path
    manifest: dict[str, Any]

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """A row a run."""
        return self._table("runs")

    @functools.cached_property
    def curves(self) -> pd.DataFrame:
        """A row a (run_id, step)."""
        return self._table("curves")

    @functools.cached_property
    def measures(self) -> pd.DataFrame:
        """A row a (run_id, step) of the instruments; empty where none was asked for."""
        return self._table("measures")

    def _table(self, name: str) -> pd.DataFrame:
        if not any((self.path / name).glob("*.parquet")):
            return pd.DataFrame({"run_id": pd.Series(dtype="str")})
        return pd.read_parquet(self.path / name)


def load(path: str | Path) -> Results:
    """The results of a sweep from its folder."""
    folder = Path(path)
    found = manifest.read(folder)
    if found is None:
        raise ConfigError(f"{folder}: no sweep.json, give the folder that a sweep has written.")
    return Results(folder, found)
