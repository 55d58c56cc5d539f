"""From runs to cells: how many grok, and how long it takes, on any two axes.

Times are right-censored: a run that has not crossed by its last step counts as "later
than that". Medians come from the Kaplan–Meier estimator; leaving such runs out would
bias every time down.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokjax.config import ConfigError

TIMES = {"t_grok": None, "t_grok_sustained": None, "t_mem": None, "grok_gap": "t_mem"}
"""Metric → the column that its clock starts from, the first step where None."""


def cells(runs: pd.DataFrame, x: str, y: str, metric: str = "t_grok") -> pd.DataFrame:
    """A row a cell of the map of `metric` over the columns `x` and `y`.

    Columns: `x`, `y`, `n` runs, `n_grokked`, `p_grok`, `median` of the metric (missing
    where fewer than half of the runs have crossed), `censored` (whether it is missing
    for that reason) and `n_censored`, `bound` (the longest that a run was followed without
    crossing). Failed runs are left out.
    """
    if x == y:
        raise ConfigError(f"x={x!r}: it is the y axis too, choose two columns.")
    for name in (x, y, metric):
        if name not in runs.columns:
            known = ", ".join(sorted(runs.columns))
            raise ConfigError(f"{name}: the runs table has no such column, it has {known}.")
    if metric not in TIMES:
        raise ConfigError(f"metric={metric!r}: no time to map, choose from {', '.join(TIMES)}.")
    rows = []
    for (at_x, at_y), group in runs[runs["status"] != "failed"].groupby([x, y], dropna=False):
        times, seen = censored_times(group, metric)
        median = kaplan_meier_median(times, seen)
        n_grokked = int(group["t_grok"].notna().sum())
        rows.append(
            {
                x: at_x,
                y: at_y,
                "n": len(group),
                "n_grokked": n_grokked,
                "p_grok": n_grokked / len(group),
                "median": median,
                "censored": bool(len(times)) and median is None,
                "n_censored": int((~seen).sum()),
                "bound": float(times[~seen].max(initial=0)),
            }
        )
    columns = [x, y, "n", "n_grokked", "p_grok", "median", "censored", "n_censored", "bound"]
    return pd.DataFrame(rows, columns=columns).astype({"median": "float64"})


def censored_times(runs: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Times `[n]` of a metric and whether each was seen; an unseen one is a lower bound.

    A run is followed to its last step. One that diverged will not cross any more, so it
    counts as not having crossed by its budget: its end is no accident of the observation.
    A gap starts when a run memorises, so runs that never did tell nothing about it.
    """
    origin = TIMES[metric]
    if origin is not None:
        runs = runs[runs[origin].notna()]
    start = runs[origin].astype("float64") if origin else 0.0
    followed = runs["last_step"].where(runs["status"] != "diverged", runs["steps"])
    times = runs[metric].astype("float64")
    return times.fillna(followed.astype("float64") - start).to_numpy(), times.notna().to_numpy()


def kaplan_meier_median(times: np.ndarray, seen: np.ndarray) -> float | None:
    """Smallest time by which half of the runs have crossed, None where it is not reached."""
    from scipy import stats  # half a second that `--help` need not wait for

    if not seen.any():
        return None
    sample = stats.CensoredData(uncensored=times[seen], right=times[~seen])
    survival = stats.ecdf(sample).sf
    reached = survival.probabilities <= 0.5 + 1e-12
    return float(survival.quantiles[reached][0]) if reached.any() else None
