"""Times that may be censored, for many cells at once.

A run is followed to its last step. Where it has not crossed by then, its time is known to be
later, and is said to be censored; leaving such runs out would bias every time down.

Legend: C cells, M runs of the largest cell, B resamples.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis.times import TIMES
from grokjax.config import ConfigError
from grokjax.config.coercion import require

LEVEL = 0.95
"""What intervals hold the truth with, where nothing else is asked for."""


def censored_times(
    runs: pd.DataFrame, metric: str, interpolated: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Times `[n]` of a metric and whether each was seen; an unseen one is a lower bound.

    A run that diverged will not cross any more, so it counts as not having crossed by its
    budget: its end is no accident of the observation. A gap starts when a run memorises, so
    runs that never did tell nothing about it and are left out.
    `interpolated` reads t_grok between log points.

    Raises:
      ConfigError: it is no metric, or the table lacks a column.
    """
    require(metric in TIMES, "metric", metric, f"no time, choose from {', '.join(TIMES)}")
    origin = TIMES[metric]
    column = "t_grok_interpolated" if interpolated and metric == "t_grok" else metric
    needed = [column, *([origin] if origin else []), "status", "steps", "last_step"]
    if missing := [name for name in needed if name not in runs]:
        raise ConfigError(
            f"runs: there is no column {' or '.join(missing)}, which {metric} is read with; give "
            "the runs table of results."
        )
    if origin is not None:
        runs = runs[runs[origin].notna()]
    start = runs[origin].astype("float64") if origin else 0.0
    followed = runs["last_step"].where(runs["status"] != "diverged", runs["steps"])
    times = runs[column].astype("float64")
    return times.fillna(followed.astype("float64") - start).to_numpy(), times.notna().to_numpy()


@dataclasses.dataclass(frozen=True)
class Sample:
    """Censored times of C cells, sorted in each: `[C, M]`, padded with weightless entries."""

    times: np.ndarray
    seen: np.ndarray
    weights: np.ndarray
    """1 for a run, 0 for padding."""
    entry: np.ndarray
    """Which of the runs that it was made from stands here."""

    @classmethod
    def of(cls, times: np.ndarray, seen: np.ndarray, cell: np.ndarray, n_cells: int) -> Sample:
        """From flat arrays `[n]`: times, whether seen, and the number of the cell."""
        order = np.lexsort((~seen, times, cell))  # at a tie the event comes first
        counts = np.bincount(cell, minlength=n_cells)
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (n_cells, max(1, int(counts.max(initial=0))))
        padded = [np.zeros(shape), np.zeros(shape, bool), np.zeros(shape), np.zeros(shape, int)]
        parts = (times, seen, np.ones(len(times)), np.arange(len(times)))
        for array, values in zip(padded, parts, strict=True):
            array[cell[order], place] = values[order]
        return cls(*padded)


def survival(sample: Sample, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Kaplan–Meier estimate and Greenwood's sum after each time, `[..., C, M]`.

    Args:
      sample: the times.
      weights: of the runs, `[..., C, M]`, for instance of B resamples.

    Returns:
      The share that has not crossed yet, and the variance of its logarithm.
    """
    w = sample.weights if weights is None else weights
    leaving = np.cumsum(w, axis=-1)
    at_risk = leaving[..., -1:] - leaving + w
    gone = np.where(sample.seen, w, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(at_risk > 0, 1 - gone / at_risk, 1.0)
        terms = np.where(gone > 0, gone / (at_risk * (at_risk - gone)), 0.0)
    kept = np.where(kept < 1e-12, 0.0, kept)
    return np.cumprod(kept, axis=-1), np.cumsum(terms, axis=-1)


def medians(sample: Sample, weights: np.ndarray | None = None) -> np.ndarray:
    """Time by which half of each cell's runs have crossed, `[..., C]`; NaN where unreached."""
    left, _ = survival(sample, weights)
    return _first_time(sample, left <= 0.5 + 1e-12)


def median_intervals(sample: Sample, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper confidence limits of the medians, `[C]` each.

    Brookmeyer and Crowley 1982 with the log-log transform of Greenwood's variance. A limit that
    is not reached within the observation is NaN: the interval is open there.
    """
    from scipy.special import ndtri

    left, variance = survival(sample)
    z = ndtri((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_left = np.log(left)
        error = np.sqrt(variance) / np.abs(log_left)
        inner = (left > 0) & (left < 1)
        low = np.where(inner, left ** np.exp(z * error), left)
        high = np.where(inner, left ** np.exp(-z * error), np.where(left > 0, 1.0, np.nan))
    # After the last event nothing is left and no variance is known: the limit stays open.
    return _first_time(sample, low <= 0.5), _first_time(sample, high <= 0.5)


def spreads(sample: Sample, rounds: int = 60) -> np.ndarray:
    """Standard deviation of log10 time in each cell, `[C]`.

    NaN with fewer than two seen, or where a time (a gap) is not positive.

    Maximum likelihood for a log-normal with censoring, by expectation and maximisation (the
    censored runs' moments are those of a truncated normal), times √(n / (n − 1)).
    """
    from scipy.special import erfcx

    w, n = sample.weights, sample.weights.sum(-1)
    y = np.where((w > 0) & (sample.times > 0), np.log10(np.maximum(sample.times, 1e-12)), 0.0)
    late = (~sample.seen & (w > 0)).astype(float)
    known = (w * sample.seen).sum(-1)
    divide = np.maximum(n, 1)[:, None]
    mean = (w * y).sum(-1, keepdims=True) / divide
    sd = np.sqrt((w * (y - mean) ** 2).sum(-1, keepdims=True) / divide) + 1e-9
    for _ in range(rounds if late.any() else 1):
        z = np.clip((y - mean) / sd, -30, 30)
        hazard = np.sqrt(2 / np.pi) / erfcx(z / np.sqrt(2))
        first = np.where(late > 0, mean + sd * hazard, y)
        second = np.where(
            late > 0, mean**2 + sd**2 * (1 + z * hazard) + 2 * mean * sd * hazard, y**2
        )
        mean = (w * first).sum(-1, keepdims=True) / divide
        sd = np.sqrt(np.maximum((w * second).sum(-1, keepdims=True) / divide - mean**2, 1e-18))
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = ((sample.times > 0) | (w == 0)).all(-1)
        return np.where((known >= 2) & positive, sd[:, 0] * np.sqrt(n / (n - 1)), np.nan)


def kaplan_meier_median(times: np.ndarray, seen: np.ndarray) -> float | None:
    """Smallest time by which half of the runs have crossed, None where it is not reached.

    One of four runs had not crossed when it ended, and counts until then:

        >>> times, crossed = np.array([100, 200, 300, 500]), np.array([True, True, True, False])
        >>> kaplan_meier_median(times, crossed)
        200.0
        >>> kaplan_meier_median(times, np.array([True, False, False, False]))

    Args:
      times: steps `[n]` of the crossing, or of the last row.
      seen: whether the run crossed then, `[n]`.
    """
    if not len(times):
        return None
    median = medians(Sample.of(times, seen, np.zeros(len(times), int), 1))[0]
    return None if np.isnan(median) else float(median)


def kaplan_meier_curve(times: np.ndarray, seen: np.ndarray) -> pd.DataFrame:
    """Share of runs that have crossed by each time, `step`, `share`, `low`, `high` at 95 %.

    SciPy's estimate; its interval is undefined, NaN, before the first and after the last event.
    """
    from scipy import stats

    found = stats.ecdf(stats.CensoredData(uncensored=times[seen], right=times[~seen])).cdf
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval = found.confidence_interval(LEVEL, method="log-log")
    columns = {"share": found, "low": interval.low, "high": interval.high}
    frame = pd.DataFrame({name: part.probabilities for name, part in columns.items()})
    frame.insert(0, "step", found.quantiles)
    return frame


def wilson(successes: np.ndarray, n: np.ndarray, level: float = LEVEL) -> tuple[Any, ...]:
    """Wilson's interval of a share, lower and upper limits (Wilson 1927).

        >>> low, high = wilson(np.array([3]), np.array([5]))
        >>> round(float(low[0]), 2), round(float(high[0]), 2)
        (0.23, 0.88)

    Args:
      successes: how many, `[...]`.
      n: of how many, `[...]`.
      level: that the interval should hold the share with.
    """
    from scipy.special import ndtri

    z = ndtri((1 + level) / 2)
    n = np.maximum(np.asarray(n, float), 1e-12)
    share = np.asarray(successes, float) / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding would leave 1e-17 where the limit is exactly 0, or 1.
    low, high = np.where(share <= 0, 0.0, centre - half), np.where(share >= 1, 1.0, centre + half)
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _first_time(sample: Sample, reached: np.ndarray) -> np.ndarray:
    at = reached.argmax(-1)
    times = np.broadcast_to(sample.times, reached.shape)
    chosen = np.take_along_axis(times, at[..., None], -1)[..., 0]
    return np.where(reached.any(-1), chosen, np.nan)
