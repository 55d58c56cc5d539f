"""Sizes of effects with 95 % intervals over seeds, and verdicts from intervals.

Tables are those of a claim: a row a run, with its cell, its seed, and times of which missing ones
are censored at `last_step`. Seeds are what is resampled, all runs of a seed together, because they
share start and split. A run that has not grokked is never left out: where a median is not reached,
the interval is open on that side.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

from grokjax.atlas.claim import CONFIRMED, CONTRADICTED, NOT_DECIDED

RESAMPLES = 2000
"""Of a bootstrap that is computed at once."""
CALLS = 500
"""Resamples for which a claim's own statistic is called, one by one."""
LEVEL = 0.95
OPEN = math.inf


@dataclasses.dataclass(frozen=True)
class Effect:
    """A number with the limits of its 95 % interval; an infinite limit is open."""

    value: float
    low: float
    high: float
    at_least: bool = False
    """Whether the value is a lower bound, because times in the numerator are censored."""
    at_most: bool = False
    """Whether it is an upper one, because times in the denominator are."""


def told(effect: Effect) -> str:
    """An effect as a text: `1.21 [0.9, 1.4]`, `> 3.2 [2.1, …]`."""
    sign = "> " * effect.at_least + "< " * effect.at_most
    limits = ["…" if not math.isfinite(v) else f"{v:.3g}" for v in (effect.low, effect.high)]
    value = "unknown" if not math.isfinite(effect.value) else f"{effect.value:.3g}"
    return f"{sign}{value} [{limits[0]}, {limits[1]}]"


def judge(effect: Effect, low: float = -OPEN, high: float = OPEN) -> str:
    """Confirmed where the interval lies between the limits, contradicted where it lies outside.

    It is not decided where one of the limits lies in the interval.
    """
    above, below = low == -OPEN or effect.low > low, high == OPEN or effect.high < high
    if above and below:
        return CONFIRMED
    return CONTRADICTED if effect.high <= low or effect.low >= high else NOT_DECIDED


def all_of(*verdicts: str) -> str:
    """Confirmed if all are, contradicted if any is, and not decided otherwise."""
    if CONTRADICTED in verdicts:
        return CONTRADICTED
    return CONFIRMED if set(verdicts) == {CONFIRMED} else NOT_DECIDED


def share(flags: Sequence[bool] | pd.Series) -> Effect:
    """The share of runs of which something holds, with Wilson's interval."""
    import numpy as np

    from grokjax.analysis.survival import wilson

    held = np.asarray(flags, bool)
    low, high = wilson(np.array(held.sum()), np.array(held.size), LEVEL)
    return Effect(float(held.mean()), float(low), float(high))


def difference(first: Sequence[bool] | pd.Series, second: Sequence[bool] | pd.Series) -> Effect:
    """The first share minus the second, with Newcombe's interval (1998, method 10)."""
    a, b = share(first), share(second)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Effect(value, low, high)


def ratio(first: pd.DataFrame, second: pd.DataFrame, metric: str = "t_grok") -> Effect:
    """The median time of the first runs over that of the second, by Kaplan and Meier.

    A bootstrap over seeds gives the interval. A median that is not reached lies somewhere between
    the last step and never, and each end of the interval takes what is worse for it.
    """
    import numpy as np

    seeds = np.union1d(first["seed"], second["seed"])
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), RESAMPLES)
    drawn = np.concatenate([np.ones((1, len(seeds)), int), drawn])  # the runs themselves first
    (a_low, a_high), (b_low, b_high) = (_medians(t, metric, seeds, drawn) for t in (first, second))
    with np.errstate(divide="ignore", invalid="ignore"):
        lows, highs = np.nan_to_num(a_low / b_high), a_high / b_low
    low, high = np.sort(lows[1:]), np.sort(np.where(np.isnan(highs), OPEN, highs)[1:])
    least, most = float(lows[0]), float(highs[0])
    bounded, shown = least != most, least if least > 0 else most
    limits = (float(low[_at(1 - LEVEL, low)]), float(high[-1 - _at(1 - LEVEL, high)]))
    return Effect(shown, *limits, bounded and least > 0, bounded and least == 0)


def _medians(
    runs: pd.DataFrame, metric: str, seeds: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and largest that the median time of each resample may be, `[B]` each.

    Args:
      runs: of one cell.
      metric: the time.
      seeds: that are drawn from, `[S]`.
      drawn: how often each is there, `[B, S]`.
    """
    import numpy as np

    from grokjax.analysis.survival import Sample, censored_times, medians
    from grokjax.analysis.times import TIMES

    origin = TIMES[metric]
    kept = runs if origin is None else runs[runs[origin].notna()]
    if kept.empty:
        return np.zeros(len(drawn)), np.full(len(drawn), OPEN)
    times, seen = censored_times(kept, metric)
    sample = Sample.of(times, seen, np.zeros(len(times), int), 1)
    counts = drawn[:, np.searchsorted(seeds, kept["seed"].to_numpy())]
    weights = counts[:, sample.entry[0]].astype(float)[:, None, :]
    found = medians(sample, weights)[:, 0]
    known = ~np.isnan(found) & (weights.sum((1, 2)) > 0)
    latest = np.where(weights[:, 0] > 0, sample.times[0], 0.0).max(1)
    return np.where(known, found, latest), np.where(known, found, OPEN)


def _at(share_outside: float, ordered: np.ndarray) -> int:
    """How many resamples lie outside on each side of the interval."""
    return int(share_outside / 2 * len(ordered))


def resampled(table: pd.DataFrame, statistic: Callable[[pd.DataFrame], float]) -> Effect:
    """A statistic of the table, with the percentiles of a bootstrap over seeds.

    Where a resample has no value of it (NaN), the interval is open on both sides by its share.
    """
    import numpy as np

    table = table.reset_index(drop=True)
    seeds = table["seed"].unique()
    rng = np.random.default_rng(0)
    rows = {seed: of.index.to_numpy() for seed, of in table.groupby("seed")}
    draws = [np.concatenate([rows[s] for s in rng.choice(seeds, len(seeds))]) for _ in range(CALLS)]
    found = np.array([statistic(table.take(of).reset_index(drop=True)) for of in draws])
    lows, highs = (np.sort(np.where(np.isnan(found), end, found)) for end in (-OPEN, OPEN))
    outside = _at(1 - LEVEL, found)
    return Effect(float(statistic(table)), float(lows[outside]), float(highs[-1 - outside]))


def exponent(table: pd.DataFrame, axis: str, within: Sequence[str] = ()) -> Effect:
    """The power b of t_grok ∝ axis^b, a censored log-normal fit.

    Args:
      table: of the claim.
      axis: column that t_grok is a power of.
      within: columns whose levels have a constant each.

    Returns:
      It; nothing is known of it where too few runs have grokked.
    """
    from grokjax.analysis import laws
    from grokjax.analysis.errors import NotEnoughRunsError

    try:
        fitted: Any = laws.fit(table, axis, "power", within=list(within)).parameters
    except NotEnoughRunsError:
        return Effect(math.nan, -OPEN, OPEN)
    value, low, high = (float(fitted.at["b", name]) for name in ("value", "low", "high"))
    return Effect(value, low, high)


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """The least-squares slope of y over x; NaN where x takes one value only."""
    import numpy as np

    x, y = (np.asarray(values, float) for values in (x, y))
    spread = ((x - x.mean()) ** 2).sum() if len(x) else 0.0
    return float(((x - x.mean()) * y).sum() / spread) if spread > 0 else math.nan
