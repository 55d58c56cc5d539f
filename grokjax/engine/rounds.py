"""Rounds of a refined sweep: the grid first, then runs where the boundary is least certain.

A round is a list of cells, chosen from the tables of all rounds before it and written into the
manifest before it is trained. The tables are the same bits after a kill, and so is the choice.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from grokjax.analysis import onset
from grokjax.analysis.boundary import boundary
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.refine import choose, lattice
from grokjax.analysis.scales import Scale
from grokjax.config import Config, ConfigError, Experiment, Refine, Sweep
from grokjax.config.expansion import named_paths
from grokjax.config.identity import column
from grokjax.engine import donors
from grokjax.results.load import Results
from grokjax.results.shapes import Manifest, RoundTold


@dataclasses.dataclass(frozen=True)
class Round:
    """Runs that were chosen together, and what they were chosen by."""

    cells: tuple[Mapping[str, Any], ...]
    """To train, as those of a sweep; a round without any is the last."""
    runs: int
    """How many had ended when they were chosen."""
    band: float | None
    """Width of the boundary's band then; None where there was no boundary."""
    reason: str | None = None
    """Why there is no round after this one, if so."""

    @classmethod
    def from_json(cls, told: RoundTold) -> Round:
        """The round that a manifest tells of."""
        return cls(tuple(told["cells"]), told["runs"], told["band"], told.get("reason"))

    def to_json(self) -> RoundTold:
        """What a manifest tells of the round."""
        cells = [dict(cell) for cell in self.cells]
        told: RoundTold = {"cells": cells, "runs": self.runs, "band": self.band}
        return told if self.reason is None else {**told, "reason": self.reason}


def recorded_rounds(experiment: Experiment, manifest: Manifest | None) -> list[Round]:
    """The rounds with runs that a manifest tells of, where the experiment is refined."""
    told = manifest.get("rounds", []) if manifest and experiment.refine else []
    return [one for one in map(Round.from_json, told) if one.cells]


def with_rounds(experiment: Experiment, rounds: Sequence[Round]) -> Experiment:
    """The experiment with the cells of these rounds beside its grid."""
    if not rounds and experiment.refine is None:
        return experiment
    constant = _constant(experiment)
    cells = tuple({**constant, **cell} for one in rounds for cell in one.cells)
    return dataclasses.replace(experiment, sweep=Sweep(experiment.sweep.cells + cells), refine=None)


def next_round(
    experiment: Experiment, refine: Refine, rounds: Sequence[Round], results: Results
) -> Round:
    """The round after some rounds, chosen from the runs that they have left.

    Args:
      experiment: with its grid.
      refine: how many runs in how many rounds, and how narrow a band is enough.
      rounds: that have been trained.
      results: of them and of the grid.
    """
    x_path, y_path = experiment.refined_axes()
    x, y = (column(path) for path in (x_path, y_path))
    wanted = [run.run_id for run in with_rounds(experiment, rounds).runs()]
    runs = onset.table(results)
    runs = runs[runs["run_id"].isin(wanted)].set_index("run_id").loc[wanted].reset_index()
    trained = sum(bool(one.cells) for one in rounds)
    spent = sum(len(one.cells) for one in rounds)
    try:
        # The grid's scales: further levels between its own could make them look otherwise.
        scales = {column(p): Scale.between(experiment.axes()[p]) for p in (x_path, y_path)}
        edge = boundary(runs, x, y, scales=scales)
    except NotEnoughRunsError as error:
        return Round((), len(runs), None, str(error))
    last = Round((), len(runs), edge.band_width())
    if trained >= refine.rounds or spent >= refine.runs:
        return dataclasses.replace(last, reason="the runs are spent")
    if refine.band is not None and edge.band_width() < refine.band:
        return dataclasses.replace(last, reason=f"the band is narrower than {refine.band:g}")
    # As even as whole numbers allow: the last rounds take what the first ones leave.
    n = -(-(refine.runs - spent) // (refine.rounds - trained))
    chosen = choose(edge, _candidates(experiment, refine), runs, n, _seeds(experiment, refine))
    names = {x: x_path, y: y_path}
    fixed = _fixed(experiment)
    cells = chosen.rename(columns=names).to_dict("records")
    if not cells:
        return dataclasses.replace(last, reason="the lattice is full")
    named = tuple({**fixed, **{str(p): value for p, value in cell.items()}} for cell in cells)
    return dataclasses.replace(last, cells=named)


def check(experiment: Experiment, manifest: Manifest | None) -> None:
    """Refuse a refinement whose runs could not be trained, before its grid is.

    Every run that rounds may choose has its donors looked up, but for runs that differ in columns
    that no donor goes by.

    Args:
      experiment: with its grid.
      manifest: of an earlier start; where that has chosen runs, all was well.

    Raises:
      ConfigError: a donor is not there, or the grid varies whole parts.
    """
    refine = experiment.refine
    if refine is None or (manifest and manifest.get("rounds")):
        return
    axes = experiment.axes()
    first = next(iter(experiment.runs()))
    row = first.row()
    cell = {path: row[column(path)] for path in (*experiment.refined_axes(), "seed")}
    if _run(experiment, cell).run_id != first.run_id:
        raise ConfigError("refine: the grid varies whole parts, sweep fields of one part instead.")
    by = donors.matched(first)
    levels: dict[str, Sequence[Any]] = {
        path: lattice(axes[path], refine.halvings)
        for path in experiment.refined_axes()
        if column(path) in by
    }
    if by & {"seed", "split_seed"}:
        levels["seed"] = _seeds(experiment, refine)
    for values in itertools.product(*levels.values()):
        try:
            donors.find(_run(experiment, {**cell, **dict(zip(levels, values, strict=True))}))
        except ConfigError as error:
            told = str(error).rstrip(".")
            raise ConfigError(f"{told}; refine asks for donors of every run it may add.") from None


def _run(experiment: Experiment, cell: Mapping[str, Any]) -> Experiment:
    """The run of a cell of a round."""
    whole = {**_constant(experiment), **_fixed(experiment), **cell}
    return dataclasses.replace(experiment, sweep=Sweep((whole,)), refine=None).runs()[0]


def _constant(experiment: Experiment) -> dict[str, Any]:
    """Name → the one part or list that every cell of the grid has there."""
    first, *others = experiment.sweep.cells
    whole = {n: v for n, v in first.items() if isinstance(v, Config | list | tuple)}
    return {n: v for n, v in whole.items() if all(n in c and c[n] == v for c in others)}


def _fixed(experiment: Experiment) -> dict[str, Any]:
    """Dotted path → the one number or word that the grid has there."""
    paths, cell = named_paths(experiment), experiment.sweep.cells[0]
    whole = {path for n, path in paths.items() if isinstance(cell.get(n), Config | list | tuple)}
    axes = experiment.axes().items()
    one = {path: values[0] for path, values in axes if len(values) == 1 and path != "seed"}
    return {path: value for path, value in one.items() if path not in whole}


def _candidates(experiment: Experiment, refine: Refine) -> pd.DataFrame:
    paths, axes = experiment.refined_axes(), experiment.axes()
    levels = {column(path): lattice(axes[path], refine.halvings) for path in paths}
    cells = itertools.product(*levels.values())
    return pd.DataFrame(cells, columns=list(levels))


def _seeds(experiment: Experiment, refine: Refine) -> list[int]:
    return sorted({*experiment.axes().get("seed", [experiment.seed]), *range(refine.seeds)})
