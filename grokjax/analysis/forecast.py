"""Is it coming? What the measures of a run up to a step say of when it will grok.

| function | what it says |
|---|---|
| `at` | what is known of each run at risk by a step |
| `score` | how well each feature ranks them, within cells and pooled, beside the baselines |
| `lead` | how early each feature warns, at a fixed rate of false alarms |
| `predict` | the distribution of t_grok of each run, as told by other seeds |
| `calibration` | whether times fell where these distributions said |
| `claims`, `report` | all of it in sentences |

Weight decay, train fraction and learning rate decide most of t_grok. A measure that merely follows
one of them ranks the runs of a map well and tells nothing about a run: a published AUROC of 0.93
was of that kind. So everything is scored within cells of equal conditions, and the pooled number
stands beside it, to show what that takes away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.alarms import lead
from grokjax.analysis.landmark import BASELINES, STRATA, at, with_baselines
from grokjax.analysis.predictive import calibration, predict
from grokjax.analysis.ranks import Units, auroc, cells_of, concordance
from grokjax.analysis.survival import censored_times
from grokjax.config.coercion import require

__all__ = ["at", "calibration", "claims", "lead", "predict", "report", "score"]

TOGETHER = "together"
"""What the row of the predictions is called."""
ACROSS = 4
"""A second horizon is this many times the first."""


def score(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    step: int,
    *,
    strata: Sequence[str] = STRATA,
    horizons: Sequence[int] | None = None,
    predictions: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """How well each feature, known at a step, ranks the runs at risk by when they will grok.

    The sign is never chosen: C and AUROC are of 'a larger value comes sooner', and 0.2 tells as
    much as 0.8. To rank features by max(C, 1 − C) is to choose the sign on the runs that it is
    scored on, which makes the best of many useless features look useful; choose on some seeds
    and score on others, or let `predict` do both.

    Test accuracy and test loss are scored like any feature where the table has them: what a hidden
    measure foretells has to be held against what the curve already shows.

    Args:
      features: as `at` takes them.
      runs: the runs table. A run that did not grok is censored at its last step, one that
        diverged at its budget.
      step: the landmark.
      strata: columns whose equal values make a cell; those that the table lacks are left out.
      horizons: in updates from the step; None: as many as have passed by then, and four times
        as many. Runs censored before a horizon are left out of its AUROC.
      predictions: of `predict` at this step, scored as the row `together`: sooner medians.

    Returns:
      A row a feature, the baselines (`baseline`) first: `n` runs, `n_grokked` of them later;
      `c` within cells with `c_low`, `c_high` and the comparable `pairs`; `pooled` the same over
      all pairs; `auroc_H` within cells and `auroc_H_pooled` for every horizon H. Intervals at
      95 %, from how seeds differ; NaN where there are fewer than three.
    """
    known = with_baselines(at(features, runs, step), step).set_index("run_id")
    if predictions is not None:
        remedy = f"predict at step {step}, as the features are scored"
        require(bool((predictions["step"] == step).all()), "predictions", "other steps", remedy)
        known[TOGETHER] = -predictions.set_index("run_id")["q50"]
    asked = horizons or (max(step, 1), ACROSS * max(step, 1))
    for horizon in asked:
        require(horizon > 0, "horizons", horizon, "give updates from the step, 1 or more")
    risk = runs.set_index("run_id", drop=False).loc[known.index]
    times, seen = censored_times(risk, "t_grok")
    cell, units = cells_of(risk, strata), Units.of(risk)
    scopes = {"c": cell, "pooled": np.zeros_like(cell)}
    rows = []
    for name in sorted(known, key=lambda name: name not in BASELINES):
        x = known[name].to_numpy(float)
        there = np.isfinite(x)
        row: dict[str, object] = {"feature": name, "baseline": name in BASELINES}
        row |= {"n": int(there.sum()), "n_grokked": int(seen[there].sum())}
        for scope, codes in scopes.items():
            of = x[there], times[there], seen[there], codes[there], units.at(there)
            found = concordance(*of)
            row |= {**found.columns(scope), "pairs" if scope == "c" else "pooled_pairs": found.n}
        for horizon in asked:
            soon = seen & (times <= step + horizon)
            told = there & (soon | (times >= step + horizon))
            for scope, codes in scopes.items():
                found = auroc(x[told], soon[told], codes[told], units.at(told))
                suffix = "" if scope == "c" else "_pooled"
                row |= found.columns(f"auroc_{horizon}{suffix}")
        rows.append(row)
    return pd.DataFrame(rows)


def claims(scores: pd.DataFrame) -> pd.Series:
    """A sentence a feature: whether what it says of t_grok survives stratification.

    It does where the interval of the C-index within cells excludes 0.5.

    Args:
      scores: as `score` makes them.
    """
    return pd.Series(
        [_claim(row) for _, row in scores.iterrows()], index=scores["feature"], dtype=object
    )


def report(
    scores: pd.DataFrame,
    leads: pd.DataFrame | None = None,
    coverage: pd.DataFrame | None = None,
) -> str:
    """What was found, as Markdown.

    Args:
      scores: as `score` makes them.
      leads: as `lead` makes them.
      coverage: as `calibration` makes it.
    """
    told = scores[scores["c_low"].notna() & ~scores["baseline"] & (scores["feature"] != TOGETHER)]
    outside = told[(told["c_low"] > 0.5) | (told["c_high"] < 0.5)]
    lines = [
        f"{len(outside)} of {len(told)} features survive stratification; of as many useless ones "
        f"about {0.05 * len(told):.2g} would.",
        "",
        *(f"- {sentence}" for sentence in claims(scores)),
    ]
    if leads is not None:
        lines += ["", *(f"- {sentence}" for sentence in _warnings(leads))]
    if coverage is not None:
        lines += ["", *_coverage(coverage)]
    return "\n".join(lines) + "\n"


def _claim(row: pd.Series) -> str:
    name = row["feature"]
    if not row["pairs"]:
        return f"{name}: no two runs of one cell can be compared."
    within = f"C = {_with_interval(row, 'c')} within cells, {_with_interval(row, 'pooled')} pooled"
    if np.isnan(row["c_low"]):
        return f"{name}: {within}; fewer than three seeds, so nothing can be said."
    if row["c_low"] > 0.5 or row["c_high"] < 0.5:
        which = "larger" if row["c"] > 0.5 else "smaller"
        return f"{name} survives stratification, {which} values come sooner: {within}."
    if row["pooled_low"] > 0.5 or row["pooled_high"] < 0.5:
        return f"{name} does not survive stratification: {within}."
    return f"{name} is not told from a coin: {within}."


def _with_interval(row: pd.Series, name: str) -> str:
    value, low, high = (row[f"{name}{suffix}"] for suffix in ("", "_low", "_high"))
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _warnings(leads: pd.DataFrame) -> list[str]:
    """A sentence for each feature whose lead is told from none, the longest first."""
    warns = leads[(leads["lead"] > 0) & ~(leads["lead_low"] <= 0)]
    warns = warns.sort_values(["scope", "lead"], ascending=False)
    sentences = [
        f"{row['feature']} {row['direction']} {row['lead']:.0f} updates before t_grok"
        + ("" if np.isnan(row["lead_low"]) else f" [{row['lead_low']:.0f}, {row['lead_high']:.0f}]")
        + (" within cells" if row["scope"] == "within" else ", pooled")
        + f"; it warns {row['detected']:.0%} of {row['n_grokked']} runs, and falsely "
        f"{row['false_alarms']:.0%} of {row['n_never']}."
        for _, row in warns.iterrows()
    ]
    return sentences or ["No feature warns half of the runs early at this rate of false alarms."]


def _coverage(coverage: pd.DataFrame) -> list[str]:
    last = coverage.iloc[-1]
    shown = ", ".join(
        f"{row['covered']:.0%} [{row['covered_low']:.0%}, {row['covered_high']:.0%}] in those of "
        f"{row['level']:.0%}"
        for _, row in coverage[coverage["level"].isin([0.5, 0.9])].iterrows()
    )
    return [
        f"Predicted intervals hold {shown}; {last['n_seen']:.0f} of {last['n']:.0f} runs grokked."
    ]
