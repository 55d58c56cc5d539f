"""Smooth rises fitted to test accuracy: when, how fast, from where to where.

logistic: a(t) = low + (high − low) / (1 + exp(−rate·(t − centre)))
erf:      a(t) = (high − low)/2 · erf(rate·(t − centre)) + (high + low)/2, the form of Miller et
          al. (arXiv 2402.08946)

Least squares by Levenberg and Marquardt's method, for all runs at once. Log points are not
independent draws, so that the standard errors, from the residuals, are a scale and no test.

Legend: R runs, K log points of the longest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from grokjax.analysis.curves import Curves, extreme, first, in_chunks, median, pick
from grokjax.config import ConfigError
from grokjax.results.load import Results

PARAMETERS = ("low", "high", "rate", "centre")
LEAST_HEIGHT = 0.1
"""A rise smaller than this is none."""
LEAST_R2 = 0.9
MOST_ROUNDS = 100
TEN_TO_NINETY = {"logistic": 2 * np.log(9), "erf": 2 * 0.9061938}
"""The distance from 10 to 90 % of the rise, times the rate; the second is 2·erf⁻¹(0.8)."""

Shape = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def _logistic(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value = 0.5 * (1 + np.tanh(0.5 * u))
    return value, value * (1 - value)


def _erf(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.special import erf

    return 0.5 * (1 + erf(u)), np.exp(-(u**2)) / np.sqrt(np.pi)


SHAPES: dict[str, Shape] = {"logistic": _logistic, "erf": _erf}
"""Name → value and slope of a rise from 0 to 1."""


def table(results: Results, kind: str = "logistic") -> pd.DataFrame:
    """`rises` of every run of a sweep that did not fail, some thousand runs at a time."""
    runs = results.runs[results.runs["status"] != "failed"]
    names = ["test_accuracy"]
    parts = [rises(part, kind) for part in in_chunks(results, list(runs["run_id"]), names)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["run_id"])


def rises(curves: Curves, kind: str = "logistic") -> pd.DataFrame:
    """Fit the rise of test accuracy of each run, up to where it falls to half of its maximum.

    Returns:
      A row a run: `run_id`, the parameters and their standard errors `…_error` (steps, or one
      over steps for the rate), `width` (10 to 90 % of the rise), `r2`, and `failed`: the fit did
      not converge, explains less than 90 %, rises by less than 0.1, or has its centre outside
      of the log. The numbers of failed fits are not to be used.

    Raises:
      ConfigError: there is no such kind of fit.
    """
    if kind not in SHAPES:
        raise ConfigError(f"kind={kind!r}: choose from {', '.join(SHAPES)}.")
    values = curves.values["test_accuracy"].astype(float)
    known = curves.inside & np.isfinite(values)
    top = np.where(known, values, -np.inf).argmax(1)
    # What comes after a collapse is no part of the rise; a plateau at the top is.
    fallen = known & (np.arange(values.shape[1]) > top[:, None])
    fallen &= values < 0.5 * pick(values, top).data[:, None]
    end = first(fallen)
    known &= (end < 0)[:, None] | (np.arange(values.shape[1]) < end[:, None])
    y, scale = np.where(known, values, 0.0), np.maximum(curves.step.max(1), 1).astype(float)
    t = curves.step / scale[:, None]
    theta, covariance, converged = _minimise(t, y, known, SHAPES[kind])
    fitted = _model(theta, t, SHAPES[kind])[0]
    mean = y.sum(1) / np.maximum(known.sum(1), 1)
    spread = np.where(known, (y - mean[:, None]) ** 2, 0).sum(1)
    missed = np.where(known, (y - fitted) ** 2, 0).sum(1)
    r2 = 1 - missed / np.maximum(spread, 1e-300)
    low, height, log_rate, centre = theta.T
    with np.errstate(over="ignore", invalid="ignore"):
        rate = np.exp(log_rate) / scale
        error = np.sqrt(np.einsum("rii->ri", covariance))
        high_error = np.sqrt(covariance[:, 0, 0] + covariance[:, 1, 1] + 2 * covariance[:, 0, 1])
    first_step = np.where(curves.length > 0, curves.step[:, 0], 0) / scale
    failed = ~converged | (r2 < LEAST_R2) | (height < LEAST_HEIGHT) | (centre > 1)
    failed |= (centre < first_step) | ~np.isfinite(error).all(1)
    return pd.DataFrame(
        {
            "run_id": list(curves.run_ids),
            **dict(zip(PARAMETERS, (low, low + height, rate, centre * scale), strict=True)),
            "low_error": error[:, 0],
            "high_error": high_error,
            "rate_error": error[:, 2] * rate,
            "centre_error": error[:, 3] * scale,
            "width": TEN_TO_NINETY[kind] / rate,
            "r2": r2,
            "failed": failed,
        }
    )


def _model(theta: np.ndarray, t: np.ndarray, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Values `[R, K]` and their derivatives `[R, K, 4]` by low, height, log rate and centre."""
    low, height, log_rate, centre = (column[:, None] for column in theta.T)
    rate = np.exp(log_rate)
    u = np.clip(rate * (t - centre), -700, 700)
    value, slope = shape(u)
    by = [np.ones_like(u), value, height * slope * u, -height * slope * rate]
    return low + height * value, np.stack(by, axis=-1)


def _start(t: np.ndarray, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Levels from the ends, the centre where half is first reached, a rise of a tenth of it."""
    points = np.arange(t.shape[1])
    half = (extreme(y, known, largest=True) + extreme(y, known, largest=False)).filled(0.0) / 2
    at = np.maximum(first(known & (y >= half[:, None])), 0)
    before = median(y, known & (points < at[:, None]))
    after = median(y, known & (points >= at[:, None]))
    low = before.filled(0.0)
    centre = pick(t, at).data
    rate = np.log(20 / np.maximum(centre, 1e-3))
    return np.stack([low, after.filled(1.0) - low, rate, centre], axis=1)


def _minimise(
    t: np.ndarray, y: np.ndarray, known: np.ndarray, shape: Shape
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters `[R, 4]`, their covariance `[R, 4, 4]`, and whether the fit converged."""
    theta = _start(t, y, known)
    damping, weight = np.full(len(t), 1e-2), known.astype(float)
    converged = np.zeros(len(t), bool)

    def loss(at: np.ndarray) -> np.ndarray:
        return (weight * (y - _model(at, t, shape)[0]) ** 2).sum(1)

    best = loss(theta)
    for _ in range(MOST_ROUNDS):
        value, slopes = _model(theta, t, shape)
        normal = np.einsum("rk,rki,rkj->rij", weight, slopes, slopes)
        towards = np.einsum("rk,rki->ri", weight * (y - value), slopes)
        diagonal = np.einsum("rii->ri", normal) + 1e-12
        damped = normal + (damping[:, None] * diagonal)[..., None] * np.eye(4)
        step = np.linalg.solve(damped, towards[..., None])[..., 0]
        step[:, 2] = np.clip(step[:, 2], -2, 2)
        found = loss(theta + step)
        better = found <= best
        theta = np.where(better[:, None], theta + step, theta)
        converged |= better & (best - found <= 1e-10 * (best + 1e-12))
        best = np.where(better, found, best)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-12, 1e9)
        if converged.all():
            break
    slopes = _model(theta, t, shape)[1]
    normal = np.einsum("rk,rki,rkj->rij", weight, slopes, slopes)
    degrees = np.maximum(weight.sum(1) - 4, 1)
    singular = np.linalg.cond(normal) > 1e14
    inverse = np.linalg.inv(np.where(singular[:, None, None], np.eye(4), normal))
    inverse = np.where(singular[:, None, None], np.nan, inverse)
    return theta, inverse * (best / degrees)[:, None, None], converged
