"""A larger budget for runs that have ended: which go on, and how their folder is told of it.

`steps` and `settle_steps` are part of what a run is called, so a run with a larger budget has
another id. A folder whose budget grows is rewritten as if the larger one had been asked for at
once: every row gets the id of its run under the new budget; the rows of runs that the new budget
would have ended at the same log point stay; the others go on from the states that they ended in,
or begin again where these were not kept.

The manifest is written first, with the old budget beside the new one, and then the rows are
committed under their new ids. A start that finds both does the rest, which can be done twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa

from grokjax.config import ConfigError, Experiment
from grokjax.engine import final_states, results_folder
from grokjax.engine.checkpoint import Checkpoints
from grokjax.engine.ending import ending
from grokjax.engine.standing import read_standing
from grokjax.results import manifest, snapshots
from grokjax.results.reading import CHECKPOINTS
from grokjax.results.shapes import Manifest
from grokjax.training.spec import hparams, spec_of

LOOKED_AT = ("train_loss", "train_accuracy", "test_accuracy", "weight_norm")
"""Metrics that decide whether a run has ended."""
RUNS_AT_ONCE = 1000
"""Runs whose curves are in memory together."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """What a larger budget makes of the runs that a folder holds; all ids are the new ones."""

    ids: Mapping[str, str]
    """Id of a run under the old budget → under the new one."""
    stays: Mapping[str, str]
    """Runs that stay ended → why they ended."""
    goes_on: Mapping[str, int]
    """Runs that go on from the states they ended in → their last step."""
    begins_again: frozenset[str]
    """Runs that are trained from the start: their states were not kept, or would not do."""

    def describe(self) -> str:
        """The growth in words."""
        words = f"a larger budget: {len(self.goes_on)} runs go on from where they ended"
        if self.begins_again:
            words += f", {len(self.begins_again)} begin again (their last states were not kept, or "
            words += "snapshots depend on the budget)"
        return f"{words}, {len(self.stays)} stay as they are"


def growth_of(folder: Path, experiment: Experiment, old: Manifest) -> Growth | None:
    """What a start with this experiment makes of a folder; None where its budget is not larger.

    Args:
      folder: of the results.
      experiment: with the larger budget, the cells of its rounds in its sweep.
      old: manifest in the folder.

    Raises:
      ConfigError: the folder holds runs that the grid does not have.
    """
    former = _former_budgets(experiment, old)
    return _growth(_Folder(folder, old), experiment, former) if former else None


def grow(folder: Path, experiment: Experiment, old: Manifest) -> Growth | None:
    """Give the runs of a folder that is locked the budget of an experiment, if it is larger.

    Arguments and errors are those of `growth_of`.
    """
    former = _former_budgets(experiment, old)
    if not former:
        return None
    opened = _Folder(folder, old)
    growth = _growth(opened, experiment, former)
    base = {**old["base"], **{path: getattr(experiment, path) for path in former[0]}}
    marked: Manifest = {**old, "base": base, "growing": former}
    manifest.write(folder, marked)
    opened.standing.store.recover()
    _commit(opened, experiment, growth)
    snapshots.rename(folder, growth.ids)
    final_states.rename(folder, growth.ids)
    del marked["growing"]
    manifest.write(folder, marked)
    return growth


class _Folder:
    """A folder with where its sweep stands."""

    def __init__(self, path: Path, old: Manifest) -> None:
        self.path, self.manifest = path, old
        self.standing = read_standing(path, old)


def _former_budgets(experiment: Experiment, old: Manifest) -> list[dict[str, Any]]:
    """The budgets that rows of a folder may have, where they are smaller than the experiment's."""
    now = manifest.smaller_budget(old, experiment)
    return [*old.get("growing", []), *([now] if now else [])]


def _growth(opened: _Folder, experiment: Experiment, former: list[dict[str, Any]]) -> Growth:
    ids: dict[str, str] = {}
    runs: dict[str, tuple[Experiment, Experiment]] = {}
    large_runs = results_folder.called_as_before(experiment, opened.manifest).expansion.runs
    for budget in reversed(former):  # the smallest last, of which the runs are
        smaller = results_folder.called_as_before(experiment.replaced(**budget), opened.manifest)
        both = (smaller.expansion.runs.items(), large_runs.items())
        for (was, small), (now, large) in zip(*both, strict=True):
            ids[was], runs[now] = now, (small, large)
    ended = opened.standing.store.ended(("run_id", "status", "stop_reason", "last_step"))
    ended["run_id"] = ended["run_id"].map(lambda run_id: ids.get(run_id, run_id))
    if strangers := set(ended["run_id"]) - runs.keys():
        budget = ", ".join(f"{path}={getattr(experiment, path)!r}" for path in former[0])
        raise ConfigError(
            f"{budget}: {len(strangers)} runs in {opened.path} are not in the grid, so that their "
            "budget cannot grow; give the grid that has them, or choose another --out."
        )
    stays: dict[str, str] = {}
    asked: dict[str, int] = {}
    for run_id, status, reason, last in ended.itertuples(index=False):
        small, large = runs[run_id]
        settled = reason == "settled" and small.settle_steps == large.settle_steps
        if status == "failed" or reason == "diverged" or settled:
            stays[run_id] = reason
        else:
            asked[run_id] = int(last)
    stays |= _ended_all_the_same(opened, experiment, ids, {now: runs[now][1] for now in asked})
    kept = {(ids.get(f.run_id, f.run_id), f.step) for f in final_states.files(opened.path)}
    left = {run_id: last for run_id, last in asked.items() if run_id not in stays}
    goes_on = {
        run_id: last
        for run_id, last in left.items()
        if (run_id, last) in kept and _same_updates(*runs[run_id])
    }
    return Growth(ids, stays, goes_on, frozenset(left.keys() - goes_on.keys()))


def _ended_all_the_same(
    opened: _Folder,
    experiment: Experiment,
    ids: Mapping[str, str],
    runs: Mapping[str, Experiment],
) -> dict[str, str]:
    """Those of some runs that end with their last log point under the new budget too, and why."""
    found: dict[str, str] = {}
    waiting = list(runs)
    for start in range(0, len(waiting), RUNS_AT_ONCE):
        chosen = set(waiting[start : start + RUNS_AT_ONCE])
        stored_as = {*chosen, *(was for was, now in ids.items() if now in chosen)}
        curves = opened.standing.store.curves(stored_as, ["run_id", "step", *LOOKED_AT])
        for stored, curve in curves.groupby("run_id"):
            run_id = ids.get(str(stored), str(stored))
            columns = {name: curve[name].to_numpy() for name in ("step", *LOOKED_AT)}
            end = ending(runs[run_id], experiment.thresholds, columns)
            if end.reason is not None and end.rows == len(curve):
                found[run_id] = end.reason
    return found


def _same_updates(small: Experiment, large: Experiment) -> bool:
    """Whether a run does the same under both budgets, as far as the smaller one goes."""
    if spec_of(small) != spec_of(large):
        return False
    leaves = (jax.tree.leaves(hparams(run)) for run in (small, large))
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def _commit(opened: _Folder, experiment: Experiment, growth: Growth) -> None:
    """Commit the rows under their new ids, those of the lanes too, as one tick."""
    standing = opened.standing
    checkpoints = Checkpoints(opened.path / CHECKPOINTS)
    record = standing.store.rewrite(partial(_rewritten, experiment, growth))
    lanes = [
        lane and {**lane, "run_id": growth.ids.get(lane["run_id"], lane["run_id"])}
        for lane in standing.note["lanes"]
    ]
    note = {**standing.note, "lanes": lanes, "parts": record}
    note["forget"] = sorted({*note["forget"], *growth.begins_again})
    checkpoints.save(standing.tick + 1, note, checkpoints.arrays(standing.tick, standing.note))
    standing.store.install(record)


def _rewritten(experiment: Experiment, growth: Growth, name: str, table: pa.Table) -> pa.Table:
    """The rows of a table under the new budget; those of runs that go on end later, elsewhere."""
    old = table["run_id"].to_pylist()
    ids = [growth.ids.get(run_id, run_id) for run_id in old]
    table = _with(table, "run_id", ids)
    dropped = set(growth.begins_again)
    if name == "runs":
        dropped |= growth.goes_on.keys()
        reasons = dict(zip(ids, table["stop_reason"].to_pylist(), strict=True))
        table = _with(table, "stop_reason", [growth.stays.get(i, reasons[i]) for i in ids])
        for path in manifest.BUDGET:
            if path in table.column_names:
                table = _with(table, path, [getattr(experiment, path)] * len(ids))
    return table.filter(pa.array([run_id not in dropped for run_id in ids], pa.bool_()))


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.field(at), pa.array(values, table.field(at).type))
