"""Spikes of the training loss, and what may have caused each: what tells their causes apart.

A slingshot (Thilak et al. 2022, arXiv 2206.04817) is a spike that the growth of the last layer's
norm leads to. At the edge of stability the preconditioned sharpness is at its threshold (ratio 1 or
above) before the spike. Where softmax has collapsed the gradient is rounding.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

BEFORE = {
    "norms.unembed.norm": "last_layer_norm",
    "numerics.softmax_collapse": "softmax_collapse",
    "numerics.zero_gradient": "zero_gradient",
    "hessian.preconditioned_over_threshold": "sharpness_over_threshold",
}
"""Column of the measures → what it is called beside a spike."""


@dataclasses.dataclass(frozen=True)
class SpikeRule:
    """What counts as a spike."""

    ratio: float = 10.0
    """Factor over the running median by which the training loss must rise."""
    window: int = 20
    """Log points before a spike that the median is taken over."""
    dip: float = 0.01
    """How far training accuracy must fall below its median there."""


def spikes(
    curve: pd.DataFrame, measures: pd.DataFrame | None = None, rule: SpikeRule = SpikeRule()
) -> pd.DataFrame:
    """The spikes of a run's training loss, a row each.

    Args:
      curve: of the run: `step`, `train_loss`, `train_accuracy`.
      measures: wide measures of the run, of which the last values before each spike are told, and
        the growth of the last layer's norm over the window; None: the curve alone.
      rule: what counts as a spike.

    Returns:
      `step` of the highest loss, `ratio` over the running median, `dip` of the accuracy; and of
      the measures those in `BEFORE`, with `norm_growth`, the factor by which the last layer grew.
    """
    step, loss = curve["step"].to_numpy(), curve["train_loss"]
    accuracy = curve["train_accuracy"]
    level = loss.rolling(rule.window, min_periods=3).median().shift(1).to_numpy()
    usual = accuracy.rolling(rule.window, min_periods=3).median().shift(1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, dip = loss.to_numpy() / level, usual - accuracy.to_numpy()
    above = (ratio > rule.ratio) & (dip >= rule.dip)
    rows = []
    for run in np.split(
        np.flatnonzero(above), np.flatnonzero(np.diff(np.flatnonzero(above)) > 1) + 1
    ):
        if len(run):
            top = run[np.argmax(loss.to_numpy()[run])]
            row = {"step": int(step[top]), "ratio": ratio[top], "dip": dip[run].max()}
            since = step[max(0, run[0] - rule.window)]
            rows.append({**row, **_before(measures, int(step[run[0]]), int(since))})
    columns = [
        "step",
        "ratio",
        "dip",
        *([] if measures is None else [*BEFORE.values(), "norm_growth"]),
    ]
    return pd.DataFrame(rows, columns=columns)


def _before(measures: pd.DataFrame | None, step: int, since: int) -> dict[str, float]:
    """The last measures before a step, and how much the last layer's norm has grown."""
    if measures is None:
        return {}
    earlier = measures[measures["step"] < step].sort_values("step")
    told: dict[str, float] = {}
    for column, name in BEFORE.items():
        known = earlier[column].dropna() if column in earlier else pd.Series(dtype=float)
        told[name] = float(known.iloc[-1]) if len(known) else np.nan
    norm = "norms.unembed.norm"
    lately = earlier[earlier["step"] >= since] if norm in earlier else earlier.iloc[:0]
    known = lately[norm].dropna() if norm in lately else pd.Series(dtype=float)
    told["norm_growth"] = float(known.iloc[-1] / known.iloc[0]) if len(known) > 1 else np.nan
    return told
