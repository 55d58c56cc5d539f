"""Memorised or understood? What tells the two apart where training accuracy does not.

Legend: n runs in one of two states, B resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis.alarms import RESAMPLES
from grokjax.analysis.cells import finished
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.landmark import STRATA, finite, measured
from grokjax.analysis.predictive import FOLDS
from grokjax.analysis.ranks import Estimate, Units, auroc, cells_of, interval
from grokjax.config import Thresholds
from grokjax.config.coercion import require

GENERALISING, MEMORISING, CONTROL = "generalising", "memorising", "control"
TOLD_BY = ("train_accuracy", "test_accuracy")
"""What makes the states, so that it is no measure of them."""


def compare(
    features: pd.DataFrame,
    runs: pd.DataFrame,
    thresholds: Thresholds | None = None,
    *,
    step: int | None = None,
    strata: Sequence[str] = STRATA,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Every measure in networks that generalise and in networks that only memorise.

    All of them have memorised: training accuracy is at `thresholds.memorised` or above. One that
    generalises has a test accuracy of `grokked` or above; one that memorises is at most
    `above_chance` above chance, or learns random labels (`label_noise` 1, or op 'random'), the
    control. A run is asked at most once in each state, with the last values that it has there.

    Networks generalise late, and at other weight decays than they memorise at. So `step` is a row
    of the table: what does no better than it may be a clock (or ask at one `step`). And
    `auroc_within` is of networks in cells of equal conditions.

    Args:
      features: `run_id`, `step`, `train_accuracy`, `test_accuracy` and a column a measure.
      runs: the runs table.
      thresholds: what counts as memorised, grokked and above chance; None: as everywhere.
      step: at which runs are asked, with the last values at or before it; None: at their last
        in either state.
      strata: columns whose equal values make a cell.
      resamples: of the seeds.

    Returns:
      A row a measure, with 95 % intervals of resampled seeds (`…_low`, `…_high`): `auroc`, the
      chance that a generalising network has the larger value; `auroc_within`; `d`, Cohen's:
      difference of the means over the pooled spread; `threshold` and `above`, whether
      generalising networks lie above it, the best over all runs; `balanced_accuracy` on seeds
      that a threshold was not chosen on, 0.5 being a coin; `auroc_control`, the chance that a
      network that memorises random labels has a larger value than one that memorises the task:
      far from 0.5, and the measure tells random labels, not memorising; `n_generalising`,
      `n_memorising`, `n_control`.

    Raises:
      ConfigError: the features lack an accuracy.
      NotEnoughRunsError: there are no networks of one of the kinds.
    """
    states = _states(features, runs, thresholds or Thresholds(), step)
    understood = (states["state"] == GENERALISING).to_numpy()
    if understood.all() or not understood.any():
        raise NotEnoughRunsError(
            f"features: of the networks that have memorised {understood.sum()} generalise and "
            f"{(~understood).sum()} do not, train both kinds."
        )
    about = runs.set_index("run_id", drop=False).loc[states["run_id"]]
    cell, units = cells_of(about, strata), Units.of(about)
    rows = []
    for name in [c for c in states if c not in ("run_id", "state", *TOLD_BY)]:
        x = states[name].to_numpy(float)
        there = np.isfinite(x)
        if not understood[there].any() or understood[there].all():
            continue
        x, kind, own = x[there], understood[there], units.at(there)
        everywhere = np.zeros(len(x), int)
        state = states["state"].to_numpy()[there]
        wrong = state != GENERALISING
        control = state == CONTROL
        threshold, above = _best_threshold(x, kind)
        rows.append(
            {
                "measure": name,
                **auroc(x, kind, everywhere, own).columns("auroc"),
                **auroc(x, kind, cell[there], own).columns("auroc_within"),
                **_effect(x, kind, own, resamples).columns("d"),
                "threshold": threshold,
                "above": above,
                **_held_out(x, kind, own, resamples).columns("balanced_accuracy"),
                **auroc(x[wrong], control[wrong], everywhere[wrong], own.at(wrong)).columns(
                    "auroc_control"
                ),
                "n_generalising": int(kind.sum()),
                "n_memorising": int((state == MEMORISING).sum()),
                "n_control": int(control.sum()),
            }
        )
    return pd.DataFrame(rows)


def _states(
    features: pd.DataFrame, runs: pd.DataFrame, thresholds: Thresholds, step: int | None
) -> pd.DataFrame:
    """A row a run and state that it was in, with the last finite value of each measure there."""
    names = measured(features)
    for name in TOLD_BY:
        remedy = f"it lacks {name}, join the curves to the measures"
        require(name in features, "features", list(features.columns), remedy)
    about = finished(runs).set_index("run_id")
    rows = finite(features[features["run_id"].isin(about.index)]).sort_values("step")
    rows = rows if step is None else rows[rows["step"] <= step]
    # Accuracies are of float32, in which 9 rows of 10 are ≥ 0.9; a measure may have other steps.
    accuracies = rows.groupby("run_id")[list(TOLD_BY)].ffill().astype("float32")
    train, test = (accuracies[name] for name in TOLD_BY)
    chance = rows["run_id"].map(about["chance"]).astype("float64")
    random = rows["run_id"].map(_is_random(about))
    state = pd.Series("", index=rows.index)
    state[test <= chance + thresholds.above_chance] = MEMORISING
    state[test >= np.float32(thresholds.grokked)] = GENERALISING
    state[random] = CONTROL
    state[~(train >= np.float32(thresholds.memorised))] = ""
    rows = rows.assign(state=state)
    if step is not None:
        current = rows.groupby("run_id")["state"].transform("last")
        rows = rows[rows["state"] == current]
    told = rows[rows["state"] != ""].assign(at=lambda part: part["step"].astype("float64"))
    last = told.groupby(["run_id", "state"], sort=False)[["at", *names]].last()
    return last.rename(columns={"at": "step"}).reset_index()


def _is_random(runs: pd.DataFrame) -> pd.Series:
    """Whether there is nothing to generalise to."""
    noise = runs["label_noise"].astype("float64") if "label_noise" in runs else 0.0
    op = runs.get("op", "")
    told = pd.DataFrame({"noise": noise, "op": op}, index=runs.index)
    return (told["noise"] == 1) | (told["op"] == "random")


def _effect(x: np.ndarray, positive: np.ndarray, units: Units, resamples: int) -> Estimate:
    """Cohen's d: the difference of the means over the pooled standard deviation (Cohen 1988)."""
    weights = units.draws(resamples)
    centred = x - x.mean()  # or the squares of a large mean swallow a small spread
    n, mean, square = [], [], []
    for kind in (positive, ~positive):
        w = weights * kind
        with np.errstate(invalid="ignore", divide="ignore"):
            average = (w * centred).sum(1) / w.sum(1)
        n.append(w.sum(1))
        mean.append(average)
        square.append((w * (centred - average[:, None]) ** 2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        d = (mean[0] - mean[1]) / np.sqrt((square[0] + square[1]) / (n[0] + n[1] - 2))
    value = float(d[0])
    told = len(np.unique(units.code))
    return Estimate(value, *interval(value, d[1:], told, (-np.inf, np.inf)), len(x))


def _best_threshold(x: np.ndarray, positive: np.ndarray) -> tuple[float, bool]:
    """The threshold of the best balanced accuracy, and whether positives lie above it."""
    order = np.argsort(x, kind="stable")
    values, kind = x[order], positive[order]
    below = np.cumsum(~kind) / max((~kind).sum(), 1), np.cumsum(kind) / max(kind.sum(), 1)
    gain = np.append((below[0] - below[1])[:-1], 0.0)  # of calling what lies above positive
    gain[:-1][values[:-1] == values[1:]] = 0.0  # no threshold lies between equals
    best = int(np.abs(gain).argmax())
    upper = values[min(best + 1, len(values) - 1)]
    return float(values[best] / 2 + upper / 2), bool(gain[best] >= 0)


def _held_out(x: np.ndarray, positive: np.ndarray, units: Units, resamples: int) -> Estimate:
    """Balanced accuracy of thresholds on the seeds that they were not chosen on."""
    fold = units.folds(FOLDS)
    right = np.full(len(x), np.nan)
    for held in np.unique(fold):
        out = fold == held
        if positive[~out].any() and not positive[~out].all():
            threshold, above = _best_threshold(x[~out], positive[~out])
            right[out] = ((x[out] > threshold) == above) == positive[out]
    told = np.isfinite(right)
    weights = units.draws(resamples) * told
    right = np.nan_to_num(right)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [
            ((weights * kind) @ right) / (weights * kind).sum(1) for kind in (positive, ~positive)
        ]
    accuracy = (shares[0] + shares[1]) / 2
    value, n_units = float(accuracy[0]), len(np.unique(units.code[told]))
    return Estimate(value, *interval(value, accuracy[1:], n_units, (0.0, 1.0)), int(told.sum()))
