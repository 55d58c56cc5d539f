"""Accelerated-failure-time regression: log time = location + σ · noise, with censoring.

The location is linear in its features, which may themselves depend on one more parameter.
Maximum likelihood; a censored run contributes the probability of being later.

Legend: n runs, K parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

Features = Callable[[float], np.ndarray]
"""Extra parameter → features `[n, slopes]`; infinite where the time would be."""


Function = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Noise:
    """A standard distribution of log times: log density and log survival, with derivatives."""

    density: tuple[Function, Function, Function]
    survival: tuple[Function, Function, Function]
    quantile: Callable[[float], float]

    def at(self, z: np.ndarray, seen: np.ndarray, order: int = 0) -> np.ndarray:
        """Log-likelihood at `z` of seen and of later runs, or its first or second derivative."""
        found = np.empty_like(z)
        with np.errstate(over="ignore"):
            found[seen] = self.density[order](z[seen])
            found[~seen] = self.survival[order](z[~seen])
        return np.clip(found, -1e12, 1e12)


def _normal_hazard(z: np.ndarray) -> np.ndarray:
    from scipy.special import erfcx

    return np.sqrt(2 / np.pi) / erfcx(z / np.sqrt(2))


def _log_normal_survival(z: np.ndarray) -> np.ndarray:
    from scipy.special import log_ndtr

    return log_ndtr(-z)


def _normal_quantile(share: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(share))


def _normal_bend(z: np.ndarray) -> np.ndarray:
    hazard = _normal_hazard(z)
    return -hazard * (hazard - z)


def _minus_exp(z: np.ndarray) -> np.ndarray:
    return -np.exp(z)


NOISE = {
    "lognormal": Noise(
        (lambda z: -0.5 * z**2 - 0.5 * np.log(2 * np.pi), lambda z: -z, lambda z: 0 * z - 1),
        (_log_normal_survival, lambda z: -_normal_hazard(z), _normal_bend),
        _normal_quantile,
    ),
    "weibull": Noise(  # the logarithm of a Weibull time is Gumbel's for minima
        (lambda z: z - np.exp(z), lambda z: 1 - np.exp(z), _minus_exp),
        (_minus_exp, _minus_exp, _minus_exp),
        lambda share: float(np.log(-np.log1p(-share))),
    ),
}


@dataclasses.dataclass(frozen=True)
class CensoredData:
    """Data of a fit. The location is a constant of the run's level plus slopes · features."""

    log_times: np.ndarray
    seen: np.ndarray
    level: np.ndarray
    """Which constant each run has, whole numbers from 0 `[n]`."""
    n_levels: int
    features: Features
    offset: np.ndarray
    """Known part of the location."""
    noise: Noise

    def scores(self, theta: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Log-likelihood of each run, of times and not of their logarithms.

        `theta` holds the constants, the slopes and the logarithm of σ.
        """
        z, sigma, _, never = self._standardised(theta, extra)
        found = self.noise.at(z, self.seen)
        found = found - np.where(self.seen, np.log(sigma) + self.log_times, 0.0)
        return np.where(never, np.where(self.seen, -np.inf, 0.0), found)

    def maximise(
        self, extra: float = 0.0, start: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Best `theta` at this extra parameter, and the negative log-likelihood there.

        Raises:
          LinAlgError: the likelihood has no maximum to be found.
        """
        from scipy.optimize import minimize

        features = self.features(extra)
        if (self.seen & ~np.isfinite(features).all(1)).any():
            return np.full(self.n_levels + features.shape[1] + 1, np.nan), np.inf
        try:
            best = minimize(
                self._loss,
                self._start(features) if start is None else start,
                args=(extra,),
                jac=True,
                hess=self._curvature,
                method="trust-exact",
                options={"gtol": 1e-6 * len(self.log_times)},
            )
        except ValueError as error:  # of SciPy, on its way to a step that is not finite
            raise np.linalg.LinAlgError("the likelihood has no finite step") from error
        return best.x, float(best.fun)

    def information(self, theta: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """Minus the second derivatives of the log-likelihood, `[K, K]` in the order of `theta`."""
        z, sigma, features, never = self._standardised(theta, extra)
        slope, bend = (np.where(never, 0, self.noise.at(z, self.seen, i)) for i in (1, 2))
        features, n = features / sigma, self.n_levels
        size = n + features.shape[1] + 1
        found = np.zeros((size, size))
        found[np.arange(n), np.arange(n)] = self._by_level(bend) / sigma**2
        for j, column in enumerate(features.T, start=n):
            found[:n, j] = self._by_level(bend * column) / sigma
        found[n:-1, n:-1] = features.T @ (bend[:, None] * features)
        mixed = bend * z + slope
        found[:n, -1] = self._by_level(mixed) / sigma
        found[n:-1, -1] = mixed @ features
        found[-1, -1] = (bend * z**2 + slope * z).sum()
        lower = np.tril_indices(size, -1)
        found[lower] = found.T[lower]
        return -found

    def _curvature(self, theta: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """The information where it is finite: times that hardly differ let σ run to 0.

        Raises:
          LinAlgError: it is not, and the likelihood has no maximum to be found.
        """
        found = self.information(theta, extra)
        if not np.isfinite(found).all():
            raise np.linalg.LinAlgError("the likelihood has no finite curvature")
        return found

    def covariance(
        self, theta: np.ndarray, extra: float | None = None, reach: float = np.inf
    ) -> np.ndarray:
        """Inverse of the observed information; `extra` comes last, by finite differences.

        `reach`: how far `extra` may be moved before a seen run has no likelihood. NaN where the
        likelihood has no curvature to speak of.
        """
        information = self.information(theta, extra or 0.0)
        if extra is not None:
            step = min(1e-4 * max(abs(extra), 0.1), 0.1 * reach)
            (below, down), (here, _), (above, up) = (
                self._loss(theta, extra + shift) for shift in (-step, 0.0, step)
            )
            column = (up - down) / (2 * step)
            corner = (above - 2 * here + below) / step**2
            information = np.block([[information, column[:, None]], [column[None], corner]])
        if not np.isfinite(information).all():
            return np.full_like(information, np.nan)
        return np.linalg.pinv(information, hermitian=True)

    def _start(self, features: np.ndarray) -> np.ndarray:
        """Least squares within the levels, as if every run had been seen."""
        fine = np.isfinite(features).all(1)
        y = np.where(fine, self.log_times - self.offset, 0.0)
        columns = np.column_stack([y, np.where(fine[:, None], features, 0.0)])
        counts = np.maximum(self._by_level(fine.astype(float)), 1)
        means = np.stack([self._by_level(column) / counts for column in columns.T], axis=1)
        inner = (columns - means[self.level]) * fine[:, None]
        slopes, *_ = np.linalg.lstsq(inner[:, 1:], inner[:, 0], rcond=None)
        constants = means[:, 0] - means[:, 1:] @ slopes
        spread = np.std(inner[:, 0] - inner[:, 1:] @ slopes)
        return np.concatenate([constants, slopes, [np.log(spread + 1e-3)]])

    def _by_level(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.level, values, minlength=self.n_levels)

    def _standardised(
        self, theta: np.ndarray, extra: float
    ) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        """Standardised log times, σ, features with 0 for infinity, and where that was."""
        features, sigma = self.features(extra), float(np.exp(theta[-1]))
        never = np.logical_not(np.isfinite(features).all(axis=1))
        features = np.where(never[:, None], 0.0, features)
        location = theta[self.level] + features @ theta[self.n_levels : -1] + self.offset
        z = np.clip((self.log_times - location) / sigma, -500, 500)
        return np.where(never, 0.0, z), sigma, features, never

    def _loss(self, theta: np.ndarray, extra: float) -> tuple[float, np.ndarray]:
        """Negative log-likelihood and its gradient."""
        z, sigma, features, never = self._standardised(theta, extra)
        slope = np.where(never, 0.0, self.noise.at(z, self.seen, 1))
        by_sigma = (slope * z).sum() + self.seen[~never].sum()
        by_location = np.append(self._by_level(slope), slope @ features) / sigma
        value = -float(np.clip(self.scores(theta, extra), -1e12, None).sum())
        return value, np.append(by_location, by_sigma)
