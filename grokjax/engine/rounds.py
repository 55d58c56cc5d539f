"""Rounds of a refined sweep: the grid first, then runs where the boundary is least certain.

A round is a list of cells, chosen from the tables of all rounds before it and written into the
manifest before it is trained. The tables are the same bits after a kill, and so is the choice.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pandas as pd

from grokjax.analysis import onset
from grokjax.analysis.boundary import boundary
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.refine import choose, lattice
from grokjax.analysis.scales import Scale
from grokjax.config import Experiment, Refine, Sweep
from grokjax.config.identity import column
from grokjax.results.load import Results

Round = dict[str, Any]
"""`cells` to train, and what they were chosen by: `band` of the boundary so far, `runs` so far.
A round without cells is the last, and `reason` says why."""


def grown(experiment: Experiment, rounds: list[Round]) -> Experiment:
    """The experiment with the cells of these rounds beside its grid."""
    if not rounds and experiment.refine is None:
        return experiment
    cells = tuple(cell for of_round in rounds for cell in of_round["cells"])
    return dataclasses.replace(experiment, sweep=Sweep(experiment.sweep.cells + cells), refine=None)


def following(
    experiment: Experiment, refine: Refine, rounds: list[Round], results: Results
) -> Round:
    """The round after these, from the runs that they have left."""
    x_path, y_path = experiment.refined_axes()
    x, y = (column(path) for path in (x_path, y_path))
    wanted = [run.run_id for run in grown(experiment, rounds).runs()]
    runs = onset.table(results)
    runs = runs[runs["run_id"].isin(wanted)].set_index("run_id").loc[wanted].reset_index()
    trained = sum(bool(of_round["cells"]) for of_round in rounds)
    spent = sum(len(of_round["cells"]) for of_round in rounds)
    try:
        # The grid's scales: further levels between its own could make them look otherwise.
        scales = {column(p): Scale.between(experiment.axes()[p]) for p in (x_path, y_path)}
        found = boundary(runs, x, y, scales=scales)
    except NotEnoughRunsError as error:
        return {"cells": [], "runs": len(runs), "band": None, "reason": str(error)}
    made: Round = {"cells": [], "runs": len(runs), "band": found.band_width()}
    if trained >= refine.rounds or spent >= refine.runs:
        return {**made, "reason": "the runs are spent"}
    if refine.band is not None and found.band_width() < refine.band:
        return {**made, "reason": f"the band is narrower than {refine.band:g}"}
    # As even as whole numbers allow: the last rounds take what the first ones leave.
    n = -(-(refine.runs - spent) // (refine.rounds - trained))
    chosen = choose(found, _candidates(experiment, refine), runs, n, _seeds(experiment, refine))
    names = {x: x_path, y: y_path}
    axes = experiment.axes().items()
    fixed = {path: values[0] for path, values in axes if len(values) == 1 and path != "seed"}
    cells = chosen.rename(columns=names).to_dict("records")
    made["cells"] = [{**fixed, **{str(p): value for p, value in cell.items()}} for cell in cells]
    return made if cells else {**made, "reason": "the lattice is full"}


def _candidates(experiment: Experiment, refine: Refine) -> pd.DataFrame:
    paths, axes = experiment.refined_axes(), experiment.axes()
    levels = {column(path): lattice(axes[path], refine.halvings) for path in paths}
    cells = itertools.product(*levels.values())
    return pd.DataFrame(cells, columns=list(levels))


def _seeds(experiment: Experiment, refine: Refine) -> list[int]:
    return sorted({*experiment.axes().get("seed", [experiment.seed]), *range(refine.seeds)})
