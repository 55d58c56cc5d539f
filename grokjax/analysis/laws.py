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
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.aft import NOISE, Problem
from grokjax.analysis.phase import cells, check_columns, finished
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


@dataclasses.dataclass(frozen=True)
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

    def quantile(self, runs: pd.DataFrame, share: float = 0.5) -> np.ndarray:
        """Time by which this share of such runs has crossed, `[n]`; infinite for never."""
        features = _features(self.form, _of(runs, self.axis), self._constants(runs), self.extra)
        never = ~np.isfinite(features).all(1)
        noise = np.exp(self.theta[-1]) * NOISE[self.distribution].quantile(share)
        location = np.where(never[:, None], 0, features) @ self.theta[:-1]
        location = location + _offset(self.form, runs, self.axis)
        return np.where(never, np.inf, np.exp(location + noise))

    def _constants(self, runs: pd.DataFrame) -> np.ndarray:
        return _indicators(runs, self.within, self.levels)


def fit(
    runs: pd.DataFrame,
    axis: str,
    form: str = "power",
    *,
    distribution: str = "lognormal",
    within: Sequence[str] = (),
) -> Law:
    """Fit one law of t_grok by maximum likelihood.

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
      ConfigError: the columns cannot bear the form, or too few runs were seen to grok.
    """
    for name, value, known in (("form", form, FORMS), ("distribution", distribution, NOISE)):
        if value not in known:
            raise ConfigError(f"{name}={value!r}: choose from {', '.join(known)}.")
    kept = usable(runs, axis, form)
    levels = kept.loc[kept["t_grok"].notna(), list(within)].drop_duplicates()
    levels = levels.sort_values(list(within)) if within else levels
    kept = kept[_indicators(kept, within, levels).sum(1) > 0]  # no grokked run, no constant
    times, seen = censored_times(kept, "t_grok", interpolated=True)
    x = _of(kept, axis)
    needed, found = LEVELS_NEEDED[form], len(np.unique(x[seen]))
    if seen.sum() < FEWEST or found < needed:
        raise ConfigError(
            f"axis={axis!r}: {int(seen.sum())} runs that grokked, on {found} levels, show no "
            f"{form} law; it takes {FEWEST} of them on {needed}."
        )
    features = functools.partial(_features, form, x, _indicators(kept, within, levels))
    offset = _offset(form, kept, axis)
    problem = Problem(np.log(times), seen, features, offset, NOISE[distribution])
    extra = _critical_point(problem, x, seen) if form == "critical" else 0.0
    theta, loss = problem.maximise(extra)
    size = len(theta) + (form == "critical")
    return Law(
        axis,
        form,
        distribution,
        tuple(within),
        levels,
        theta,
        extra,
        _parameters(problem, theta, extra, form),
        2 * loss + 2 * size,
        len(times),
        int((~seen).sum()),
    )


def usable(runs: pd.DataFrame, axis: str, form: str = "power") -> pd.DataFrame:
    """The runs that a form can speak about: x > 0, and for `norm` grokked with a fallen norm."""
    check_columns(runs, axis.split("*"))
    kept = finished(runs)
    where = _of(kept, axis) > 0
    if form == "norm":
        if not set(NORMS) <= set(kept.columns):
            raise ConfigError("form='norm': the runs table has no norms at t_mem and t_grok.")
        begin, end = (kept[name].to_numpy(float, na_value=np.nan) for name in NORMS)
        where &= kept["t_grok"].notna().to_numpy() & (begin > end)
    return kept[where]


def compare_forms(runs: pd.DataFrame, axis: str, within: Sequence[str] = ()) -> pd.DataFrame:
    """Every form and distribution that the data bear, by Akaike's criterion.

    The norm form knows grokked runs only, so that all forms are fitted twice: to all runs, and
    (`data` = seen) to the grokked ones. Likelihoods of different data do not compare.

    Returns:
      A row a fit: `data`, `form`, `distribution`, `b`, `low`, `high`, `n`, `n_censored`, `aic`
      and `delta`, AIC less the best on the same data.
    """
    sets = {"all": (finished(runs), [form for form in FORMS if form != "norm"])}
    if set(NORMS) <= set(runs.columns):
        sets["seen"] = (usable(runs, axis, "norm"), list(FORMS))
    rows = []
    for data, (chosen, forms) in sets.items():
        for form in forms:
            for distribution in NOISE:
                try:
                    law = fit(chosen, axis, form, distribution=distribution, within=within)
                except ConfigError:
                    continue
                slope = law.parameters.reindex(["b"]).iloc[0]
                rows.append(
                    {
                        "data": data,
                        "form": form,
                        "distribution": distribution,
                        "b": slope["value"],
                        "low": slope["low"],
                        "high": slope["high"],
                        "n": law.n,
                        "n_censored": law.n_censored,
                        "aic": law.aic,
                    }
                )
    names = ["data", "form", "distribution", "b", "low", "high", "n", "n_censored", "aic"]
    table = pd.DataFrame(rows, columns=names)
    table["delta"] = table["aic"] - table.groupby("data")["aic"].transform("min")
    return table.sort_values(["data", "aic"], ignore_index=True)


def residuals(runs: pd.DataFrame, law: Law) -> pd.DataFrame:
    """Standardised log times: `z` (a lower bound where not `seen`), `score`, `inside`.

    `inside`: the time does not contradict the law's 95 % predictive interval. Runs of levels
    that the law does not know are left out.
    """
    kept = usable(runs, law.axis, law.form)
    kept = kept[law._constants(kept).sum(1) > 0]
    times, seen = censored_times(kept, "t_grok", interpolated=True)
    noise, sigma = NOISE[law.distribution], float(np.exp(law.theta[-1]))
    features = functools.partial(_features, law.form, _of(kept, law.axis), law._constants(kept))
    problem = Problem(np.log(times), seen, features, _offset(law.form, kept, law.axis), noise)
    centre = law.quantile(kept) / np.exp(sigma * noise.quantile(0.5))
    with np.errstate(divide="ignore"):
        z = (np.log(times) - np.log(centre)) / sigma
    low, high = (noise.quantile(q) for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return pd.DataFrame(
        {
            "run_id": kept["run_id"].to_numpy(),
            "z": z,
            "seen": seen,
            "location": np.log(centre),
            "score": problem.scores(law.theta, law.extra),
            "inside": (z <= high) & ((z >= low) | ~seen),
        }
    )


def diagnose(runs: pd.DataFrame, law: Law) -> dict[str, float]:
    """What the residuals say against a law.

    `inside`: share of runs inside their 95 % predictive intervals. `p_spread`: Spearman's
    p-value of |z| against the location, over seen runs. `p_curvature`, of a power law: p-value
    of the term (log x)² beside it.
    """
    from scipy import stats

    found = residuals(runs, law)
    seen = found[found["seen"]]
    result = {
        "inside": float(found["inside"].mean()),
        "p_spread": float(stats.spearmanr(seen["z"].abs(), seen["location"]).pvalue),
    }
    if law.form == "power":
        try:
            bent = fit(runs, law.axis, "curved", distribution=law.distribution, within=law.within)
        except ConfigError:
            return result
        gain = law.aic - bent.aic + 2
        result["p_curvature"] = float(stats.chi2.sf(max(gain, 0.0), 1))
    return result


def held_out(runs: pd.DataFrame, law: Law) -> pd.DataFrame:
    """The law fitted without each seed in turn, and asked about it.

    Returns:
      A row a seed: `n` runs, `inside` (share inside the 95 % predictive interval), `mean_z` of
      the seen ones, `score` (log-likelihood a run) and that of a law that ignores the axis.
    """
    rows = []
    kept = usable(runs, law.axis, law.form)
    shape = {"distribution": law.distribution, "within": law.within}
    for seed in sorted(kept["seed"].unique()):
        rest, out = kept[kept["seed"] != seed], kept[kept["seed"] == seed]
        try:
            found, ignorant = (
                residuals(out, fit(rest, law.axis, form, **shape))
                for form in (law.form, "constant")
            )
        except ConfigError:
            continue
        rows.append(
            {
                "seed": seed,
                "n": len(found),
                "inside": found["inside"].mean(),
                "mean_z": found["z"][found["seen"]].mean(),
                "score": found["score"].mean(),
                "score_constant": ignorant["score"].mean(),
            }
        )
    return pd.DataFrame(rows)


def below_fastest(runs: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """The runs at or below the x of the fastest cell of their level of y.

    Beyond it t_grok rises again towards the upper edge of the zone, so that no power law can
    hold on both sides.
    """
    table = cells(runs, [x, y])
    best = table[table["median"].notna()].sort_values("median", kind="stable")
    limits = best.drop_duplicates(y).set_index(y)[x]
    kept = finished(runs)
    return kept[kept[x] <= kept[y].map(limits)]


def _of(runs: pd.DataFrame, axis: str) -> np.ndarray:
    """The values of a column or of a product of columns, `[n]`."""
    columns = [runs[name].to_numpy(float) for name in axis.split("*")]
    return np.prod(columns, axis=0)


def _indicators(runs: pd.DataFrame, within: Sequence[str], levels: pd.DataFrame) -> np.ndarray:
    """Which level each run has, `[n, levels]`; a single constant without `within`."""
    if not within:
        return np.ones((len(runs), 1))
    known = pd.MultiIndex.from_frame(levels[list(within)])
    place = known.get_indexer(pd.MultiIndex.from_frame(runs[list(within)]))
    return (place[:, None] == np.arange(len(known))).astype(float)


def _features(form: str, x: np.ndarray, constants: np.ndarray, extra: float) -> np.ndarray:
    """`[n, K]`, constants first; infinite where the form says never."""
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
    return np.column_stack([constants, *columns])


def _offset(form: str, runs: pd.DataFrame, axis: str) -> np.ndarray:
    if form != "norm":
        return np.zeros(len(runs))
    begin, end = (runs[name].to_numpy(float) for name in NORMS)
    return np.log(np.log(begin / end)) - np.log(_of(runs, axis))


def _critical_point(problem: Problem, x: np.ndarray, seen: np.ndarray) -> float:
    """The most likely x_c: below every seen run, and no further below than the data are wide."""
    from scipy.optimize import minimize_scalar

    top, span = x[seen].min(), np.ptp(x)
    places = top - span * np.geomspace(1e-4, 1, 25)
    losses = [problem.maximise(place)[1] for place in places]
    best = int(np.argmin(losses))
    inner, outer = places[max(best - 1, 0)], places[min(best + 1, len(places) - 1)]
    found = minimize_scalar(
        lambda at: problem.maximise(at)[1],
        bounds=(outer, inner),
        method="bounded",
        options={"xatol": 1e-4 * span},
    )
    return float(found.x)


def _parameters(problem: Problem, theta: np.ndarray, extra: float, form: str) -> pd.DataFrame:
    from scipy.special import stdtrit

    critical = form == "critical"
    covariance = problem.covariance(theta, extra if critical else None)
    slopes = {"power": ["b"], "exponential": ["b"], "critical": ["b"], "curved": ["b", "c"]}
    names = [*slopes.get(form, []), "sigma", *(["x_c"] if critical else [])]
    values = np.append(theta, extra)[: len(theta) + critical][-len(names) :]
    degrees = max(1, len(problem.log_times) - len(theta) - critical)
    inflation = len(problem.log_times) / degrees
    errors = np.sqrt(np.maximum(np.diag(covariance)[-len(names) :], 0) * inflation)
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * errors
    table = pd.DataFrame(
        {"value": values, "error": errors, "low": values - half, "high": values + half}, index=names
    )
    # σ was fitted as its logarithm.
    table.loc["sigma", ["value", "low", "high"]] = np.exp(
        table.loc["sigma", ["value", "low", "high"]]
    )
    table.loc["sigma", "error"] *= table.at["sigma", "value"]
    return table
