"""Where half of the runs grok by a budget: a curve over two axes, with a confidence band.

Logistic regression on a polynomial of the two (log) axes. The band at 95 % holds the points at
which the fitted log-odds do not differ from zero, which is Fieller's way of inverting a test.
Their errors come from resampled seeds: a seed is the same start and split in every cell, and
where runs of a seed are alike, errors that take runs for independent hold the truth in 71 to
86 % of repetitions instead of 95 % (results/recorded/coverage).

Legend: C cells, R runs, K terms, B resamples, G points of the fine grid along an axis.
"""

from __future__ import annotations

import dataclasses
import functools
import html
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis import logistic
from grokjax.analysis.cells import check_columns, finished
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.scales import Scale
from grokjax.analysis.survival import LEVEL, censored_times

FINE = 121
"""Points along each axis at which surfaces are evaluated."""
FEWEST = 5
"""Runs that must have grokked, and that must have not, before a boundary is drawn."""
RESAMPLES = 200
CLEARLY_BETTER = 10.0
"""In Akaike's criterion, before cubic terms are taken. Quadratic ones are there whenever the
data bear them: terms chosen by their fit make bands too narrow."""

Terms = tuple[tuple[int, int], ...]
"""Powers of x and y."""
PLANE: Terms = ((0, 0), (1, 0), (0, 1))
QUADRATIC: Terms = (*PLANE, (1, 1), (2, 0), (0, 2))
CUBIC: Terms = (*QUADRATIC, (3, 0), (2, 1), (1, 2), (0, 3))


@dataclasses.dataclass(frozen=True, repr=False)
class Boundary:
    """A fitted probability of grokking within `budget` updates."""

    x: Scale
    y: Scale
    budget: float
    terms: Terms
    fit: logistic.Fit
    draws: np.ndarray
    """Coefficients of resampled seeds, `[B, K]`, scaled to the length of the fit's."""
    degrees: int
    """Seeds less one; 0 where they are too few to resample, and runs count as independent."""
    data: pd.DataFrame
    """A row a cell: the axes, `n` runs and `k` that grokked by the budget."""
    origin: np.ndarray
    """Centre and half-width of each axis, `[2, 2]`: the fit is in these units."""
    p_fit: float
    """Probability of a Pearson χ² as large as this one if the fit were true, by simulation."""
    n_left_out: int
    """Runs on the 0 of a log axis, or with a smaller budget."""

    def __repr__(self) -> str:
        n, k = int(self.data["n"].sum()), int(self.data["k"].sum())
        where = f"P(grok by {self.budget:g}) = ½ over {self.x.name} × {self.y.name}"
        band = f"its 95 % band is {self.band_width():.0%} of the map"
        return f"<Boundary {where}: {k} of {n} runs grokked, {band}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.edges().to_html(index=False)}"

    def features(self, x: object, y: object) -> np.ndarray:
        """The terms `[..., K]` at points given in the units of the columns."""
        return _features(self.terms, self.origin, self.x.forward(x), self.y.forward(y))

    def surface(self, x: object, y: object) -> tuple[np.ndarray, np.ndarray]:
        """Log-odds of grokking by the budget, and the half-width of their 95 % interval."""
        from scipy.special import ndtri, stdtrit

        features = self.features(x, y)
        log_odds, level = features @ self.fit.coefficients, (1 + LEVEL) / 2
        if self.degrees == 0:
            error = np.einsum("...k,kj,...j->...", features, self.fit.covariance, features)
            return log_odds, ndtri(level) * np.sqrt(np.maximum(error, 0))
        # Not quantiles of the resamples: three seeds have only six different ones, and quantiles
        # of six jump from one to the next along the map, which tears the band. Around the fit,
        # not around their mean: what resampling shifts is part of the error.
        shifts = features @ (self.draws - self.fit.coefficients).T
        return log_odds, stdtrit(self.degrees, level) * np.sqrt(np.mean(shifts**2, axis=-1))

    def probability(self, x: object, y: object) -> np.ndarray:
        """Probability that a run at (x, y) groks by the budget."""
        return logistic.expit(self.features(x, y) @ self.fit.coefficients)

    @functools.cached_property
    def fine(self) -> tuple[np.ndarray, np.ndarray]:
        """Fine levels along x and y, `[G]` each, over the extent of the map."""
        xs, ys = ((s.forward(self.data[s.name])) for s in (self.x, self.y))
        return (
            self.x.back(np.linspace(xs.min(), xs.max(), FINE)),
            self.y.back(np.linspace(ys.min(), ys.max(), FINE)),
        )

    @functools.cached_property
    def fine_surface(self) -> tuple[np.ndarray, np.ndarray]:
        """`surface` on the fine grid, `[G, G]` each, a row a y."""
        return self.surface(*np.meshgrid(*self.fine))

    def curve(self) -> pd.DataFrame:
        """Where the probability is one half: a row a point, in order along the curve.

        Columns: `line`, which counts the pieces where the curve comes in several, and the two
        axes under their own names and in their own units.
        """
        return self._contour(0.0)

    def band(self) -> pd.DataFrame:
        """The borders of the band: the columns of `curve`, with `side` before them.

        `low` lies towards the runs that do not grok, `high` towards those that do.
        """
        sides = {"low": self._contour(1.0), "high": self._contour(-1.0)}
        return pd.concat(sides, names=["side"]).reset_index("side").reset_index(drop=True)

    def region(self) -> list[np.ndarray]:
        """The borders of the 95 % band, closed lines `[n, 2]`; those of holes run the other way."""
        log_odds, half = self.fine_surface
        rings = [
            points[start:end]
            for points, offsets in zip(
                *self._contours(np.abs(log_odds) - half).filled(-np.inf, 0.0), strict=True
            )
            for start, end in itertools.pairwise(offsets)
        ]
        return [np.column_stack([self.x.back(p[:, 0]), self.y.back(p[:, 1])]) for p in rings]

    def inside_band(self, x: object, y: object) -> np.ndarray:
        """Whether one half lies in the interval of the probability at these points."""
        log_odds, half = self.surface(x, y)
        return np.abs(log_odds) <= half

    def band_width(self) -> float:
        """Area of the band as a share of the map's."""
        log_odds, half = self.fine_surface
        return float((np.abs(log_odds) <= half).mean())

    def edges(self) -> pd.DataFrame:
        """Lower and upper edge in x at each level of y, with limits; NaN is beyond the map."""
        rows = []
        xs, _ = self.fine
        at = self.x.forward(xs)
        for level in self.y.levels:
            if np.isfinite(self.y.forward(level)):
                log_odds, half = self.surface(xs, np.full(FINE, level))
                row: dict[str, object] = {self.y.name: level, "inside": bool((log_odds >= 0).any())}
                for side, name in ((1, "lower"), (-1, "upper")):
                    shifts = {"": 0.0, "_low": side, "_high": -side}
                    for suffix, shift in shifts.items():
                        value = first_rise(at[::side], (log_odds + shift * half)[::side])
                        row[name + suffix] = float(self.x.back(value))
                rows.append(row)
        return pd.DataFrame(rows)

    def _contours(self, values: np.ndarray) -> Any:
        """What traces contours of values on the fine grid, in positions on the scales."""
        import contourpy

        u, v = (scale.forward(at) for scale, at in zip((self.x, self.y), self.fine, strict=True))
        return contourpy.contour_generator(u, v, values, fill_type=contourpy.FillType.OuterOffset)

    def _contour(self, shift: float) -> pd.DataFrame:
        """Lines on which the log-odds plus so many half-widths are zero."""
        log_odds, half = self.fine_surface
        lines = self._contours(log_odds + shift * half).lines(0.0)
        points = np.concatenate([np.zeros((0, 2)), *lines])
        piece = [at for at, line in enumerate(lines) for _ in line]
        at_x, at_y = self.x.back(points[:, 0]), self.y.back(points[:, 1])
        return pd.DataFrame({"line": np.array(piece, int), self.x.name: at_x, self.y.name: at_y})


def boundary(
    runs: pd.DataFrame,
    x: str = "weight_decay",
    y: str = "train_fraction",
    budget: float | None = None,
    resamples: int = RESAMPLES,
    scales: Mapping[str, Scale] | None = None,
) -> Boundary:
    """Fit the probability of grokking by `budget` over two columns.

        >>> import grokjax
        >>> from grokjax.analysis import onset
        >>> runs = onset.table(grokjax.load("results/recorded/wd_vs_frac"))
        >>> edge = boundary(runs, "weight_decay", "train_fraction")
        >>> edge.budget, round(edge.band_width(), 2)
        (4000.0, 0.26)

    Args:
      runs: the `runs` table.
      x: column across.
      y: column up.
      budget: in updates; left out, the smallest budget of the runs. A smaller one is read off
        the same runs, so that "never" and "not yet" can be told apart.
      resamples: of the seeds; without any, errors are those of independent runs.
      scales: of the two columns, where another table than this one decides them.

    Raises:
      NotEnoughRunsError: too few runs grokked, or too few did not, or an axis is no number.
    """
    check_columns(runs, [x, y])
    kept = finished(runs)
    if kept.empty:
        raise NotEnoughRunsError("no run has ended that an error did not end")
    budget = float(kept["steps"].min() if budget is None else budget)
    # A run with a smaller budget would count if it grokked, and not if it did not.
    told = kept["steps"].to_numpy(float) >= budget
    own = [Scale.of(kept[name]) for name in (x, y)]
    for i, scale in enumerate(own):
        if scale.kind == "ordinal":
            raise NotEnoughRunsError(f"{scale.name}: a boundary needs numbers on each axis")
        if scales is not None:
            own[i] = dataclasses.replace(scale, kind=scales[scale.name].kind)
        told &= np.isfinite(own[i].forward(kept[scale.name]))
    if kept.loc[told, [x, y]].nunique().min() < 2:
        raise NotEnoughRunsError("a boundary needs two levels or more on each axis")
    times, seen = censored_times(kept, "t_grok")
    told_runs = kept[told].assign(k=(seen & (times <= budget))[told])
    data = told_runs.groupby([x, y])["k"].agg(n="size", k="sum").reset_index()
    grokked, n = int(data["k"].sum()), int(data["n"].sum())
    if grokked < FEWEST or n - grokked < FEWEST:
        side = "grokked" if grokked < FEWEST else "did not grok"
        few = min(grokked, n - grokked)
        raise NotEnoughRunsError(
            f"{few} of {n} runs {side} within {budget:.0f} updates: {FEWEST} on each side are "
            "the least that shows a boundary"
        )
    u, v = (scale.forward(data[scale.name]) for scale in own)
    origin = np.array([[(w.max() + w.min()) / 2, np.ptp(w) / 2] for w in (u, v)])
    terms, found = _fitted(u, v, origin, data)
    features = _features(terms, origin, u, v)
    weights, degrees = seed_weights(told_runs, resamples)
    into = cell_indicators(told_runs, data, [x, y])
    successes = (weights * told_runs["k"].to_numpy()) @ into
    draws = logistic.fit(features, successes, weights @ into).coefficients
    # Where the boundary lies does not depend on how steep it is: what resamples say of that
    # would only widen the band.
    sizes = np.linalg.norm(draws, axis=1, keepdims=True)
    draws *= np.linalg.norm(found.coefficients) / np.maximum(sizes, 1e-12)
    p = logistic.expit(features @ found.coefficients)
    fits = _pearson(data["k"].to_numpy(float), data["n"].to_numpy(float), p)
    return Boundary(
        own[0], own[1], budget, terms, found, draws, degrees, data, origin, fits, len(kept) - n
    )


def cell_indicators(runs: pd.DataFrame, table: pd.DataFrame, axes: list[str]) -> Any:
    """Sparse `[R, C]`: 1 where a run is of a cell, so that products with it sum over cells."""
    from scipy import sparse

    cells = pd.MultiIndex.from_frame(table[axes])
    at = cells.get_indexer(pd.MultiIndex.from_frame(runs[axes]))
    place = np.arange(len(runs))
    return sparse.csr_array((np.ones(len(runs)), (place, at)), shape=(len(runs), len(cells)))


def seed_weights(runs: pd.DataFrame, resamples: int) -> tuple[np.ndarray, int]:
    """Weights `[B, R]` of the runs from resampled seeds, and the degrees of freedom.

    One seed fewer than there are is drawn with replacement, with weights to match, which makes
    variances unbiased (Rao & Wu 1988). With fewer than three seeds nothing can be said: the
    weights are 1, the degrees 0.
    """
    names = runs["seed"].to_numpy() if "seed" in runs else np.zeros(len(runs))
    seeds, code = np.unique(names, return_inverse=True)
    n = len(seeds)
    if n < 3 or not resamples:
        return np.ones((resamples, len(runs))), 0
    rng = np.random.default_rng(0)
    counts = rng.multinomial(n - 1, np.full(n, 1 / n), size=resamples)
    return (counts * n / (n - 1))[:, code], n - 1


def at_budgets(
    runs: pd.DataFrame, x: str, y: str, budgets: list[float] | None = None
) -> list[Boundary]:
    """The boundary at several budgets, of those that show one; a quarter, a half and all of it.

    The curves only: their bands take runs for independent.
    """
    whole = float(finished(runs)["steps"].min())
    found = []
    for budget in budgets or [whole / 4, whole / 2, whole]:
        try:
            found.append(boundary(runs, x, y, budget, resamples=0))
        except NotEnoughRunsError:
            continue
    return found


def first_rise(at: np.ndarray, values: np.ndarray) -> float:
    """Where `values` first rise through zero along `at`, interpolated; NaN where they do not."""
    rises = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if not len(rises):
        return float("nan")
    i = rises[0]
    return float(at[i] + (at[i + 1] - at[i]) * values[i] / (values[i] - values[i + 1]))


def _fitted(
    u: np.ndarray, v: np.ndarray, origin: np.ndarray, data: pd.DataFrame
) -> tuple[Terms, logistic.Fit]:
    """The richest terms that the levels and the runs bear; cubic ones have to earn it."""
    k, n = data["k"].to_numpy(float), data["n"].to_numpy(float)
    levels = [len(np.unique(w)) for w in (u, v)]
    best: tuple[float, Terms, logistic.Fit] | None = None
    for full in (PLANE, QUADRATIC, CUBIC):
        terms = tuple(t for t in full if t[0] < levels[0] and t[1] < levels[1])
        if best and (n.sum() < FEWEST * len(terms) or len(terms) > len(data)):
            break
        found = logistic.fit(_features(terms, origin, u, v), k, n)
        criterion = 2 * len(terms) - 2 * float(found.log_likelihood)
        required = CLEARLY_BETTER if full is CUBIC else -np.inf
        if best is None or (found.converged and best[0] - criterion > required):
            best = criterion, terms, found
    assert best is not None  # the plane is always there
    return best[1], best[2]


def _features(
    terms: tuple[tuple[int, int], ...], origin: np.ndarray, u: np.ndarray, v: np.ndarray
) -> np.ndarray:
    u, v = (u - origin[0, 0]) / origin[0, 1], (v - origin[1, 0]) / origin[1, 1]
    return np.stack([u**i * v**j for i, j in terms], axis=-1)


def _pearson(k: np.ndarray, n: np.ndarray, p: np.ndarray, draws: int = 500) -> float:
    rng = np.random.default_rng(0)
    p = np.clip(p, 1e-6, 1 - 1e-6)

    def statistic(successes: np.ndarray) -> np.ndarray:
        return ((successes - n * p) ** 2 / (n * p * (1 - p))).sum(-1)

    simulated = statistic(rng.binomial(n.astype(int), p, (draws, len(n))))
    return float((1 + (simulated >= statistic(k)).sum()) / (1 + draws))
