"""Accelerated-failure-time regression: log time = location + σ · noise, with censoring.

The location is linear in its features, which may themselves depend on one more parameter.
Maximum likelihood; a censored run contributes the probability of being later.

Legend: n runs, K coefficients.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

Features = Callable[[float], np.ndarray]
"""Extra parameter → features `[n, K]`; infinite where the time would be."""


@dataclasses.dataclass(frozen=True)
class Noise:
    """A standard distribution of log times: log density, log survival, and their slopes."""

    density: Callable[[np.ndarray], np.ndarray]
    survival: Callable[[np.ndarray], np.ndarray]
    density_slope: Callable[[np.ndarray], np.ndarray]
    survival_slope: Callable[[np.ndarray], np.ndarray]
    quantile: Callable[[float], float]


def _normal_hazard(z: np.ndarray) -> np.ndarray:
    from scipy.special import erfcx

    return np.sqrt(2 / np.pi) / erfcx(z / np.sqrt(2))


def _log_normal_survival(z: np.ndarray) -> np.ndarray:
    from scipy.special import log_ndtr

    return log_ndtr(-z)


def _normal_quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


NOISE = {
    "lognormal": Noise(
        lambda z: -0.5 * z**2 - 0.5 * np.log(2 * np.pi),
        _log_normal_survival,
        lambda z: -z,
        lambda z: -_normal_hazard(z),
        _normal_quantile,
    ),
    "weibull": Noise(  # the logarithm of a Weibull time is Gumbel's for minima
        lambda z: z - np.exp(z),
        lambda z: -np.exp(z),
        lambda z: 1 - np.exp(z),
        lambda z: -np.exp(z),
        lambda share: float(np.log(-np.log1p(-share))),
    ),
}


@dataclasses.dataclass(frozen=True)
class Problem:
    """Data of a fit."""

    log_times: np.ndarray
    seen: np.ndarray
    features: Features
    offset: np.ndarray
    """Known part of the location."""
    noise: Noise

    def scores(self, theta: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Log-likelihood of each run, of times and not of their logarithms.

        `theta` holds the coefficients and the logarithm of σ.
        """
        z, sigma, never = self._standardised(theta, extra)
        known = self.noise.density(z) - np.log(sigma) - self.log_times
        found = np.where(self.seen, known, self.noise.survival(z))
        return np.where(never, np.where(self.seen, -np.inf, 0.0), found)

    def maximise(self, extra: float = 0.0) -> tuple[np.ndarray, float]:
        """Best `theta` at this extra parameter, and the negative log-likelihood there."""
        from scipy.optimize import minimize

        features = self.features(extra)
        fine = np.isfinite(features).all(1)
        if (self.seen & ~fine).any():
            return np.full(features.shape[1] + 1, np.nan), np.inf
        start, *_ = np.linalg.lstsq(
            features[fine], (self.log_times - self.offset)[fine], rcond=None
        )
        spread = np.std((self.log_times - self.offset)[fine] - features[fine] @ start)
        best = minimize(
            self._loss,
            np.append(start, np.log(spread + 1e-3)),
            args=(extra,),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-6, "maxiter": 500},
        )
        return best.x, float(best.fun)

    def covariance(
        self, theta: np.ndarray, extra: float | None = None, reach: float = np.inf
    ) -> np.ndarray:
        """Inverse of the observed information, by finite differences; `extra` comes last.

        `reach`: how far `extra` may be moved before a seen run has no likelihood. NaN where the
        likelihood has no curvature to speak of.
        """
        point = theta if extra is None else np.append(theta, extra)
        step = 1e-4 * np.maximum(np.abs(point), 0.1)
        if extra is not None:
            step[-1] = min(step[-1], 0.1 * reach)

        def loss(at: np.ndarray) -> float:
            inner, outer = (at, 0.0) if extra is None else (at[:-1], at[-1])
            return -float(self.scores(inner, outer).sum())

        size = len(point)
        information = np.empty((size, size))
        for i in range(size):
            for j in range(i, size):
                shifts = [(a, b, a * b) for a in (1, -1) for b in (1, -1)]
                total = 0.0
                for a, b, sign in shifts:
                    at = point.copy()
                    at[i] += a * step[i]
                    at[j] += b * step[j]
                    total += sign * loss(at)
                information[i, j] = information[j, i] = total / (4 * step[i] * step[j])
        if not np.isfinite(information).all():
            return np.full_like(information, np.nan)
        return np.linalg.pinv(information, hermitian=True)

    def _standardised(
        self, theta: np.ndarray, extra: float
    ) -> tuple[np.ndarray, float, np.ndarray]:
        features, sigma = self.features(extra), float(np.exp(theta[-1]))
        never = np.logical_not(np.isfinite(features).all(axis=1))
        location = np.where(never[:, None], 0.0, features) @ theta[:-1] + self.offset
        z = np.clip((self.log_times - location) / sigma, -500, 500)
        return np.where(never, 0.0, z), sigma, never

    def _loss(self, theta: np.ndarray, extra: float) -> tuple[float, np.ndarray]:
        """Negative log-likelihood and its gradient."""
        z, sigma, never = self._standardised(theta, extra)
        with np.errstate(over="ignore"):
            scores = self.scores(theta, extra)
            slope = np.where(self.seen, self.noise.density_slope(z), self.noise.survival_slope(z))
        slope = np.where(never, 0.0, np.clip(slope, -1e12, 1e12))
        features = np.where(never[:, None], 0.0, self.features(extra))
        by_location = -slope @ features / sigma
        by_log_sigma = -(slope * z).sum() - self.seen.sum()
        value = -float(np.clip(scores, -1e12, None).sum())
        return value, -np.append(by_location, by_log_sigma)
