"""What is known of a run by a step, of those for which something is still to come.

Landmark analysis (Anderson, Cain & Gelber 1983): at a step, only runs that have not grokked by
then are asked about, with nothing but what was measured until then. Otherwise a forecast would
be praised for what it saw happen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.cells import finished
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.config.coercion import require

STRATA = ("weight_decay", "train_fraction", "learning_rate")
"""Conditions that t_grok follows so strongly that what tracks one of them seems to foretell."""
BASELINES = ("step", "train_loss", "weight_norm", "|weight_norm slope|")
"""What a feature has to beat; the step is the same for all runs, and tells nothing."""
WINDOW = 10 ** (1 / 3)
"""Slopes are taken over a third of a decade of steps."""
FEWEST_POINTS = 3
SLOPE = " slope"
KEYS = ("run_id", "step")


def at(features: pd.DataFrame, runs: pd.DataFrame, step: int) -> pd.DataFrame:
    """Each feature as it is known by a step, of the runs at risk: not grokked, and not ended.

    Args:
      features: `run_id`, `step` and a column a feature; a value that is no finite number counts
        as not measured. Features may have different steps.
      runs: the runs table.
      step: the landmark.

    Returns:
      A row a run: `run_id`; each feature's last value at or before the step; and `NAME slope`,
      the least-squares slope against the natural logarithm of the step over the last third of
      a decade, NaN where it has fewer than three points.

    Raises:
      ConfigError: a table lacks a column.
      NotEnoughRunsError: no run is at risk at this step.
    """
    names = measured(features)
    risk = at_risk(runs, step)
    if risk.empty:
        raise NotEnoughRunsError(
            f"step={step!r}: every run has grokked or ended by then, give an earlier one."
        )
    known = features["run_id"].isin(risk["run_id"]) & (features["step"] <= step)
    rows = finite(features[known]).sort_values("step", kind="stable")
    last = rows.groupby("run_id")[names].last()
    slopes = _slopes(rows[rows["step"] > step / WINDOW], names)
    both = last.join(slopes.add_suffix(SLOPE)).reindex(risk["run_id"])
    return both.dropna(axis=1, how="all").reset_index()


def at_risk(runs: pd.DataFrame, step: int) -> pd.DataFrame:
    """The runs that had not grokked by the step and were still trained; failed ones are left out.

    A run that ended at the step says nothing about what came after it.
    """
    for name in ("run_id", "t_grok", "last_step", "status", "steps"):
        require(name in runs, "runs", list(runs.columns), f"it lacks {name}, give the runs table")
    kept = finished(runs)
    later = kept["t_grok"].isna() | (kept["t_grok"] > step)
    return kept[(later & (kept["last_step"] > step)).to_numpy(bool)]


def measured(features: pd.DataFrame) -> list[str]:
    """The names of the features."""
    for name in KEYS:
        remedy = f"it lacks {name}, give a row a run and step"
        require(name in features, "features", list(features.columns), remedy)
    names = [str(name) for name in features.columns if name not in KEYS]
    require(bool(names), "features", list(features.columns), "give a column a feature")
    return names


def finite(features: pd.DataFrame) -> pd.DataFrame:
    """The same with every value that is no finite number missing."""
    names = measured(features)
    values = features[names].astype("float64")
    return features[[*KEYS]].join(values.where(np.isfinite(values)))


def with_baselines(known: pd.DataFrame, step: int) -> pd.DataFrame:
    """The features, and those of `BASELINES` that can be made of them."""
    slope = f"weight_norm{SLOPE}"
    added = {BASELINES[3]: known[slope].abs()} if slope in known else {}
    return known.assign(step=float(step), **added)


def conditions(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Those of the columns that there are as numbers, logarithms where all are positive."""
    found = runs[[name for name in names if name in runs]].astype("float64")
    return found.apply(lambda column: np.log(column) if (column > 0).all() else column)


def _slopes(rows: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Slopes of each run's features against ln(step), a row a run."""
    rows = rows[rows["step"] > 0]
    y, run = rows[names], rows["run_id"]
    log_step = np.log(rows["step"].to_numpy(float))[:, None]
    x = (y.notna() * log_step).where(y.notna())
    x = x - x.groupby(run).transform("mean")
    y = y - y.groupby(run).transform("mean")
    spread = (x**2).groupby(run).sum()
    enough = (y.notna().groupby(run).sum() >= FEWEST_POINTS) & (spread > 0)
    return ((x * y).groupby(run).sum() / spread.where(spread > 0)).where(enough)
