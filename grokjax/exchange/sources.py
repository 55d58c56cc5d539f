"""What `read_curves` is given: files, folders, trackers, tables in memory → their tables."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import config_files, formats, wandb_runs
from grokjax.exchange.formats import Found, Table
from grokjax.results.manifest import NAME


class HasDataFrame(Protocol):
    """An `xarray.Dataset`, or what else gives itself as a table."""

    def to_dataframe(self) -> pd.DataFrame:
        """As a table, its dimensions in the index."""
        ...


Source = str | Path | pd.DataFrame | Mapping[str, Any] | HasDataFrame


def path_of(source: Source) -> Path | None:
    """The file or folder that a source is."""
    named = isinstance(source, (str, Path)) and not str(source).startswith(wandb_runs.MARK)
    return Path(str(source)) if named else None


def each(sources: Sequence[Source]) -> list[Found]:
    """What each source holds, under names by which runs of several sources are told apart."""
    paths = [path_of(source) for source in sources]
    folders = [path and (path if path.is_dir() else path.parent).resolve() for path in paths]
    top = os.path.commonpath([place for place in folders if place] or [Path()])
    found = [
        found_in(source, place.relative_to(top).parts if place else ())
        for source, place in zip(sources, folders, strict=True)
    ]
    memory = [at for at, source in enumerate(sources) if not isinstance(source, (str, Path))]
    called = Counter(name for at in memory for name in {table.names for table in found[at].curves})
    for number, at in enumerate(memory):
        tables = [
            dataclasses.replace(table, names=(str(number), *table.names))
            if called[table.names] > 1
            else table
            for table in found[at].curves
        ]
        found[at] = dataclasses.replace(found[at], curves=tables)
    return found


def found_in(source: Source, above: Sequence[str] = (), of_runs: bool = False) -> Found:
    """The tables that a source holds, whose place is below the folders `above`."""
    if isinstance(source, (str, Path)):
        if str(source).startswith(wandb_runs.MARK):
            return Found(wandb_runs.read(str(source)), [], [], [])
        path = Path(source)
        if not path.exists():
            raise ConfigError(f"{path}: there is no such file or folder, give curves to read.")
        if path.is_dir():
            if (path / NAME).exists():
                raise ConfigError(
                    f"{path}: it is a results folder already, open it with grokjax.load."
                )
            return formats.read_folder(path, above)
        if of_runs and path.suffix.lower() in (".yaml", ".yml"):
            return Found(
                [Table(str(path), pd.DataFrame(), (), config_files.read(path))], [], [], []
            )
        if of_runs and path.suffix.lower() == ".json":
            return Found([formats.read_settings(path)], [], [], [])
        config = {} if of_runs else config_files.beside(path, path.parent)
        return Found(formats.read_file(path, (*above, path.name), config), [], [], [])
    if isinstance(source, pd.DataFrame):
        indexed = [name for name in source.index.names if name is not None]
        return Found([Table("the DataFrame", source.reset_index(indexed))], [], [], [])
    if hasattr(source, "to_dataframe"):
        return Found([Table("the Dataset", source.to_dataframe().reset_index())], [], [], [])
    if isinstance(source, Mapping):
        return _of_mapping(source)
    raise ConfigError(f"sources={source!r}: give a path, a DataFrame or a dictionary of columns.")


def _of_mapping(source: Mapping[str, Any]) -> Found:
    """Columns by name, or runs by name."""
    if source and all(isinstance(value, (pd.DataFrame, Mapping)) for value in source.values()):
        parts = {name: found_in(value).curves for name, value in source.items()}
        found = [
            dataclasses.replace(table, source=f"the run {name}", names=(str(name), *table.names))
            for name, tables in parts.items()
            for table in tables
        ]
        return Found(found, [], [], [])
    try:
        frame = pd.DataFrame({name: list(column) for name, column in source.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"sources: no dictionary of columns ({error}).") from None
    return Found([Table("the dictionary", frame)], [], [], [])
