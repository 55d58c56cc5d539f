"""Rows out of the parts of a table, checked for what every reader relies on.

Columns that have a meaning of their own must be of its type, and rows must say which run they are
of, once. What a file says to pandas is not asked: types follow from the columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from grokjax.config import ConfigError, Thresholds
from grokjax.results.files import read_metadata, read_table, to_frame
from grokjax.results.outside import refuse, unreadable
from grokjax.results.reading import WORK, table_parts
from grokjax.results.schema import CURVES, MEASURES, onset_columns

if TYPE_CHECKING:
    from grokjax.results.load import Results

KEYS = {
    "runs": ["run_id"],
    "curves": ["run_id", "step"],
    "measures": ["run_id", "step", "instrument", "part"],
}
"""Columns that tell the rows of a table apart, without which it is none."""
RUNS = {
    **dict.fromkeys(["run_id", "status", "stop_reason", "error"], pa.string()),
    **dict.fromkeys(["last_step", "log_every", "n_rows", "n_train", "n_test", "lanes"], pa.int64()),
    **dict.fromkeys(["chance", "wall_s"], pa.float64()),
    **onset_columns(Thresholds()),
}
"""Columns of `runs` that mean something to a reader, whatever was swept."""
KNOWN = {
    "runs": RUNS,
    "curves": {field.name: field.type for field in CURVES},
    "measures": {field.name: field.type for field in MEASURES},
}
PANDAS = {"runs": {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}}
"""Types of whole numbers and flags where they may be missing."""


def check_known(results: Results, run_ids: Collection[str]) -> None:
    """Refuse an id that no run has, be it one that is still to be trained.

    Args:
      results: that are asked.
      run_ids: of which they have no curves.

    Raises:
      ConfigError: no run is called so.
    """
    known = {*results.runs["run_id"]}
    if any((folder / WORK).exists() for folder in (results.path, *results.others)):
        if results.others or results.planned is None:
            return  # what else is to be trained is not known
        known |= {*results.planned["run_id"]}
    if strangers := sorted(map(str, {*run_ids} - known)):
        raise ConfigError(
            f"run_id={strangers[0]!r}: there is no such run in {results.path}, give one of "
            "results.runs['run_id']."
        )


def whole(folder: Path, name: str) -> pd.DataFrame:
    """All rows of a table of a folder; of `run_id` alone where it has none.

    Raises:
      ConfigError: a part is damaged, or its rows are not those of such a table.
    """
    parts = table_parts(folder, name)
    if not parts:
        return pd.DataFrame({"run_id": pd.Series(dtype="str")})
    table = pd.concat([read(part, name) for part in parts], ignore_index=True)
    # Of curves it would take as long as reading them.
    if name != "curves" and len(twice := table[table.duplicated(KEYS[name])]):
        told = ", ".join(f"{key} {str(twice[key].iloc[0])[:40]!r}" for key in KEYS[name])
        refuse(folder / name, "", f"{len(twice)} rows are there twice, of {told}")
    return table


def read(
    path: Path,
    name: str,
    columns: Sequence[str] | None = None,
    run_ids: Collection[str] | None = None,
) -> pd.DataFrame:
    """The rows of a part.

    Args:
      path: of its file.
      name: of its table.
      columns: None: all.
      run_ids: of which runs; None: of all.
    """
    check_columns(path, name)
    wanted = None if run_ids is None else pc.field("run_id").isin(pa.array(sorted(run_ids), pa.string()))
    table = read_table(path, columns=columns, filters=wanted)
    for at, field in enumerate(table.schema):
        kind = KNOWN[name].get(field.name, field.type)
        if kind != field.type:
            table = table.set_column(at, field.name, _cast(table[field.name], kind, path))
    for key in set(KEYS[name]) & set(table.column_names):
        if gaps := table[key].null_count:
            refuse(path, f"column {key}", f"{gaps} rows have no value there")
    return to_frame(table, PANDAS.get(name))


def check_columns(path: Path, name: str, needed: Sequence[str] = ()) -> None:
    """Refuse a part without the columns of its table, or with others in their place.

    Args:
      path: of its file.
      name: of its table.
      needed: columns that must be there beside those that tell the rows apart.
    """
    schema = read_metadata(path).schema.to_arrow_schema()
    if gone := [key for key in (*KEYS[name], *needed) if key not in schema.names]:
        refuse(path, f"column {gone[0]}", "it is not there")
    for field in schema:
        if field.name in KNOWN[name] and not _stands_for(field.type, KNOWN[name][field.name]):
            wanted = KNOWN[name][field.name]
            refuse(path, f"column {field.name}", f"{field.type} stands where {wanted} belongs")


def _cast(column: pa.ChunkedArray, kind: pa.DataType, path: Path) -> pa.ChunkedArray:
    """A column in the type that it has in our tables."""
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise unreadable(path, error) from None


def _stands_for(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of a type can be read where another one belongs."""
    if pa.types.is_null(found):
        return True
    if pa.types.is_dictionary(found):
        return _stands_for(found.value_type, wanted)
    kinds: list[Any] = [pa.types.is_integer, pa.types.is_floating]
    if pa.types.is_string(wanted):
        kinds = [pa.types.is_string, pa.types.is_large_string]
    if pa.types.is_boolean(wanted):
        kinds = [pa.types.is_boolean]
    return any(is_kind(found) for is_kind in kinds)
