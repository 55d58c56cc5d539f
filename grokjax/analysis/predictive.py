"""When each run at risk will grok, as told by other seeds, and whether that is to be trusted.

The remaining time t_grok − step is log-normal around a location that is linear in the features: an
accelerated-failure-time model, in which a run that had not grokked counts as later than its end.

Legend: n runs at risk, F features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.aft import NOISE, CensoredData
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.landmark import STRATA, at, conditions
from grokjax.analysis.laws import FEWEST
from grokjax.analysis.ranks import Units
from grokjax.analysis.survival import censored_times, wilson
from grokjax.config.coercion import require

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FOLDS = 10
RIDGES = (1000.0, 100.0, 10.0, 1.0, 0.1)
"""Penalties that are tried, strongest first: each fit starts from the one before."""
FREE = 1e-3
"""The penalty of conditions, which are few and known to matter."""
FARTHEST = 5.0
"""Standard deviations beyond which a feature counts as that far: measures blow up, and a
location must not follow them."""


@dataclasses.dataclass(frozen=True)
class Ridged(CensoredData):
    """A fit whose slopes are held back: Σ ridge · slope² / 2σ² is added to the loss.

    It is a normal prior of slopes in units of σ. Without σ more features than runs would fit
    exactly, and σ would run to 0.
    """

    ridge: np.ndarray
    """A penalty for each slope, `[F]`."""

    def best(self, start: np.ndarray) -> np.ndarray:
        """The `theta` of the least loss.

        Not `maximise`: SciPy's exact steps take seconds where there are a hundred slopes.

        Raises:
          LinAlgError: there is none to be found, times that are all alike say.
        """
        from scipy.optimize import minimize

        options = {"gtol": 1e-6 * len(self.log_times)}
        wanted = {"args": (0.0,), "jac": True, "hess": self._curvature, "options": options}
        try:
            found = minimize(self._loss, start, method="trust-krylov", **wanted)
        except ValueError as error:  # of SciPy, on its way to a step that is not finite
            raise np.linalg.LinAlgError("the likelihood has no finite step") from error
        return np.asarray(found.x)

    def _loss(self, theta: np.ndarray, extra: float) -> tuple[float, np.ndarray]:
        value, gradient = super()._loss(theta, extra)
        slopes, precision = theta[self.n_levels : -1], self.ridge * np.exp(-2 * theta[-1])
        gradient[self.n_levels : -1] += precision * slopes
        held = float((precision * slopes**2).sum())
        gradient[-1] -= held
        return value + held / 2, gradient

    def information(self, theta: np.ndarray, extra: float = 0.0) -> np.ndarray:
        """That of the likelihood, and what the penalty adds to it."""
        found = super().information(theta, extra)
        slopes, precision = theta[self.n_levels : -1], self.ridge * np.exp(-2 * theta[-1])
        inner = slice(self.n_levels, len(theta) - 1)
        found[inner, inner] += np.diag(precision)
        found[inner, -1] -= 2 * precision * slopes
        found[-1, inner] -= 2 * precision * slopes
        found[-1, -1] += 2 * (precision * slopes**2).sum()
        return found

    def evidence(self, theta: np.ndarray) -> float:
        """Logarithm of the likelihood with the slopes integrated out, at its best σ (Laplace's).

        What chooses a penalty without other runs (MacKay 1992); without what all penalties share.
        """
        curvature = self.information(theta)[:-1, :-1] * np.exp(2 * theta[-1])
        prior = np.log(self.ridge).sum() / 2
        return float(prior - self._loss(theta, 0.0)[0] - np.linalg.slogdet(curvature)[1] / 2)


def predict(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    step: int,
    *,
    columns: Sequence[str] | None = None,
    within: Sequence[str] = STRATA,
    ridge: float | None = None,
) -> pd.DataFrame:
    """When each run at risk will grok, as told by runs of other seeds.

    Every seed is left out once (with more than ten, a tenth of them at a time), and its runs are
    predicted by what was fitted to the others.

    Args:
      features: as `at` takes them.
      runs: the runs table.
      step: the landmark.
      columns: of `at(…)`, slopes included; None: all of them together; (): none, which is what
        the conditions tell by themselves.
      within: conditions that are known too; those that the runs table lacks are left out.
      ridge: how strongly the slopes of features are held back, in runs; None: as strongly as
        the runs that a prediction is fitted to make likely.

    Returns:
      A row a run: `run_id`, `step`; Student's distribution of log(t_grok − step), `location`,
      `scale`, `degrees` (the spread of what was fitted is in it); quantiles of t_grok, `q05` to
      `q95`; `p_by_budget`, that it groks by its `budget`; and what came of it, `t_grok`, `time`
      (of the end where it did not grok) and `seen`.

    Raises:
      ConfigError: there is no such column.
      NotEnoughRunsError: fewer than five runs that grokked are left when a seed is held out.
    """
    known = at(features, runs, step).set_index("run_id")
    risk = runs.set_index("run_id", drop=False).loc[known.index]
    chosen = list(known.columns if columns is None else columns)
    for name in chosen:
        remedy = f"choose from {', '.join(known.columns)}"
        require(name in known, "columns", name, remedy)
    own = conditions(risk, within)
    design = known[chosen].join(own).to_numpy(float)
    free = np.arange(design.shape[1]) >= len(chosen)
    times, seen = censored_times(risk, "t_grok")
    fold = Units.of(risk).folds(FOLDS)
    found = np.empty((3, len(risk)))
    for held in np.unique(fold):
        out = fold == held
        if seen[~out].sum() < FEWEST:
            raise NotEnoughRunsError(
                f"step={step!r}: {seen[~out].sum()} runs that grokked later are left when seeds "
                f"are held out, and a prediction takes {FEWEST}: train more seeds."
            )
        scaled = _standardised(design, ~out)
        log_times = np.log(times[~out] - step)
        try:
            found[:, out] = _told(scaled[~out], log_times, seen[~out], scaled[out], free, ridge)
        except np.linalg.LinAlgError as error:
            raise NotEnoughRunsError(
                f"step={step!r}: the times that are left when seeds are held out are too much "
                "alike for a prediction, train more seeds or cells."
            ) from error
    location, scale, degrees = found
    table = pd.DataFrame(
        {"run_id": risk["run_id"], "step": step, "location": location, "scale": scale}
    ).assign(degrees=degrees)
    for share in QUANTILES:
        table[f"q{round(100 * share):02d}"] = quantile(table, share)
    budget = risk["steps"].astype("float64")
    table = table.assign(p_by_budget=reached(table, budget.to_numpy()), budget=budget)
    return table.assign(t_grok=risk["t_grok"], time=times, seen=seen).reset_index(drop=True)


def quantile(predictions: pd.DataFrame, share: float) -> np.ndarray:
    """The step by which each run will have grokked with this probability, `[n]`."""
    from scipy.special import stdtrit

    z = stdtrit(predictions["degrees"].to_numpy(), share)
    location, scale = predictions["location"].to_numpy(), predictions["scale"].to_numpy()
    # Beyond e^600 a time is never, and a product with it must not overflow.
    return predictions["step"].to_numpy() + np.exp(np.minimum(location + scale * z, 600))


def reached(predictions: pd.DataFrame, steps: np.ndarray) -> np.ndarray:
    """Probability `[n]` that each run has grokked by a step of its own `[n]`."""
    from scipy.special import stdtr

    left = np.log(np.maximum(steps - predictions["step"].to_numpy(), 1e-300))
    z = (left - predictions["location"].to_numpy()) / predictions["scale"].to_numpy()
    return np.asarray(stdtr(predictions["degrees"].to_numpy(), z))


def calibration(predictions: pd.DataFrame, levels: Sequence[float] = LEVELS) -> pd.DataFrame:
    """How often times fell where they were said to fall.

    With F(t) the predicted distribution at the time that came, the central interval of a level
    holds it if |2F − 1| ≤ level. A run that had not grokked at its end c lies somewhere above
    u = F(c), and counts with the part of (u, 1) that the interval holds. This is right on average
    if the predictions are, and says little where u is small: a table of censored runs alone is
    calibrated whatever was predicted, so that `n_seen` must be looked at too.

    Args:
      predictions: as `predict` makes them.
      levels: of the intervals.

    Returns:
      A row a `level`: `covered`, the share of runs inside of its central interval, and `below`,
      that of the runs at or below the quantile of this level, each with Wilson's 95 % limits,
      `covered_low` and so on, which take runs for independent; `n`, `n_seen`.
    """
    u = reached(predictions, predictions["time"].to_numpy(float))
    seen = predictions["seen"].to_numpy(bool)
    rows = []
    for level in levels:
        row: dict[str, float] = {"level": float(level)}
        bounds = {"covered": ((1 - level) / 2, (1 + level) / 2), "below": (0.0, level)}
        for name, (low, high) in bounds.items():
            inside = _inside(u, seen, low, high).sum()
            row[name] = inside / max(len(u), 1)
            limits = wilson(np.array([inside]), np.array([len(u)]))
            row[f"{name}_low"], row[f"{name}_high"] = (float(limit[0]) for limit in limits)
        rows.append(row)
    return pd.DataFrame(rows).assign(n=len(u), n_seen=int(seen.sum()))


def _inside(u: np.ndarray, seen: np.ndarray, low: float, high: float) -> np.ndarray:
    """Whether u lies between the bounds, or which part of (u, 1) does where it was censored."""
    part = np.clip(high - np.maximum(u, low), 0, None) / np.maximum(1 - u, 1e-12)
    return np.where(seen, (u >= low) & (u <= high), np.minimum(part, 1.0))


def _standardised(design: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Features in units of the training runs' spread; 0 where there is none, or no value."""
    told = np.where(train[:, None], design, np.nan)
    n = np.maximum(np.isfinite(told).sum(0), 1)
    mean = np.nansum(told, 0) / n
    spread = np.sqrt(np.nansum((told - mean) ** 2, 0) / n)
    # What varies by rounding alone does not vary.
    varies = spread > 1e-9 * np.abs(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(varies, (design - mean) / spread, 0.0)
    return np.clip(np.nan_to_num(scaled), -FARTHEST, FARTHEST)


def _told(
    train: np.ndarray,
    log_times: np.ndarray,
    seen: np.ndarray,
    out: np.ndarray,
    free: np.ndarray,
    ridge: float | None,
) -> tuple[np.ndarray, ...]:
    """Location, scale and degrees of freedom of the predicted runs, fitted to the others.

    Args:
      train: features of the others, `[n, F]`.
      log_times: theirs, `[n]`, of what remains.
      seen: whether they grokked then.
      out: features of the predicted runs, `[m, F]`.
      free: whether a feature is a condition, `[F]`.
      ridge: the penalty of the others; None: the best of `RIDGES`.
    """
    data, theta = _fitted(train, log_times, seen, free, ridge)
    information, sigma = data.information(theta), float(np.exp(theta[-1]))
    covariance = np.linalg.pinv(information, hermitian=True)[:-1, :-1]
    # What the penalty adds to σ² makes up for the slopes that it holds back, not for the others.
    degrees = max(float(seen.sum() - 1 - free.sum()), 1.0)
    sigma *= np.sqrt(seen.sum() / degrees)
    place = np.column_stack([np.ones(len(out)), out])
    spread = np.einsum("ij,jk,ik->i", place, covariance, place)
    scale = np.sqrt(sigma**2 + np.maximum(spread, 0))
    return place @ theta[:-1], scale, np.full(len(out), degrees)


def _fitted(
    features: np.ndarray,
    log_times: np.ndarray,
    seen: np.ndarray,
    free: np.ndarray,
    ridge: float | None,
) -> tuple[Ridged, np.ndarray]:
    """The fit of the penalty with the largest evidence; arguments as those of `_told`."""
    one_level, nothing, noise = np.zeros(len(seen), int), np.zeros(len(seen)), NOISE["lognormal"]
    theta = np.concatenate(
        [[log_times.mean()], np.zeros(len(free)), [np.log(log_times.std() + 1e-3)]]
    )
    tried = []
    for weight in (ridge,) if ridge is not None else RIDGES[: None if (~free).any() else 1]:
        penalty = np.where(free, FREE, weight)
        data = Ridged(log_times, seen, one_level, 1, lambda _: features, nothing, noise, penalty)
        theta = data.best(theta)
        tried.append((data.evidence(theta), data, theta))
    _, data, theta = max(tried, key=lambda one: one[0])
    return data, theta
