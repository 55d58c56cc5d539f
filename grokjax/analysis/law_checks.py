"""What laws are held against: other forms, their residuals, seeds that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.aft import NOISE
from grokjax.analysis.cells import cells, finished
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.laws import FORMS, NORMS, Law, fit, usable

FOLDS = 10


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
                except NotEnoughRunsError:
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


def diagnose(runs: pd.DataFrame, law: Law) -> dict[str, float]:
    """What the residuals say against a law.

    `inside`: share of runs inside their 95 % predictive intervals. `p_spread`: Spearman's
    p-value of |z| against the location, over seen runs; NaN where all of these are alike.
    `p_curvature`, of a power law: p-value of the term (log x)² beside it.
    """
    from scipy import stats

    found = law.residuals(runs)
    seen = found[found["seen"]]
    size, place = seen["z"].abs(), seen["location"]
    alike = min(size.nunique(), place.nunique()) < 2
    result = {
        "inside": float(found["inside"].mean()),
        "p_spread": np.nan if alike else float(stats.spearmanr(size, place).pvalue),
    }
    if law.form == "power":
        try:
            bent = fit(runs, law.axis, "curved", distribution=law.distribution, within=law.within)
        except NotEnoughRunsError:
            return result
        gain = law.aic - bent.aic + 2
        result["p_curvature"] = float(stats.chi2.sf(max(gain, 0.0), 1))
    return result


def held_out(runs: pd.DataFrame, law: Law) -> pd.DataFrame:
    """The law fitted without some seeds, and asked about them.

    Returns:
      A row a fold, of one seed where there are at most `FOLDS`: `seeds`; `n` runs; `inside`, the
      share inside the 95 % predictive interval; `mean_z` of the seen ones; `score`, the
      log-likelihood a run; `score_constant`, that of a law which ignores the axis.
    """
    rows = []
    kept = usable(runs, law.axis, law.form)
    for seeds in np.array_split(np.sort(kept["seed"].unique()), FOLDS):
        rest, out = kept[~kept["seed"].isin(seeds)], kept[kept["seed"].isin(seeds)]
        if out.empty or rest.empty:
            continue
        try:
            found, ignorant = (
                fit(
                    rest, law.axis, form, distribution=law.distribution, within=law.within
                ).residuals(out)
                for form in (law.form, "constant")
            )
        except NotEnoughRunsError:
            continue
        rows.append(
            {
                "seeds": ", ".join(map(str, seeds)),
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
    limits = best.drop_duplicates(y).set_index(y)[x].reindex(np.unique(table[y]))
    # A level without a median, that is, one at which most are censored, has its neighbour's.
    limits = limits.bfill().ffill()
    kept = finished(runs)
    return kept[kept[x] <= kept[y].map(limits)]
