"""How early a feature warns of grokking, if it may cry wolf only so often.

Legend: P runs that grok, N runs that do not, B resamples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from grokjax.analysis.cells import finished
from grokjax.analysis.landmark import BASELINES, KEYS, STRATA, finite
from grokjax.analysis.ranks import Units, cells_of, interval
from grokjax.analysis.survival import censored_times
from grokjax.config.coercion import require

RESAMPLES = 200
DIRECTIONS = {"rises": 1.0, "falls": -1.0}


@dataclasses.dataclass(frozen=True)
class _Asked:
    """The runs of a scope, `[P + N]`."""

    run_ids: pd.Series
    ends: np.ndarray
    """t_grok, or the budget."""
    grokked: np.ndarray
    units: Units


@dataclasses.dataclass(frozen=True)
class _Paths:
    """Largest value so far of every run of a kind, flat and in the order of steps in each run."""

    run: np.ndarray
    """Which run a row is of, numbers from 0, sorted."""
    step: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, runs: pd.Series) -> _Paths:
        """From `run_id`, `step`, `value`, of these runs alone."""
        number = pd.Series(np.arange(len(runs)), index=runs)
        kept = rows[rows["run_id"].isin(runs)]
        kept = kept.assign(run=kept["run_id"].map(number)).sort_values(["run", "step"])
        highest = kept.groupby("run")["value"].cummax()
        return cls(kept["run"].to_numpy(int), kept["step"].to_numpy(), highest.to_numpy())

    def peaks(self, n: int) -> np.ndarray:
        """The largest value of each of n runs; −∞ of one that was not measured."""
        found = np.full(n, -np.inf)
        found[self.run] = self.highest  # the last one of a run stays
        return found

    def first_above(self, thresholds: np.ndarray, n: int) -> np.ndarray:
        """The step at which each of n runs first lies above, `[B, n]`; NaN where it never does."""
        found = np.full((len(thresholds), n), np.nan)
        starts = np.searchsorted(self.run, np.arange(n + 1))
        for run, (start, end) in enumerate(pairwise(starts)):
            at = np.searchsorted(self.highest[start:end], thresholds, side="right")
            there = at < end - start
            found[there, run] = self.step[start:end][at[there]]
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
    kept, ends, seen = _told(runs)
    rows = _before_end(features, kept, ends, seen)
    cell = pd.Series(cells_of(kept, strata), index=kept["run_id"])
    mixed = pd.Series(seen, index=kept["run_id"]).groupby(cell).transform("nunique") == 2
    rows = rows.assign(cell=rows["run_id"].map(cell), mixed=rows["run_id"].map(mixed))
    units, everywhere = Units.of(kept), np.ones(len(kept), bool)
    found = []
    for name in rows.columns.difference(["run_id", "cell", "mixed"], sort=False):
        pooled = rows.assign(value=rows[name])[rows[name].notna()]
        within = pooled[pooled["mixed"]]
        centre = within.groupby(["cell", "step"])["value"].transform("median")
        within = within.assign(value=within["value"] - centre)
        for scope, part, asked in (
            ("within", within, mixed.to_numpy()),
            ("pooled", pooled, everywhere),
        ):
            table = _Asked(kept["run_id"][asked], ends[asked], seen[asked], units.at(asked))
            for direction, sign in DIRECTIONS.items():
                signed = part[[*KEYS]].assign(value=sign * part["value"])
                row = _lead(signed, table, false_alarm, resamples)
                row["threshold"] *= sign
                who = {"feature": name, "baseline": name in BASELINES}
                found.append({**who, "scope": scope, "direction": direction, **row})
    return pd.DataFrame(found)


def _told(runs: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Runs that grokked or had their whole budget; when they did, and whether."""
    kept = finished(runs)
    times, seen = censored_times(kept, "t_grok")
    told = seen | (times >= kept["steps"].to_numpy(float))
    return kept[told], times[told], seen[told]


def _before_end(
    features: pd.DataFrame, runs: pd.DataFrame, ends: np.ndarray, seen: np.ndarray
) -> pd.DataFrame:
    """Features before t_grok, or up to the end of a run that did not grok; with the baselines.

    The step is one of them by itself: an alarm by the clock.
    """
    first_after = pd.Series(np.where(seen, ends, ends + 1), index=runs["run_id"])
    known = features["step"] < features["run_id"].map(first_after)
    rows = finite(features[known]).sort_values(list(KEYS), ignore_index=True)
    if "weight_norm" in rows:
        told = rows[rows["weight_norm"].notna() & (rows["step"] > 0)]
        changes = told.groupby("run_id")["weight_norm"].diff()
        log_steps = np.log(told["step"]).groupby(told["run_id"]).diff()
        rows[BASELINES[3]] = (changes / log_steps).abs()
    return rows


def _lead(
    rows: pd.DataFrame, asked: _Asked, false_alarm: float, resamples: int
) -> dict[str, float]:
    """Threshold, detected share and lead of a value that rises.

    Args:
      rows: `run_id`, `step`, `value`.
      asked: the runs.
      false_alarm: the share of those that do not grok which may cross.
      resamples: of the seeds.
    """
    run_ids, ends, seen, units = asked.run_ids, asked.ends, asked.grokked, asked.units
    # A run that was never measured cannot have been quiet.
    quiet = ~seen & run_ids.isin(rows["run_id"]).to_numpy()
    grokked, never = run_ids[seen], run_ids[quiet]
    weights = units.draws(resamples)
    peaks = _Paths.of(rows, never).peaks(len(never))
    thresholds = _threshold(peaks, weights[:, quiet], false_alarm)
    first = _Paths.of(rows, grokked).first_above(thresholds, len(grokked))
    leads = np.nan_to_num(ends[seen] - first, nan=0.0)
    medians = np.where(np.isfinite(thresholds), _weighted_medians(leads, weights[:, seen]), np.nan)
    told = len(np.unique(units.code[seen]))
    low, high = interval(medians[0], medians[1:], told, (0.0, np.inf))
    known = bool(np.isfinite(medians[0]))
    return {
        "threshold": thresholds[0],
        "false_alarms": float((peaks > thresholds[0]).mean()) if known else np.nan,
        "detected": float((leads[0] > 0).mean()) if known else np.nan,
        "lead": medians[0],
        "lead_low": low,
        "lead_high": high,
        "n_grokked": len(grokked),
        "n_never": len(never),
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
