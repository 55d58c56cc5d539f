"""Sweeps with known answers: what estimates and intervals are tried on.

t_grok is log-normal around a surface over log10 weight decay w and train fraction f,

    log t = log scale + exponent · log wd − slope · (f − ½) + bend · w²,

and a run is censored at its budget. The boundary P(grok by B) = ½ is then where the median is B.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """What the runs are drawn from; times in updates, log10 of weight decay where it is bent."""

    scale: float = 1200.0
    exponent: float = -0.8
    slope: float = 9.0
    bend: float = 0.0
    sigma: float = 0.5
    seed_sigma: float = 0.0
    """Standard deviation of the noise that all runs of one seed share, in logarithms of steps."""
    budget: int = 4000

    def median(self, weight_decay: object, train_fraction: object) -> np.ndarray:
        """Median t_grok at these places."""
        wd, f = np.asarray(weight_decay, float), np.asarray(train_fraction, float)
        bent = self.bend * np.log10(wd) ** 2
        return self.scale * wd**self.exponent * np.exp(-self.slope * (f - 0.5) + bent)

    def boundary(self, weight_decay: object) -> np.ndarray:
        """The fraction at which half of the runs grok by the budget."""
        excess = np.log(self.median(weight_decay, 0.5) / self.budget)
        return 0.5 + excess / self.slope

    def area(self, low: float, high: float, bottom: float, top: float) -> float:
        """Area of the zone between two weight decays and two fractions, in decades × fraction."""
        w = np.linspace(np.log10(low), np.log10(high), 20001)
        heights = top - np.clip(self.boundary(10**w), bottom, top)
        return float(np.trapezoid(heights, w))


def runs(
    rng: np.random.Generator,
    truth: Truth,
    weight_decays: np.ndarray,
    train_fractions: np.ndarray,
    seeds: int,
) -> pd.DataFrame:
    """A `runs` table of the grid, as a sweep would leave it."""
    cells = [(wd, f, s) for f in train_fractions for wd in weight_decays for s in range(seeds)]
    table = pd.DataFrame(cells, columns=["weight_decay", "train_fraction", "seed"])
    shared = rng.normal(0, truth.seed_sigma, seeds)[table["seed"]]
    noise = rng.normal(0, truth.sigma, len(table)) + shared
    time = truth.median(table["weight_decay"], table["train_fraction"]) * np.exp(noise)
    seen = time <= truth.budget
    t_grok = pd.array(np.where(seen, np.ceil(time), 0), dtype="Int64")
    t_grok[~seen] = pd.NA
    t_mem = np.minimum(100, np.ceil(time) - 1)
    return table.assign(
        run_id=[f"{i:06d}" for i in range(len(table))], split_seed=table["seed"],
        status="done", steps=truth.budget, last_step=truth.budget,
        t_mem=pd.array(t_mem, dtype="Int64"), t_grok=t_grok,
        t_grok_interpolated=np.where(seen, time, np.nan), grok_gap=t_grok - t_mem.astype(int),
    )  # fmt: skip
