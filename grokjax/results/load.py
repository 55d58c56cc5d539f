"""Reading results folders; nothing in them is executed."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grokjax.config import ConfigError, Experiment, Thresholds
from grokjax.config.identity import column
from grokjax.config.coercion import require
from grokjax.text import printable
from grokjax.results import joins, manifest, snapshots, tables
from grokjax.results.files import read_metadata
from grokjax.results.schema import wide_measures
from grokjax.results.outside import check_shape, read_json
from grokjax.results.reading import PLAN, WORK, manifest_of, table_parts
from grokjax.results.shapes import Manifest, Plain, Planned
from grokjax.results.snapshots import Snapshot

if TYPE_CHECKING:
    import xarray

    from grokjax.analysis.summary import Summary
    from grokjax.weights import Network, Split

@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Results:
    """The tables of a sweep, or of several joined, read when first asked for.

        >>> import grokjax
        >>> grokjax.load("results/recorded/quickstart")
        <Results results/recorded/quickstart: 27 runs, 18 grokked; weight_decay (3) × train_fraction (3) × seed (3)>
    """

    path: Path
    manifest: Manifest
    """What `sweep.json` of the first folder says; see `results.manifest.Manifest`."""
    others: tuple[Path, ...] = ()
    """Further folders; a run that an earlier one has is left out."""
    asked: Thresholds | None = None
    """Thresholds that `runs` follows instead of the stored ones; see `with_thresholds`."""
    gaps: tuple[str, ...] = ()
    """A sentence for each table that is damaged and left out; see `results.gaps`."""
    holds: object = None
    """What keeps the folder there as long as these results, where it is a temporary one."""

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
        """A row a (run_id, step, instrument, part); empty where no instrument was asked for."""
        if not self.path.exists():  # tables that were made up, or whose folder is gone
            return pd.DataFrame({"run_id": pd.Series(dtype="str")})
        return self._table("measures")

    def measures_wide(self, instruments: Sequence[str] | None = None) -> pd.DataFrame:
        """The measures with a column each, `instrument.part`, beside `run_id` and `step`.

        Args:
          instruments: kinds to take; None: all. At a step where one has not measured it has NaN.
        """
        if instruments is None:
            return self._wide
        rows = self.measures
        return wide_measures(rows[rows["instrument"].isin(list(instruments))])

    @functools.cached_property
    def _wide(self) -> pd.DataFrame:
        return wide_measures(self.measures)  # once: it takes a second for 100 runs

    @property
    def finished(self) -> bool:
        """Whether the sweep has trained all of its runs; what it needs to go on is gone then."""
        return not (self.path / WORK).exists()

    @functools.cached_property
    def planned(self) -> pd.DataFrame | None:
        """A row a run that an unfinished sweep is to train: `run_id`, `program` and the axes.

        None where it is finished, or has not begun.
        """
        path = self.path / PLAN
        if self.finished or not path.exists():
            return None
        rows = read_json(path)
        check_shape(rows, list[Planned], path)
        check_shape(rows, list[dict[str, Plain]], path)
        return pd.DataFrame(rows, columns=None if rows else ["run_id", "program"])

    @property
    def how_much_is_in(self) -> str:
        """How many runs and programs of an unfinished sweep are in; empty where it is finished."""
        if self.finished:
            return ""
        if self.planned is None:
            return "how much is in is not known"
        ended = self.planned["run_id"].isin(self.runs["run_id"])
        whole = ended.groupby(self.planned["program"]).all()
        return (
            f"{ended.sum()} of {len(ended)} runs and {whole.sum()} of {len(whole)} programs are in"
        )

    @functools.cached_property
    def thresholds(self) -> Thresholds:
        """What the onset columns of `runs` are by; defaults where none are stored or asked for."""
        if self.asked is not None:
            return self.asked
        return manifest.thresholds(self.manifest, self.path / manifest.NAME)

    @property
    def axes(self) -> dict[str, list[Any]]:
        """Column → the values that the sweep gave it, or that joined sweeps differ in."""
        manifests = [self.manifest, *(manifest_of(folder) for folder in self.others)]
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
        return sum(read_metadata(part).num_rows for part in self.parts_of("curves"))

    @property
    def curve_columns(self) -> list[str]:
        """The columns that all of the curves have, from the headers of their files."""
        if "curves" in vars(self):
            return list(self.curves.columns)
        parts = [read_metadata(p).schema.to_arrow_schema().names for p in self.parts_of("curves")]
        return [name for name in parts[0] if all(name in names for names in parts)] if parts else []

    def curves_of(
        self, run_ids: str | Collection[str], columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The curves of a run or of several, by one scan of the files.

        Args:
          run_ids: an id, or several.
          columns: beside `run_id`, of `curve_columns`; None: all.

        Raises:
          ConfigError: the curves have no such column, or there is no such run.
        """
        run_ids = [run_ids] if isinstance(run_ids, str) else run_ids
        names = None if columns is None else ["run_id", *columns]
        known = self.curve_columns if names else []
        if gone := [name for name in names or () if known and name not in known]:
            raise ConfigError(f"columns={gone[0]!r}: choose of those of curves, {', '.join(known)}.")
        if "curves" in vars(self):  # read already, and perhaps the folder is gone
            table = self.curves[self.curves["run_id"].isin(run_ids)]
            table = table if names is None else table[names]
        elif not (parts := self.parts_of("curves")) or not len(run_ids):
            table = pd.DataFrame(columns=["run_id", *(columns or ["step"])])
        else:
            found = [tables.read(part, "curves", names, run_ids) for part in parts]
            table = pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]
            table = table.drop_duplicates(["run_id", "step"]) if self.others else table
        if without := {*run_ids} - {*table["run_id"].unique()}:
            tables.check_known(self, without)
        return table

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

    def with_thresholds(self, thresholds: Thresholds | None = None, **changes: Any) -> Results:
        """The same results by other thresholds: times and phases are read off the curves again.

            >>> import grokjax
            >>> results = grokjax.load("results/recorded/quickstart")
            >>> int(results.with_thresholds(grokked=0.5).runs["t_grok"].notna().sum())
            19

        Args:
          thresholds: all of them; None: those of these results.
          **changes: fields of `Thresholds` to replace.
        """
        asked = dataclasses.replace(thresholds or self.thresholds, **changes)
        runs = _rooms().analysis.onset.table(self, asked)
        new = dataclasses.replace(self, asked=asked)
        vars(new)["runs"] = runs
        for name in {"curves", "measures"} & vars(self).keys():
            vars(new)[name] = vars(self)[name]
        return new

    def summary(self, x: str | None = None, y: str | None = None) -> Summary:
        """`grokjax.phase.summarise` of these results: cells, zone, laws and warnings."""
        return _rooms().phase.summarise(self, x, y)

    def cells(self, axes: str | Sequence[str] | None = None, metric: str = "t_grok") -> pd.DataFrame:
        """`grokjax.phase.cells` of these results: a row a cell of some columns."""
        return _rooms().phase.cells(self, axes, metric)

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """`grokjax.phase.plot` of these results: a figure, the map of phases where there is one."""
        return _rooms().phase.plot(self, kind, **options)

    def network(
        self, run_id: str, step: int | str = "end", experiment: Experiment | None = None
    ) -> Network:
        """`grokjax.weights.network` of these results: a function of rows, with named parameters."""
        return _rooms().weights.network(self, run_id, step, experiment)

    def split(self, run_id: str, step: int = 0, experiment: Experiment | None = None) -> Split:
        """`grokjax.weights.training_split` of these results: training and test rows of a run."""
        return _rooms().weights.training_split(self, run_id, step, experiment)

    def to_csv(self, folder: str | Path) -> list[Path]:
        """`grokjax.exchange.write.to_csv` of these results: `runs.csv`, `curves.csv`, `measures.csv`."""
        return _rooms().exchange.write.to_csv(self, folder)

    def to_tensorboard(self, folder: str | Path) -> list[Path]:
        """`grokjax.exchange.write.to_tensorboard` of these results: an event file a run."""
        return _rooms().exchange.write.to_tensorboard(self, folder)

    def to_wandb(self, project: str, *, mode: str | None = None, **options: Any) -> list[str]:
        """`grokjax.exchange.write.to_wandb` of these results: a run of a project each."""
        return _rooms().exchange.write.to_wandb(self, project, mode=mode, **options)

    def to_xarray(self, over: Sequence[str] | None = None) -> xarray.Dataset:
        """`grokjax.exchange.write.to_xarray` of these results: arrays over axes and steps."""
        return _rooms().exchange.write.to_xarray(self, over)

    def __repr__(self) -> str:
        return printable(f"<Results {self.path}{self._joined()}: {self._told()}>")

    def _repr_html_(self) -> str:
        path = html.escape(f"{self.path}{self._joined()}")
        return f"<p><b>{path}</b>: {html.escape(self._told())}</p>" + self.runs.head().to_html()

    def _joined(self) -> str:
        return f" and {len(self.others)} more" * bool(self.others)

    def _told(self) -> str:
        """How much is in, and of what, in words."""
        runs = self.runs
        if runs.empty:
            return f"no run has ended yet; {self.how_much_is_in}"
        told = "t_grok" in runs and not _rooms().analysis.cells.untested(runs).all()
        grokked = f", {int(runs['t_grok'].notna().sum())} grokked" if told else ""
        axes = [f"{name} ({len(values)})" for name, values in self.axes.items() if len(values) > 1]
        unfinished = "" if self.finished else f"; {self.how_much_is_in}"
        return f"{len(runs)} runs{grokked}; {' × '.join(axes) or 'no axes'}{unfinished}"

    def _snapshots(self) -> list[Snapshot]:
        """Every snapshot once: where several joined folders have it, the first one's."""
        folders = (self.path, *self.others)
        each = {(s.run_id, s.step): s for folder in folders[::-1] for s in snapshots.found(folder)}
        return [each[key] for key in sorted(each)]

    def parts_of(self, name: str) -> list[Path]:
        """The files of a table, each as it was committed."""
        return [part for folder in (self.path, *self.others) for part in table_parts(folder, name)]

    def _table(self, name: str) -> pd.DataFrame:
        folders = [tables.whole(folder, name) for folder in (self.path, *self.others)]
        table = pd.concat(folders, ignore_index=True) if self.others else folders[0]
        return table.drop_duplicates(tables.KEYS[name], ignore_index=True) if self.others else table


def _rooms() -> Any:
    """The package: the methods that lead to rooms above this one ask for them when they run."""
    import grokjax

    return grokjax


def load(path: str | Path, *more: str | Path, join_anyway: bool = False) -> Results:
    """The results of a sweep from its folder, or of several sweeps joined.

        >>> import grokjax
        >>> results = grokjax.load("results/recorded/quickstart")
        >>> len(results.runs), results.axes["weight_decay"]
        (27, [0.2, 0.5, 1.0])

    Args:
      path: folder of a sweep.
      *more: folders of further sweeps; a run that an earlier one has is left out.
      join_anyway: join sweeps of different bases too; what these differ in becomes an axis.

    Raises:
      ConfigError: a folder holds no sweep, or the sweeps differ in what their columns are or mean,
        or in fields that none of them sweeps.
    """
    folder, others = Path(path), tuple(Path(other) for other in more)
    results = Results(folder, manifest_of(folder), others)
    for other in others:
        joins.check(results, Results(other, manifest_of(other)), join_anyway)
    return results
