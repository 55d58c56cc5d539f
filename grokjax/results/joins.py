"""Whether the tables of two results folders can stand below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grokjax.config import ConfigError
from grokjax.results.files import read_metadata
from grokjax.results.reading import table_parts

if TYPE_CHECKING:
    from grokjax.results.load import Results


def check(one: Results, other: Results, join_anyway: bool) -> None:
    """Refuse to join sweeps of different kinds.

    Args:
      one: of a folder.
      other: of another one.
      join_anyway: whether bases may differ, so that what they differ in becomes an axis.

    Raises:
      ConfigError: they differ in what their columns are or mean, or in fields that neither sweeps.
    """
    swept = {*one.manifest.get("axes", {}), *other.manifest.get("axes", {})}
    bases = [results.manifest.get("base", {}) for results in (one, other)]
    common = bases[0].keys() & bases[1].keys() - swept
    unlike = [f"{p}: {bases[0][p]!r}, {bases[1][p]!r}" for p in sorted(common)
              if bases[0][p] != bases[1][p] and not p.startswith("thresholds.")]  # fmt: skip
    if unlike and not join_anyway:
        raise ConfigError(
            f"{other.path}: no sweep of the kind of {one.path}, they differ in "
            f"{'; '.join(unlike[:5])}{' and more' * (len(unlike) > 5)}; look at them one by one, or "
            "make an axis of it with --join-anyway (in Python, join_anyway=True)."
        )
    if one.thresholds != other.thresholds:
        raise ConfigError(
            f"{other.path}: its thresholds are not those of {one.path}, so that its times mean "
            "something else; look at the two folders one by one."
        )
    for results in (one, other):
        if not table_parts(results.path, "runs"):
            raise ConfigError(f"{results.path}: no run has ended there yet, join it later.")
    columns = [
        set(read_metadata(table_parts(r.path, "runs")[0]).schema.to_arrow_schema().names)
        for r in (one, other)
    ]
    if differing := sorted(columns[0] ^ columns[1]):
        raise ConfigError(
            f"{other.path}: {', '.join(differing)} is a column of one folder only, join folders "
            f"of one kind with {one.path}."
        )
