"""How early a feature warns of grokking, if it may cry wolf only so often.

Legend: n runs, P of which grok and N do not, B resamples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.cells import finished
from grokjax.analysis.landmark import BASELINES, STRATA, finite, measured
from grokjax.analysis.ranks import Units, cells_of, interval
from grokjax.analysis.survival import censored_times
from grokjax.config.coercion import require

RESAMPLES = 200
DIRECTIONS = {"rises": 1.0, "falls": -1.0}


@dataclasses.dataclass(frozen=True)
class _Runs:
    """Runs that grokked, or did not within their budget; n = P + N of them."""

    run_ids: pd.Index
    ends: np.ndarray
    """t_grok, or the budget, `[n]`."""
    grokked: np.ndarray
    code: np.ndarray
    """Seeds, as numbers, `[n]`."""
    weights: np.ndarray
    """1, and then those of resampled seeds, `[1 + B, n]`."""


@dataclasses.dataclass(frozen=True)
class _Paths:
    """Largest value so far, flat: sorted by run, and by step in each."""

    run: np.ndarray
    """Which run a row is of, its place among all."""
    step: np.ndarray
    highest: np.ndarray

    def peaks(self, n: int) -> np.ndarray:
        """The largest value of each of n runs; NaN of one that was not measured."""
        found = np.full(n, np.nan)
        found[self.run] = self.highest  # the last one of a run stays
        return found

    def first_above(self, thresholds: np.ndarray, runs: np.ndarray) -> np.ndarray:
        """The step at which each of the runs is first above, `[B, P]`; NaN where it never is."""
        found = np.full((len(thresholds), len(runs)), np.nan)
        starts, ends = (np.searchsorted(self.run, runs, side) for side in ("left", "right"))
        for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
            at = np.searchsorted(self.highest[start:end], thresholds, side="right")
            there = at < end - start
            found[there, place] = self.step[start:end][at[there]]
        return found


def lead(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    strata: Sequence[str] = STRATA,
    false_alarm: float = 0.1,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Updates between a feature's first alarm and t_grok, at a fixed rate of false alarms.

    The alarm is the first step at which the feature exceeds a threshold (`rises`), or falls below
    one (`falls`): both are told, for to choose the better one is to fit. The threshold is the
    most sensitive one which at most a share `false_alarm` of the runs that do not grok within
    their budget ever crosses. It is drawn anew for every resample of the seeds.

    `pooled` has one threshold for all runs, and so praises what differs with weight decay.
    `within` asks only cells that hold runs of both kinds, and of each value subtracts the median
    of the runs of its cell that have not grokked by then.

    Args:
      features: as `at` takes them.
      runs: the runs table; runs that ended before their budget without grokking are left out.
      strata: columns whose equal values make a cell; those that the table lacks are left out.
      false_alarm: share of the runs that do not grok which may cross.
      resamples: of the seeds.

    Returns:
      A row a feature (`baseline`: whether it is one), `scope` and `direction`: `threshold`;
      `false_alarms`, the share there is; `detected`, the share of grokking runs that cross before
      t_grok; `lead`, the median over all grokking runs, 0 for one without an alarm, with its 95 %
      interval; `n_grokked` and `n_never`.
    """
    remedy = "give a share of the runs, at least 0 and below 1"
    require(0 <= false_alarm < 1, "false_alarm", false_alarm, remedy)
    kept, told = _told(runs, resamples)
    rows = _before_end(features, told)
    cell, run = cells_of(kept, strata), told.run_ids.get_indexer(pd.Index(rows["run_id"]))
    mixed = pd.Series(told.grokked).groupby(cell).transform("nunique").to_numpy() == 2
    groups = [cell[run], rows["step"].to_numpy()]
    found = []
    for name in [column for column in rows if column != "run_id"]:
        value = rows[name].astype("float64")
        centre = value.groupby(groups).transform("median")
        scopes = {"within": (value - centre, mixed), "pooled": (value, np.ones_like(mixed))}
        for scope, (values, asked) in scopes.items():
            there = values.notna().to_numpy()
            of, at = run[there], groups[1][there]
            for direction, sign in DIRECTIONS.items():
                highest = (sign * values[there]).groupby(of).cummax().to_numpy()
                row = _lead(_Paths(of, at, highest), told, asked, false_alarm)
                row["threshold"] *= sign
                who = {"feature": name, "baseline": name in BASELINES}
                found.append({**who, "scope": scope, "direction": direction, **row})
    return pd.DataFrame(found)


def _told(runs: pd.DataFrame, resamples: int) -> tuple[pd.DataFrame, _Runs]:
    """Runs that grokked or had their whole budget."""
    kept = finished(runs)
    times, seen = censored_times(kept, "t_grok")
    known = seen | (times >= kept["steps"].to_numpy(float))
    kept, units = kept[known], Units.of(kept[known])
    index = pd.Index(kept["run_id"])
    return kept, _Runs(index, times[known], seen[known], units.code, units.draws(resamples))


def _before_end(features: pd.DataFrame, told: _Runs) -> pd.DataFrame:
    """Features before t_grok, or up to the end of a run that did not grok; with the baselines.

    In the order of the runs and of steps. The step is a baseline: an alarm by the clock.
    """
    measured(features)
    place = told.run_ids.get_indexer(pd.Index(features["run_id"]))
    first_after = np.where(told.grokked, told.ends, told.ends + 1)
    known = (place >= 0) & (features["step"] < first_after[place])
    kept = finite(features[known]).assign(place=place[known])
    rows = kept.sort_values(["place", "step"], ignore_index=True).drop(columns="place")
    if "weight_norm" in rows:
        norms = rows[rows["weight_norm"].notna() & (rows["step"] > 0)]
        changes = norms.groupby("run_id")["weight_norm"].diff()
        log_steps = np.log(norms["step"]).groupby(norms["run_id"]).diff()
        rows[BASELINES[3]] = (changes / log_steps).abs()
    return rows


def _lead(paths: _Paths, told: _Runs, asked: np.ndarray, false_alarm: float) -> dict[str, float]:
    """Threshold, detected share and lead of a value that rises.

    Args:
      paths: of the value.
      told: all runs.
      asked: which of them the scope has, `[n]`.
      false_alarm: the share of those that do not grok which may cross.
    """
    peaks = paths.peaks(len(asked))
    # A run that was never measured cannot have been quiet.
    never = asked & ~told.grokked & ~np.isnan(peaks)
    grokked = np.flatnonzero(asked & told.grokked)
    thresholds = _threshold(peaks[never], told.weights[:, never], false_alarm)
    first = paths.first_above(thresholds, grokked)
    leads = np.nan_to_num(told.ends[grokked] - first, nan=0.0)
    medians = _weighted_medians(leads, told.weights[:, grokked])
    medians = np.where(np.isfinite(thresholds), medians, np.nan)
    n_seeds = len(np.unique(told.code[grokked]))
    low, high = interval(medians[0], medians[1:], n_seeds, (0.0, np.inf))
    known = bool(np.isfinite(medians[0]))
    return {
        "threshold": thresholds[0],
        "false_alarms": float((peaks[never] > thresholds[0]).mean()) if known else np.nan,
        "detected": float((leads[0] > 0).mean()) if known else np.nan,
        "lead": medians[0],
        "lead_low": low,
        "lead_high": high,
        "n_grokked": len(grokked),
        "n_never": int(never.sum()),
    }


def _threshold(peaks: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    """The lowest peak `[B]` above which lies at most a share of the weights `[B, N]`, or NaN."""
    if not len(peaks):
        return np.full(len(weights), np.nan)
    order = np.argsort(peaks)
    below = np.cumsum(weights[:, order], axis=1)
    total = below[:, -1:]
    enough = total - below <= share * total + 1e-9
    return np.where(total[:, 0] > 0, peaks[order][enough.argmax(1)], np.nan)


def _weighted_medians(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Medians `[B]` of values `[B, P]`; NaN where there are none."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    order = np.argsort(values, axis=1)
    values, weights = (np.take_along_axis(part, order, 1) for part in (values, weights))
    below = np.cumsum(weights, axis=1)
    half = below >= below[:, -1:] / 2 - 1e-9
    median = np.take_along_axis(values, half.argmax(1)[:, None], 1)[:, 0]
    return np.where(below[:, -1] > 0, median, np.nan)
