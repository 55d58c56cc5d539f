"""Logistic regression that stays finite where a map separates its runs.

On a map of grokking most cells hold only successes or only failures, so that the likelihood
of a steep enough boundary has no maximum. Firth's penalty (half the log-determinant of the
information, Jeffreys' prior; Firth 1993, Heinze & Schemper 2002) gives a finite estimate, less
biased with few runs too. statsmodels has none; the tests hold the fit without penalty against
statsmodels.

Legend: C cells, K terms, B resamples.
"""

from __future__ import annotations

import dataclasses

import numpy as np

MOST_ROUNDS = 100
LONGEST_STEP = 5.0


@dataclasses.dataclass(frozen=True)
class Fit:
    """Coefficients and what they say about the data."""

    coefficients: np.ndarray
    """`[..., K]`."""
    covariance: np.ndarray
    """`[..., K, K]`, the inverse of the information."""
    log_likelihood: np.ndarray
    """`[...]`, without the penalty."""
    converged: np.ndarray


def fit(
    features: np.ndarray, successes: np.ndarray, trials: np.ndarray, penalty: bool = True
) -> Fit:
    """Maximise the (penalised) likelihood by Newton steps.

    Args:
      features: `[C, K]`.
      successes: `[..., C]`, of B resamples for instance; weights need not be whole.
      trials: `[..., C]`.
      penalty: Firth's; without it separated data have no finite answer.
    """
    successes, trials = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    beta = np.zeros((*successes.shape[:-1], features.shape[1]))
    converged = np.zeros(beta.shape[:-1], bool)
    for _ in range(MOST_ROUNDS):
        p = expit(beta @ features.T)
        weight = trials * p * (1 - p)
        inverse = _inverse(features, weight)
        score = successes - trials * p
        if penalty:
            hat = weight * ((features @ inverse) * features).sum(-1)
            score = score + hat * (0.5 - p)
        step = np.einsum("...kj,...j->...k", inverse, score @ features)
        longest = np.abs(step).max(-1, keepdims=True)
        beta = beta + step * np.minimum(1, LONGEST_STEP / np.maximum(longest, 1e-12))
        converged = longest[..., 0] < 1e-6
        if converged.all():
            break
    eta = beta @ features.T
    likelihood = (successes * eta - trials * np.logaddexp(0, eta)).sum(-1)
    p = expit(eta)
    return Fit(beta, _inverse(features, trials * p * (1 - p)), likelihood, converged)


def expit(eta: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 0.5 * (1 + np.tanh(0.5 * eta))


def _inverse(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    information = np.swapaxes(features * weight[..., None], -1, -2) @ features
    ridge = 1e-9 * np.trace(information, axis1=-2, axis2=-1)[..., None, None] + 1e-12
    return np.linalg.inv(information + ridge * np.eye(features.shape[1]))
