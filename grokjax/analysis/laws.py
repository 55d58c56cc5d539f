"""Laws of t_grok: which function of a hyperparameter it is, with which exponent.

Fits are accelerated-failure-time ones (`aft`), log-normal or Weibull, so that a run which has
not grokked counts as later than its budget. The location of log t is one of the `FORMS` of an
axis, plus a constant for each level of other columns: a law of weight decay then does not
depend on what the fraction does.

Legend: n runs, K features.
"""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.aft import NOISE, CensoredData
from grokjax.analysis.cells import check_columns, check_conditions, finished
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.survival import LEVEL, censored_times
from grokjax.config import ConfigError

FORMS = {
    "constant": "t = A: the axis does not matter",
    "power": "t = A·x^b",
    "exponential": "t = A·exp(b·x)",
    "critical": "t = A·(x − x_c)^b, and never at or below x_c",
    "curved": "t = A·x^(b + c·log x), which a power law is tested against",
    "norm": "t = A·log(norm at t_mem / norm at t_grok) / x",
}
LEVELS_NEEDED = {
    "constant": 1,
    "norm": 1,
    "power": 2,
    "exponential": 2,
    "critical": 3,
    "curved": 3,
}
FEWEST = 5
"""Runs that must have grokked before a law is fitted."""
NORMS = ["weight_norm_at_t_mem", "weight_norm_at_t_grok"]


@dataclasses.dataclass(frozen=True, repr=False)
class Law:
    """A fitted law."""

    axis: str
    form: str
    distribution: str
    within: tuple[str, ...]
    levels: pd.DataFrame
    """The levels of `within`, each of which has a constant of its own."""
    theta: np.ndarray
    extra: float
    """x_c of the critical form."""
    parameters: pd.DataFrame
    """Index b, c, x_c, sigma as the form has them; `value`, `error`, `low`, `high` at 95 %."""
    aic: float
    n: int
    n_censored: int

    def __repr__(self) -> str:
        told = [
            f"{name} = {row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"
            for name, row in self.parameters.iterrows()
            if name != "sigma"
        ]
        within = f", a constant for each {' and '.join(self.within)}" * bool(self.within)
        return (
            f"<Law {self.form} of t_grok in {self.axis}{within}: {', '.join(told)}; {self.n} runs, "
            f"{self.n_censored} censored>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.parameters.to_html()}"

    def quantile(self, runs: pd.DataFrame, share: float = 0.5) -> np.ndarray:
        """Time by which this share of such runs has crossed, `[n]`.

        Infinite where the law says never, NaN for a level that it does not know.
        """
        features = _features(self.form, _of(runs, self.axis), self.extra)
        never = ~np.isfinite(features).all(1)
        noise = np.exp(self.theta[-1]) * NOISE[self.distribution].quantile(share)
        level, n_levels = self.level(runs), max(1, len(self.levels))
        location = np.where(never[:, None], 0, features) @ self.theta[n_levels:-1]
        location = location + self.theta[level] + _offset(self.form, runs, self.axis)
        times = np.where(never, np.inf, np.exp(location + noise))
        return np.where(level >= 0, times, np.nan)

    def level(self, runs: pd.DataFrame) -> np.ndarray:
        """Which of `levels` each run has, `[n]`; -1 for none of them."""
        return _level(runs, self.within, self.levels)

    def residuals(self, runs: pd.DataFrame) -> pd.DataFrame:
        """Standardised log times of the runs that the law can speak about.

        Columns: `run_id`; `z`, a lower bound where the run was not `seen` to grok; `location`,
        of log t; `score`, the log-likelihood; `inside`, whether the time agrees with the 95 %
        predictive interval.
        """
        kept = usable(runs, self.axis, self.form)
        kept = kept[self.level(kept) >= 0]
        times, seen = censored_times(kept, "t_grok", interpolated=True)
        noise, sigma = NOISE[self.distribution], float(np.exp(self.theta[-1]))
        data = _censored_data(
            kept, self.axis, self.form, self.distribution, self.within, self.levels
        )
        location = np.log(self.quantile(kept)) - sigma * noise.quantile(0.5)
        z = (np.log(times) - location) / sigma
        low, high = (noise.quantile(q) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        return pd.DataFrame(
            {
                "run_id": kept["run_id"].to_numpy(),
                "z": z,
                "seen": seen,
                "location": location,
                "score": data.scores(self.theta, self.extra),
                "inside": (z <= high) & ((z >= low) | ~seen),
            }
        )


def fit(
    runs: pd.DataFrame,
    axis: str,
    form: str = "power",
    *,
    distribution: str = "lognormal",
    within: Sequence[str] = (),
) -> Law:
    """Fit one law of t_grok by maximum likelihood.

        >>> import grokjax
        >>> from grokjax.analysis import law_checks, onset
        >>> runs = onset.table(grokjax.load("results/recorded/wd_vs_frac"))
        >>> runs = law_checks.below_fastest(runs, "weight_decay", "train_fraction")
        >>> law = fit(runs, "weight_decay", within=["train_fraction"])
        >>> round(law.parameters.at["b", "value"], 2)
        np.float64(-1.03)

    Args:
      runs: the `runs` table.
      axis: a column, or a product of columns such as `learning_rate*weight_decay`.
      form: one of `FORMS`.
      distribution: lognormal or weibull.
      within: columns whose levels each have a constant of their own.

    Returns:
      The law. Intervals are Student's, from the curvature of the likelihood and the degrees of
      freedom that are left.

    Raises:
      ConfigError: there is no such column, form or distribution, or the column is a result.
      NotEnoughRunsError: too few runs were seen to grok, or on too few levels.
    """
    for name, value, known in (("form", form, FORMS), ("distribution", distribution, NOISE)):
        if value not in known:
            raise ConfigError(f"{name}={value!r}: choose from {', '.join(known)}.")
    check_columns(runs, list(dict.fromkeys([*axis.split("*"), *within])))
    check_conditions(axis.split("*"))
    kept = usable(runs, axis, form)
    levels = kept.loc[kept["t_grok"].notna(), list(within)].drop_duplicates()
    levels = levels.sort_values(list(within)) if within else levels[:0]
    kept = kept[_level(kept, within, levels) >= 0]  # where none grokked there is no constant
    _, seen = censored_times(kept, "t_grok", interpolated=True)
    x = _of(kept, axis)
    needed, found = LEVELS_NEEDED[form], len(np.unique(x[seen]))
    if seen.sum() < FEWEST or found < needed:
        raise NotEnoughRunsError(
            f"axis={axis!r}: {int(seen.sum())} runs that grokked, on {found} levels, show no "
            f"{form} law; it takes {FEWEST} of them on {needed}."
        )
    data = _censored_data(kept, axis, form, distribution, within, levels)
    try:
        extra = _critical_point(data, x, seen) if form == "critical" else 0.0
        theta, loss = data.maximise(extra)
    except np.linalg.LinAlgError as error:
        raise NotEnoughRunsError(f"axis={axis!r}: no {form} law can be fitted, {error}.") from None
    size = len(theta) + (form == "critical")
    return Law(
        axis,
        form,
        distribution,
        tuple(within),
        levels,
        theta,
        extra,
        _parameters(data, theta, form, extra, float(x[seen].min()) - extra),
        2 * loss + 2 * size,
        len(kept),
        int((~seen).sum()),
    )


def usable(runs: pd.DataFrame, axis: str, form: str = "power") -> pd.DataFrame:
    """The runs that a form can speak about: x > 0 and a time > 0, which has a logarithm.

    For `norm` they must have grokked with a fallen norm as well.
    """
    check_columns(runs, axis.split("*"))
    kept = finished(runs)
    times, _ = censored_times(kept, "t_grok", interpolated=True)
    where = (_of(kept, axis) > 0) & (times > 0)
    if form == "norm":
        if not set(NORMS) <= set(kept.columns):
            raise ConfigError("form='norm': the runs table has no norms at t_mem and t_grok.")
        begin, end = (kept[name].to_numpy(float, na_value=np.nan) for name in NORMS)
        where &= kept["t_grok"].notna().to_numpy() & (begin > end)
    return kept[where]


def _censored_data(
    runs: pd.DataFrame,
    axis: str,
    form: str,
    distribution: str,
    within: Sequence[str],
    levels: pd.DataFrame,
) -> CensoredData:
    times, seen = censored_times(runs, "t_grok", interpolated=True)
    level, n_levels = _level(runs, within, levels), max(1, len(levels))
    features = functools.partial(_features, form, _of(runs, axis))
    offset = _offset(form, runs, axis)
    return CensoredData(np.log(times), seen, level, n_levels, features, offset, NOISE[distribution])


def _of(runs: pd.DataFrame, axis: str) -> np.ndarray:
    """The values of a column or of a product of columns, `[n]`."""
    columns = [runs[name].to_numpy(float) for name in axis.split("*")]
    return np.prod(columns, axis=0)


def _level(runs: pd.DataFrame, within: Sequence[str], levels: pd.DataFrame) -> np.ndarray:
    """Which level each run has, `[n]`; one for all without `within`, -1 for an unknown one."""
    if not within:
        return np.zeros(len(runs), int)
    known = pd.MultiIndex.from_frame(levels[list(within)])
    return known.get_indexer(pd.MultiIndex.from_frame(runs[list(within)]))


def _features(form: str, x: np.ndarray, extra: float) -> np.ndarray:
    """`[n, slopes]`; infinite where the form says never."""
    if form == "critical":
        distance = np.log(np.where(x > extra, x - extra, 1.0))
        columns = [np.where(x > extra, distance, np.inf)]
    else:
        log_x = np.log(x)
        columns = {
            "constant": [],
            "norm": [],
            "power": [log_x],
            "exponential": [x],
            "curved": [log_x, log_x**2],
        }[form]
    return np.stack(columns, axis=1) if columns else np.empty((len(x), 0))


def _offset(form: str, runs: pd.DataFrame, axis: str) -> np.ndarray:
    if form != "norm":
        return np.zeros(len(runs))
    begin, end = (runs[name].to_numpy(float) for name in NORMS)
    return np.log(np.log(begin / end)) - np.log(_of(runs, axis))


def _critical_point(data: CensoredData, x: np.ndarray, seen: np.ndarray) -> float:
    """The most likely x_c: below every seen run, and no further below than the data are wide."""
    from scipy.optimize import minimize_scalar

    top, span = x[seen].min(), np.ptp(x)
    places = top - span * np.geomspace(1e-4, 1, 13)
    theta, losses = None, []
    for place in places:
        theta, loss = data.maximise(place, theta)  # from the neighbour's best
        losses.append(loss)
    best = int(np.argmin(losses))
    inner, outer = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
    start, _ = data.maximise(places[best])
    found = minimize_scalar(
        lambda at: data.maximise(at, start)[1],
        bounds=(outer, inner),
        method="bounded",
        options={"xatol": 1e-3 * span},
    )
    return float(found.x)


def _parameters(
    data: CensoredData, theta: np.ndarray, form: str, extra: float, reach: float
) -> pd.DataFrame:
    from scipy.special import stdtrit

    critical = form == "critical"
    covariance = data.covariance(theta, *([extra, reach] if critical else []))
    slopes = {"power": ["b"], "exponential": ["b"], "critical": ["b"], "curved": ["b", "c"]}
    names = [*slopes.get(form, []), "sigma", *(["x_c"] if critical else [])]
    values = np.append(theta, extra)[: len(theta) + critical][-len(names) :]
    degrees = max(1, len(data.log_times) - len(theta) - critical)
    inflation = len(data.log_times) / degrees
    with np.errstate(invalid="ignore"):  # a negative variance is none
        errors = np.sqrt(np.diag(covariance)[-len(names) :] * inflation)
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * errors
    columns = np.stack([values, values - half, values + half])
    at = names.index("sigma")  # fitted as its logarithm
    columns[:, at] = np.exp(columns[:, at])
    errors[at] *= columns[0, at]
    value, low, high = columns
    return pd.DataFrame({"value": value, "error": errors, "low": low, "high": high}, index=names)
