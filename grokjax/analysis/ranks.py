"""How well a number ranks runs whose times may be censored, and how sure that is.

Seeds are what is resampled: a seed is the same start and split in every cell, so that its runs
are not independent of one another.

Legend: n runs, U seeds or other units, B resamples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.boundary import seed_weights
from grokjax.analysis.survival import LEVEL

BLOCK = 256
"""Runs that are paired with all others at once: what bounds the memory."""


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, which is NaN where fewer than three seeds tell of it."""

    value: float
    low: float
    high: float
    n: int
    """Pairs, or runs, that it was made from."""

    def columns(self, name: str) -> dict[str, float]:
        """As columns of a table: `name`, `name_low`, `name_high`."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclasses.dataclass(frozen=True)
class Units:
    """What is resampled: the seeds; or the runs where a table has no seeds."""

    code: np.ndarray
    """Which unit a run belongs to, numbers from 0, `[n]`."""
    size: int
    """U, of the table that they were made from."""

    @classmethod
    def of(cls, runs: pd.DataFrame) -> Units:
        """The units of a runs table."""
        code, names = pd.factorize(runs["seed" if "seed" in runs else "run_id"], sort=True)
        return cls(code, len(names))

    def at(self, where: np.ndarray) -> Units:
        """The units of some of the runs."""
        return Units(self.code[where], self.size)

    def draws(self, resamples: int) -> np.ndarray:
        """Weights of the runs, `[1 + B, n]`: 1 first, then those of resampled units."""
        drawn, _ = seed_weights(pd.DataFrame({"seed": np.arange(self.size)}), resamples)
        return np.vstack([np.ones(self.size), drawn])[:, self.code]

    def folds(self, most: int) -> np.ndarray:
        """Which of at most `most` parts a run is held out with, `[n]`; no seed is torn apart."""
        return self.code % most


def interval(
    value: float, drawn: np.ndarray, n_units: int, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Student's 95 % interval of a number from its resamples.

    Not quantiles of the resamples: five seeds have few different ones, and their quantiles are
    too narrow (`boundary` says the same of its bands).

    Args:
      value: the estimate.
      drawn: the same of resampled units, `[B]`, NaN where they tell nothing.
      n_units: units that it comes from.
      bounds: what the number cannot exceed.
    """
    from scipy.special import stdtrit

    told = drawn[np.isfinite(drawn)]
    if n_units < 3 or not len(told) or not np.isfinite(value):
        return np.nan, np.nan
    half = stdtrit(n_units - 1, (1 + LEVEL) / 2) * np.sqrt(np.mean((told - value) ** 2))
    return max(value - half, bounds[0]), min(value + half, bounds[1])


def concordance(
    x: np.ndarray, times: np.ndarray, seen: np.ndarray, cell: np.ndarray, units: Units
) -> Estimate:
    """Harrell's C-index of 'a larger x comes sooner', over pairs within cells.

    A pair is comparable if the sooner of its times was seen: then the other is known to be
    later, censored or not. C is the share of these pairs in which the sooner run has the larger
    x, ties in x counting half; 0.5 is a coin, and 0.2 tells as much as 0.8 (Harrell et al. 1982).

    Args:
      x: the number, `[n]`, finite.
      times: of the event, or of the end, `[n]`.
      seen: whether the event was seen, `[n]`.
      cell: only runs of equal cells are compared, `[n]`.
      units: what is resampled for the interval.
    """
    size = units.size
    won, all_ = np.zeros((size, size)), np.zeros((size, size))
    for members in _groups(cell):
        events = members[seen[members]]
        for rows in np.array_split(events, -(-len(events) // BLOCK) or 1):
            mine, other = times[rows, None], times[None, members]
            sooner = (mine < other) | ((mine == other) & ~seen[None, members])
            at_i, at_j = np.nonzero(sooner)
            i, j = rows[at_i], members[at_j]
            pair = units.code[i] * size + units.code[j]
            all_ += np.bincount(pair, minlength=size * size).reshape(size, size)
            right = (x[i] > x[j]) + 0.5 * (x[i] == x[j])
            won += np.bincount(pair, right, minlength=size * size).reshape(size, size)
    n_pairs = int(all_.sum())
    value = won.sum() / n_pairs if n_pairs else np.nan
    # What each seed adds to the share, to first order (the infinitesimal jackknife, Jaeckel 1972).
    # Drawing seeds with replacement pairs runs with themselves, which makes intervals of five
    # seeds a third too wide; these hold the truth in 94 to 96 % of simulated tables of 5 to 10.
    weight = all_.sum(0) + all_.sum(1)
    told = weight > 0
    adds = (won.sum(0) + won.sum(1) - value * weight)[told] / max(n_pairs, 1)
    n = int(told.sum())
    drawn = value + n / np.sqrt(max(n - 1, 1)) * adds
    return Estimate(float(value), *interval(float(value), drawn, n, (0.0, 1.0)), n_pairs)


def auroc(x: np.ndarray, positive: np.ndarray, cell: np.ndarray, units: Units) -> Estimate:
    """Chance that a positive run has a larger x than a negative one of its cell, ties half.

    It is the C-index of an event that all positives had at once and no negative has had.
    """
    return concordance(x, np.where(positive, 0.0, 1.0), positive, cell, units)


def cells_of(runs: pd.DataFrame, strata: Sequence[str]) -> np.ndarray:
    """The number of each run's cell `[n]`, of those of the columns `strata` that there are."""
    there = [name for name in strata if name in runs]
    if not there:
        return np.zeros(len(runs), int)
    return runs.groupby(there, dropna=False, sort=False).ngroup().to_numpy()


def _groups(code: np.ndarray) -> list[np.ndarray]:
    """The places of each number of `code`."""
    order = np.argsort(code, kind="stable")
    return np.split(order, np.nonzero(np.diff(code[order]))[0] + 1)
