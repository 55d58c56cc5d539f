"""Whether a choice moves a time: runs that differ in one field, compared as distributions.

Times that have not come by a run's last step are censored there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.cells import check_columns
from grokjax.analysis.survival import censored_times, kaplan_meier_median

Times = tuple[np.ndarray, np.ndarray]
"""Times `[n]` and whether each was seen, as `censored_times` gives them."""


def compare(
    runs: pd.DataFrame, axis: str, by: Sequence[str] = (), metric: str = "t_grok"
) -> pd.DataFrame:
    """Every pair of values of a field, in each cell of the others.

    Args:
      runs: the `runs` table.
      axis: the field whose values are compared.
      by: fields to keep apart.
      metric: a time in steps.

    Returns:
      A row a pair: numbers of runs, how many the event was seen in, Kaplan–Meier medians,
      `p` of the log-rank test (SciPy's), and `superiority`, the share of pairs of runs in which
      the first value's time is the larger one, ties and pairs that censoring leaves open
      counting one half (Vargha & Delaney 2000): 0.5 is no effect.
    """
    check_columns(runs, [axis, *by], metric)
    rows = []
    kept = runs[runs["status"] != "failed"]
    for key, group in kept.groupby(list(by), dropna=False) if by else [((), kept)]:
        for one, other in itertools.combinations(pd.unique(group[axis]), 2):
            a, b = (censored_times(group[group[axis] == value], metric) for value in (one, other))
            row = dict(zip(by, key, strict=True))
            for suffix, value, (times, seen) in (("a", one, a), ("b", other, b)):
                row[f"{axis}_{suffix}"] = value
                row[f"n_{suffix}"], row[f"seen_{suffix}"] = len(times), int(seen.sum())
                row[f"median_{suffix}"] = kaplan_meier_median(times, seen)
            rows.append({**row, "p": logrank(a, b), "superiority": superiority(a, b)})
    return pd.DataFrame(rows)


def logrank(a: Times, b: Times) -> float:
    """Two-sided p-value of equal distributions (Mantel 1966); NaN where the times tell nothing.

    >>> all_seen = np.ones(4, bool)
    >>> early, late = np.array([100, 110, 120, 130.0]), np.array([500, 510, 520, 530.0])
    >>> logrank((early, all_seen), (late, all_seen)) < 0.01
    True
    """
    from scipy import stats

    if not (a[1].any() or b[1].any()):
        return math.nan
    samples = [
        stats.CensoredData(uncensored=times[seen], right=times[~seen]) for times, seen in (a, b)
    ]
    with np.errstate(invalid="ignore"):  # no variance where all times are one
        return float(stats.logrank(*samples).pvalue)


def superiority(a: Times, b: Times) -> float:
    """Share of pairs in which the time of `a` is the later one, undecided pairs counting half.

    >>> seen = np.array([True, True])
    >>> superiority((np.array([300.0, 400.0]), seen), (np.array([100.0, 350.0]), seen))
    0.75
    """
    (times_a, seen_a), (times_b, seen_b) = ((t[:, None], s[:, None]) for t, s in (a, b))
    times_b, seen_b = times_b.T, seen_b.T
    later = seen_b & ((times_a > times_b) | ((times_a == times_b) & ~seen_a))
    sooner = seen_a & ((times_b > times_a) | ((times_b == times_a) & ~seen_b))
    return float(0.5 + (later.mean() - sooner.mean()) / 2)
