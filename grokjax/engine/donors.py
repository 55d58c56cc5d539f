"""Donors: runs of earlier sweeps whose parameters other runs start from, or make masks of.

They are looked up when a sweep is planned and read when its runs start.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
import pandas as pd

from grokjax.config import Config, ConfigError, Experiment, source
from grokjax.config.donors import Donor
from grokjax.config.refusals import shown
from grokjax.results import manifest, snapshots
from grokjax.results.load import Results, load
from grokjax.training import loop
from grokjax.training.loop import Donors
from grokjax.training.spec import Spec, shapes

REAL = ("F", "BF")
"""How the types of floating-point numbers begin in a snapshot's file."""


@dataclasses.dataclass(frozen=True)
class DonorFiles:
    """The snapshots of a run's donors, None where it has none."""

    start: snapshots.Snapshot | None = None
    mask: snapshots.Snapshot | None = None

    def columns(self) -> dict[str, str]:
        """Column of the runs table → id of the donor run."""
        found = {"start_donor": self.start, "mask_donor": self.mask}
        return {name: donor.run_id for name, donor in found.items() if donor}


def find(run: Experiment, told_by: Path | None = None) -> DonorFiles:
    """The donors of a run, looked up in the folders that it names.

    Args:
      run: that needs them.
      told_by: the results folder that tells of the run, where nobody else does: it may lead to
        folders beside it only.

    Raises:
      ConfigError: there is no such sweep, run or snapshot, or more than one run fits.
    """
    if run.start is None and run.mask is None:
        return DonorFiles()
    for donor in (run.start, run.mask):
        beside = told_by and told_by.resolve().parent
        if donor and beside and not Path(donor.path).resolve().is_relative_to(beside):
            raise ConfigError(
                f"{told_by}: its runs start from {donor.path!r}, which lies elsewhere; give the "
                "experiment (--experiment FILE) to have that folder read."
            )
    row = run.row()
    return DonorFiles(
        _snapshot("start", run.start, row) if run.start else None,
        _snapshot("mask", run.mask, row) if run.mask else None,
    )


def matched(run: Experiment) -> set[str]:
    """Columns of a run that its donors are looked up by."""
    found: set[str] = set()
    for name, donor in (("start", run.start), ("mask", run.mask)):
        if donor is not None and donor.run_id is None:
            found |= set(_match(donor, _sweep(name, donor)))
    return found


def trace(spec: Spec) -> None:
    """Trace a segment that has a user's own words: their mistakes show before anything is written.

    Raises:
      ConfigError: where one of them fails, or gives what it should not.
    """
    words = (spec.task, *jax.tree.leaves(spec.words, is_leaf=_is_word), *spec.instruments)
    if any(source.checksum(type(word)) for word in words):
        with jax.enable_x64(spec.double):
            jax.eval_shape(partial(loop.segment, spec, 1), shapes(spec), state_shapes(spec))


def _is_word(part: object) -> bool:
    return isinstance(part, Config)


def check(spec: Spec, found: DonorFiles) -> None:
    """Refuse donors whose parameters have not the names and shapes of the spec's network."""
    if found == DonorFiles():
        return
    state = state_shapes(spec)
    for name, snapshot in (("start", found.start), ("mask", found.mask)):
        if snapshot is None:
            continue
        wanted = by_name({"params": state.params})
        if name == "start" and spec.donates_optimizer:
            wanted |= by_name({"optimizer": state.optimizer})
        given, types = snapshots.shapes(snapshot), snapshots.types(snapshot)
        for path, leaf in wanted.items():
            if given.get(path) != leaf.shape:
                has = f"has the shape {given[path]}" if path in given else "is missing"
                raise ConfigError(
                    f"{name}={str(snapshot.path)!r}: {path} {has} there, but this network's has "
                    f"{leaf.shape}; give a donor of the same task, model and optimiser."
                )
            real = np.issubdtype(leaf.dtype, np.floating)
            if real and not types[path].startswith(REAL):
                raise ConfigError(
                    f"{name}={str(snapshot.path)!r}: {path} is of type {types[path]} there, and no "
                    "weights are, give a snapshot as a sweep has written it."
                )
        if name == "mask":
            _check_finite(snapshot, wanted)


def _check_finite(snapshot: snapshots.Snapshot, wanted: Iterable[str]) -> None:
    """Refuse a donor of a mask whose weights have no order."""
    arrays = snapshots.read(snapshot)
    for path in wanted:
        if not np.isfinite(arrays[path]).all():
            raise ConfigError(
                f"mask={str(snapshot.path)!r}: {path} has values that are no finite numbers, of "
                "which none is the largest; give a donor that has not diverged, or an earlier step."
            )


def read(spec: Spec, found: DonorFiles) -> Donors:
    """The arrays of a run's donors, read from their snapshots."""
    state = state_shapes(spec)
    start = (
        filled({"params": state.params}, snapshots.read(found.start))["params"]
        if found.start
        else None
    )
    mask = (
        filled({"params": state.params}, snapshots.read(found.mask))["params"]
        if found.mask
        else None
    )
    optimizer = None
    if found.start and spec.donates_optimizer:
        optimizer = filled({"optimizer": state.optimizer}, snapshots.read(found.start))["optimizer"]
    return Donors(start, optimizer, mask)


def donor_shapes(spec: Spec) -> Donors:
    """The shapes of what `read` returns."""
    state = state_shapes(spec)
    return Donors(
        state.params if spec.donates else None,
        state.optimizer if spec.donates_optimizer else None,
        state.params if spec.words.mask else None,
    )


def state_shapes(spec: Spec) -> loop.State:
    """The shapes of a run's state."""
    # They do not depend on the rows, in which alone most programs of a sweep differ.
    alike = dataclasses.replace(spec, train_rows=(1, 1), tiles=1, row_multiple=1)
    words = dataclasses.replace(spec.words, mask=None)
    state = _fresh_shapes(
        dataclasses.replace(alike, donates=False, donates_optimizer=False, words=words)
    )
    return dataclasses.replace(state, mask=state.params if spec.words.mask else None)


@functools.cache
def _fresh_shapes(spec: Spec) -> loop.State:
    """The shapes of the state of runs that take over nothing."""
    with jax.enable_x64(spec.double):
        state: Any = jax.eval_shape(partial(loop.init, spec), shapes(spec))
    return state


def named(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of a snapshot by their names in its file."""
    return {name: np.asarray(leaf) for name, leaf in by_name(state).items()}


def by_name(tree: Any) -> dict[str, Any]:
    """Leaves of a tree by their names in a snapshot's file."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}


def filled(shapes_: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """A tree of shapes with the arrays that have its names in a snapshot's file."""
    leaves = [arrays[name].astype(leaf.dtype) for name, leaf in by_name(shapes_).items()]
    return jax.tree.unflatten(jax.tree.structure(shapes_), leaves)


def _has(column: pd.Series, value: str) -> pd.Series:
    """Which entries of a column are what a user has written: 0.1, 1e-1, add, None."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        return column.map(str, na_action="ignore").fillna("None") == value
    number = pd.to_numeric(value, errors="coerce")
    return column.isna() if value == "None" else (column == number).fillna(False).astype(bool)


@functools.lru_cache(maxsize=8)
def _results(path: str, written: int) -> Results:
    return load(path)


def _sweep(name: str, donor: Donor) -> Results:
    """The results that a donor's folder holds."""
    try:
        file = Path(donor.path) / manifest.NAME
        return _results(donor.path, file.stat().st_mtime_ns if file.exists() else 0)
    except (ConfigError, OSError) as error:  # the system's: a name that is too long, no rights
        why = getattr(error, "strerror", None) or "there is no sweep.json"
        remedy = "give the results folder of a sweep with snapshots"
        raise ConfigError(f"{name}={shown(donor.path)}: {why}, {remedy}.") from None


def _match(donor: Donor, results: Results) -> list[str]:
    """Columns in which a donor and the run that needs it must agree."""
    if donor.match is not None:
        return list(donor.match)
    return [field for field in results.axes if field not in donor.wanted]


def _snapshot(name: str, donor: Donor, row: Mapping[str, Any]) -> snapshots.Snapshot:
    """The snapshot that a donor stands for, looked up in its results folder.

    Args:
      name: field of the experiment, to be named in messages.
      donor: names the folder, the snapshot and perhaps the run.
      row: the columns of the run that needs it, to be compared with those of donors.
    """

    def refuse(why: str) -> NoReturn:
        raise ConfigError(f"{name}={donor.path!r}: {why}.")

    results = _sweep(name, donor)
    runs = results.runs
    if donor.run_id is None:
        given = donor.wanted
        for field, value in given.items():
            if field not in runs:
                refuse(f"{field} is no column of its runs, name another in where=")
            runs = runs[_has(runs[field], value)]
        match = _match(donor, results)
        for field in match:
            if field not in runs or field not in row:
                refuse(f"{field} is no field of both its runs and these, name others in match=")
            wanted = row[field]
            runs = runs[runs[field].isna() if wanted is None else runs[field] == wanted]
        like = ", ".join([*(f"{field}={row[field]!r}" for field in match), *donor.where])
        if len(runs) != 1:
            refuse(f"{len(runs)} of its runs have {like or 'any'}, where one is needed: "
                   "name fields in match=, or a run_id")  # fmt: skip
    elif donor.run_id not in set(runs["run_id"]):
        refuse(f"it has no run {donor.run_id!r}, give the run_id of one that it has")
    run_id = donor.run_id or str(runs["run_id"].iloc[0])
    return results.find_snapshot(run_id, donor.step)
