"""Which runs would say most about where the boundary lies.

Candidates are the cells of a lattice between the levels of a coarse grid, each with the seeds
that it has not had. A run at a place c tells about the surface elsewhere through the fit's
covariance Σ: it lowers the variance of the log-odds at a place b by (φ_b'Σφ_c)² w_c / (1 + w_c
φ_c'Σφ_c), where w_c is the expected p(1 − p). Runs are taken one by one, the next being the one
that most lowers the variance of the boundary's position, averaged along it (Bayesian
V-optimality; Chaloner & Verdinelli 1995). A cell gets one run at a time: to the fit a neighbour
is worth as much as a repetition, and it shows where the fit is wrong. How it fares on a dense
map is in results/recorded/replay.

Legend: C candidates, P points of the boundary, K terms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis import logistic
from grokjax.analysis.boundary import Boundary
from grokjax.analysis.scales import Scale

POINTS = 60
"""Along the boundary."""


def lattice(levels: Sequence[float], halvings: int) -> list[float]:
    """The levels with midpoints between them, inserted `halvings` times.

    Midpoints are even on the axis' own scale, and have as few digits as tell them from it: two,
    or more where a tenth of the distance asks for them.
    """
    scale = Scale.between(levels)
    found = [float(level) for level in scale.levels]
    for _ in range(halvings):
        at = scale.forward(found)
        middles = [
            _rounded(scale, middle, 0.1 * width)
            for middle, width in zip((at[1:] + at[:-1]) / 2, np.diff(at), strict=True)
            if np.isfinite(middle)
        ]
        found = sorted({*found, *middles})
    return found


def choose(
    found: Boundary, candidates: pd.DataFrame, runs: pd.DataFrame, n: int, seeds: Sequence[int]
) -> pd.DataFrame:
    """The next runs, at most one a cell: x, y and `seed`, in the order of their worth.

    Args:
      found: the boundary so far.
      candidates: the cells of the lattice, columns x and y.
      runs: the runs so far, failed ones too: they are not chosen again.
      n: how many, at most.
      seeds: that a cell may have. Of those that it lacks it gets the one least used so far.
    """
    x, y = found.x.name, found.y.name
    cells = list(zip(candidates[x], candidates[y], strict=True))
    missing = {cell: list(seeds) for cell in cells}
    for cell, seed in zip(zip(runs[x], runs[y], strict=True), runs["seed"], strict=True):
        if seed in missing.get(cell, []):
            missing[cell].remove(seed)
    used = {seed: int((runs["seed"] == seed).sum()) for seed in seeds}
    features, covariance = found.features(candidates[x], candidates[y]), found.fit.covariance
    along = _along(found)
    # A level of 0 has no place on a log axis, and so none in the fit.
    open_ = np.array([bool(missing[cell]) for cell in cells]) & np.isfinite(features).all(1)
    features = np.where(open_[:, None], features, 0.0)
    chosen = []
    for _ in range(n):
        if not open_.any():
            break
        worth, weight = _worth(found, features, covariance, along)
        best = int(np.where(open_, worth, -np.inf).argmax())
        seed = min(missing[cells[best]], key=lambda s: (used[s], s))
        missing[cells[best]].remove(seed)
        used[seed] += 1
        open_[best] = False
        chosen.append({x: cells[best][0], y: cells[best][1], "seed": seed})
        told = covariance @ features[best]
        covariance = covariance - np.outer(told, told) * weight[best] / (
            1 + weight[best] * features[best] @ told
        )
    return pd.DataFrame(chosen, columns=[x, y, "seed"])


def _along(found: Boundary) -> np.ndarray:
    """Terms `[P, K]` at points of the boundary, over the slope of the log-odds across it.

    Where the boundary is not on the map, the places nearest to it stand for it.
    """
    xs, ys = found.fine
    grid = np.meshgrid(xs, ys)
    log_odds, _ = found.fine_surface
    slopes = np.hypot(*np.gradient(log_odds)) * len(xs)
    nearness = np.abs(log_odds) / np.maximum(slopes, 1e-9)
    order = np.argsort(nearness, axis=None, kind="stable")[: 4 * POINTS : 4]
    features = found.features(grid[0].ravel()[order], grid[1].ravel()[order])
    return features / np.maximum(slopes.ravel()[order, None], 1e-9)


def _worth(
    found: Boundary, features: np.ndarray, covariance: np.ndarray, along: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What a run at each candidate would take off the variance, and its weight, `[C]` each."""
    log_odds = features @ found.fit.coefficients
    variance = np.einsum("ck,kj,cj->c", features, covariance, features)
    p = logistic.expit(log_odds / np.sqrt(1 + np.pi * variance / 8))  # MacKay 1992
    weight = p * (1 - p)
    told = along @ covariance @ features.T
    return (told**2).sum(0) * weight / (1 + weight * variance), weight


def _rounded(scale: Scale, middle: float, tolerance: float) -> float:
    for digits in range(2, 17):
        value = float(f"{float(scale.back(middle)):.{digits}g}")
        if abs(float(scale.forward(value)) - middle) <= tolerance:
            return value
    return float(scale.back(middle))
