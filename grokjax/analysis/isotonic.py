"""The boundary of a map without a model but monotony, to hold the fitted one against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokjax.analysis.boundary import first_rise
from grokjax.analysis.cells import check_columns, finished
from grokjax.analysis.scales import Scale
from grokjax.analysis.survival import LEVEL


def isotonic(runs: pd.DataFrame, x: str, y: str, resamples: int = 200) -> pd.DataFrame:
    """The level of y above which half of the runs grok, at each x, with no model but monotony.

    Isotonic regression in y (more data never hurts, an assumption that fails beyond an upper
    edge: `violation` is the share of the variation of the probability that it smooths away),
    interpolated at one half. The limits are percentiles over resampled runs of each cell; NaN is
    beyond the map.
    """
    from scipy.optimize import isotonic_regression

    check_columns(runs, [x, y])
    rng, rows = np.random.default_rng(0), []
    kept = finished(runs)
    for level, column in kept.groupby(x):
        cells = column.groupby(y)["t_grok"].agg(n="size", k="count")
        at, n = Scale.of(kept[y]).forward(cells.index), cells["n"].to_numpy(float)
        share = cells["k"].to_numpy(float) / n

        def half(p: np.ndarray, at: np.ndarray = at, n: np.ndarray = n) -> float:
            return first_rise(at, isotonic_regression(p, weights=n).x - 0.5)

        drawn = [half(rng.binomial(n.astype(int), share) / n) for _ in range(resamples)]
        known = np.array(drawn)[np.isfinite(drawn)]
        limits = (
            np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(known) else [np.nan] * 2
        )
        smooth = isotonic_regression(share, weights=n).x
        off = np.average((share - smooth) ** 2, weights=n)
        of = np.average((share - np.average(share, weights=n)) ** 2, weights=n)
        scale = Scale.of(kept[y])
        rows.append(
            {
                x: level,
                y: float(scale.back(half(share))),
                "low": float(scale.back(limits[0])),
                "high": float(scale.back(limits[1])),
                "violation": off / of if of else 0.0,
            }
        )
    return pd.DataFrame(rows)
