"""Reading results folders; nothing in them is executed."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from grokjax.config import ConfigError, Thresholds
from grokjax.config.identity import column
from grokjax.config.coercion import require
from grokjax.results import manifest, parts, snapshots
from grokjax.results.files import fingerprint, read_metadata, read_table
from grokjax.results.manifest import Manifest
from grokjax.results.snapshots import Snapshot


MEASURED = ["run_id", "step", "instrument", "part"]
"""Columns that tell the rows of `measures` apart."""
WORK = ".work"
"""Folder of checkpoints and lock, of a sweep that is not finished."""


@dataclasses.dataclass(frozen=True)
class Results:
    """The tables of a sweep, or of several joined, read when first asked for."""

    path: Path
    manifest: Manifest
    """What `sweep.json` of the first folder says; see `results.manifest.Manifest`."""
    others: tuple[Path, ...] = ()
    """Further folders; a run that an earlier one has is left out."""

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """A row a run."""
        return self._table("runs")

    @functools.cached_property
    def curves(self) -> pd.DataFrame:
        """A row a (run_id, step), all of them in memory; `curves_of` reads less."""
        return self._table("curves")

    @functools.cached_property
    def measures(self) -> pd.DataFrame:
        """A row a (run_id, step) of the instruments; empty where none was asked for."""
        return self._table("measures")

    @property
    def finished(self) -> bool:
        """Whether the sweep has trained all of its runs; what it needs to go on is gone then."""
        return not (self.path / WORK).exists()

    @functools.cached_property
    def thresholds(self) -> Thresholds:
        """What the onset columns of `runs` were computed with; defaults where none are stored."""
        stored = self.manifest.get("thresholds", {})
        known = {field.name for field in dataclasses.fields(Thresholds)}
        return Thresholds(**{name: value for name, value in stored.items() if name in known})

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Column → the values that the sweep gave it, or that joined sweeps differ in."""
        manifests = [self.manifest, *(_manifest(folder) for folder in self.others)]
        bases = [found.get("base", {}) for found in manifests]
        swept = {path for found in manifests for path in found.get("axes", {})}
        differing = {p for base in bases for p in base if any(b.get(p) != base[p] for b in bases)}
        axes: dict[str, list[Any]] = {}
        for found, base in zip(manifests, bases, strict=True):
            fixed = {path: [base.get(path)] for path in sorted(differing - swept)}
            for path, values in {**found.get("axes", {}), **fixed}.items():
                known = axes.setdefault(column(path), [])
                known += [value for value in values if value not in known]
        return axes

    @property
    def n_curve_rows(self) -> int:
        """Rows of the curves, from the headers of their files."""
        if "curves" in vars(self):
            return len(self.curves)
        return sum(read_metadata(part).num_rows for part in self._parts("curves"))

    def curves_of(
        self, run_ids: Collection[str], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The curves of some runs, with `run_id` and the columns asked for; one scan of the files."""
        names = None if columns is None else ["run_id", *columns]
        if "curves" in vars(self):  # read already, and perhaps the folder is gone
            rows = self.curves[self.curves["run_id"].isin(run_ids)]
            return rows if names is None else rows[names]
        if not self._parts("curves") or not len(run_ids):
            return pd.DataFrame(columns=["run_id", *(columns or ["step"])])
        wanted = pc.field("run_id").isin(pa.array(sorted(run_ids), pa.string()))
        found = []
        for folder in (self.path, *self.others):
            if parts := _parts(folder, "curves"):
                tables = [read_table(part, columns=names, filters=wanted) for part in parts]
                found.append(pa.concat_tables(tables, promote_options="default").to_pandas())
        table = pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]
        return table.drop_duplicates(["run_id", "step"]) if self.others else table

    @functools.cached_property
    def snapshots(self) -> pd.DataFrame:
        """`run_id` and `step` of all parameters that were kept."""
        found = [(s.run_id, s.step) for s in self._snapshots()]
        return pd.DataFrame(found, columns=["run_id", "step"])

    def snapshot(self, run_id: str, step: int | str) -> dict[str, Any]:
        """Parameters of a run as nested dictionaries of arrays.

        Args:
          run_id: which run.
          step: an update, or `t_mem`, `t_grok` or `end`, its last log point.

        Raises:
          ConfigError: they were not kept.
        """
        return snapshots.nested(snapshots.read(self.find_snapshot(run_id, step)), "params")

    def find_snapshot(self, run_id: str, step: int | str) -> Snapshot:
        """The file of a snapshot; the arguments are those of `snapshot`."""
        of_run = {s.step: s for s in self._snapshots() if s.run_id == run_id}
        rows = self.runs[self.runs["run_id"] == run_id]
        if not len(rows):
            raise ConfigError(f"run_id={run_id!r}: no such run has ended in {self.path}.")
        at: Any = step
        if isinstance(step, str):
            remedy = "give an update, or one of t_mem, t_grok, end"
            require(step in ("t_mem", "t_grok", "end"), "step", step, remedy)
            at = rows["last_step" if step == "end" else step].iloc[0]
        if pd.isna(at) or int(at) not in of_run:
            kept = ", ".join(map(str, of_run)) or "none"
            seen = step if pd.isna(at) or step == at else f"{step} (step {at})"
            raise ConfigError(
                f"step={seen!r}: run {run_id} of {self.path} has no snapshot there "
                f"({kept} {'is' if len(of_run) == 1 else 'are'} kept), choose another or keep it "
                "with snapshots=SnapshotSchedule(...)."
            )
        return of_run[int(at)]

    def _snapshots(self) -> list[Snapshot]:
        """Every snapshot once: where several joined folders have it, the first one's."""
        folders = (self.path, *self.others)
        each = {(s.run_id, s.step): s for folder in folders[::-1] for s in snapshots.found(folder)}
        return [each[key] for key in sorted(each)]

    def _parts(self, name: str) -> list[Path]:
        return [part for folder in (self.path, *self.others) for part in _parts(folder, name)]

    def _table(self, name: str) -> pd.DataFrame:
        parts = self._parts(name)
        if not parts:
            return pd.DataFrame({"run_id": pd.Series(dtype="str")})
        table = pd.concat([read_table(part).to_pandas() for part in parts], ignore_index=True)
        keys = {"runs": ["run_id"], "curves": ["run_id", "step"], "measures": MEASURED}
        return table.drop_duplicates(keys[name], ignore_index=True) if self.others else table


def load(path: str | Path, *more: str | Path) -> Results:
    """The results of a sweep from its folder, or of several sweeps joined.

        >>> import grokjax
        >>> results = grokjax.load("results/recorded/quickstart")
        >>> len(results.runs), results.axes["weight_decay"]
        (27, [0.2, 0.5, 1.0])

    Args:
      path: folder of a sweep.
      *more: folders of further sweeps; a run that an earlier one has is left out.

    Raises:
      ConfigError: a folder holds no sweep, or the sweeps differ in what their columns are or mean.
    """
    folder, others = Path(path), tuple(Path(other) for other in more)
    results = Results(folder, _manifest(folder), others)
    for other in others:
        _check_joins(results, Results(other, _manifest(other)))
    return results


def _parts(folder: Path, name: str) -> list[Path]:
    """The files of a table; a finished sweep must have those that its manifest records.

    Pages have checksums, which are compared as they are read. Of runs, which are few, the columns'
    descriptions are most of the file and have none, so their hash is compared.
    """
    paths = sorted((folder / name).glob("*.parquet"))
    if not (folder / WORK).exists():
        there = {path.name for path in paths}
        for part, recorded in _manifest(folder).get("parts", {}).get(name, {}).items():
            path = folder / name / part
            whole = part in there
            if whole and name == "runs":
                whole = fingerprint(path) == recorded["blake2b"]
            if not whole:
                raise parts.refusal([path])
    return paths


def _manifest(folder: Path) -> Manifest:
    found = manifest.read(folder)
    if found is None:
        raise ConfigError(f"{folder}: no sweep.json, give the folder that a sweep has written.")
    return found


def _check_joins(one: Results, other: Results) -> None:
    if one.thresholds != other.thresholds:
        raise ConfigError(
            f"{other.path}: its thresholds are not those of {one.path}, so that its times mean "
            "something else; look at the two folders one by one."
        )
    for results in (one, other):
        if not results._parts("runs"):
            raise ConfigError(f"{results.path}: no run has ended there yet, join it later.")
    columns = [
        set(read_metadata(r._parts("runs")[0]).schema.to_arrow_schema().names)
        for r in (one, other)
    ]
    if differing := sorted(columns[0] ^ columns[1]):
        raise ConfigError(
            f"{other.path}: {', '.join(differing)} is a column of one folder only, join folders "
            f"of one kind with {one.path}."
        )
