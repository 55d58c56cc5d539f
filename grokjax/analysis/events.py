"""What first crossings do not see: plateaus, collapses, partial and early generalisation.

Functions of `Curves` that return columns of `onset`, one value a run `[R]`.
"""

from __future__ import annotations

import numpy as np

from grokjax.analysis.curves import Curves, extreme, first, median, pick, smooth
from grokjax.config import Thresholds

Columns = dict[str, np.ma.MaskedArray]


def steepest(
    curves: Curves,
    smoothed: np.ndarray,
    at_grok: np.ndarray,
    chance: np.ndarray,
    thresholds: Thresholds,
) -> Columns:
    """The argmax detector and the slope at t_grok, of smoothed test accuracy.

    `t_grok_argmax` is the log point after which the moving average over `smooth_steps` rises
    fastest. It is valid only where the median of test accuracy before it is within
    `above_chance` of chance and the median after it is at least halfway from chance to 1.
    `slope_at_t_grok` is in accuracy per update, by central differences.
    """
    step, test = curves.step, curves.values["test_accuracy"].astype(float)
    gap = np.diff(step, axis=1).astype(float)
    inside = curves.inside[:, 1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.where(inside & (gap > 0), np.diff(smoothed, axis=1) / gap, np.nan)
    if slope.shape[1] == 0:
        return {
            "t_grok_argmax": np.ma.masked_all(len(step), step.dtype),
            "slope_at_t_grok": np.ma.masked_all(len(step)),
        }
    rising = np.where(np.isfinite(slope), slope, -np.inf)
    at = np.where(rising.max(1) > 0, rising.argmax(1), -1)
    points = np.arange(step.shape[1])
    before = median(test, curves.inside & (points <= at[:, None]))
    after = median(test, curves.inside & (points > at[:, None]))
    valid = (before.filled(np.inf) <= chance + thresholds.above_chance) & (
        after.filled(-np.inf) >= (1 + chance) / 2
    )
    sides = np.stack([pick(slope, at).filled(np.nan) for at in _sides(at_grok, slope.shape[1])])
    known = np.isfinite(sides)
    mean = np.where(known, sides, 0).sum(0) / np.maximum(known.sum(0), 1)
    return {
        "t_grok_argmax": pick(step, np.where(valid, at, -1)),
        "slope_at_t_grok": np.ma.array(mean, mask=~known.any(0)),
    }


def _sides(point: np.ndarray, intervals: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the intervals before and after a log point, -1 where there is none."""
    before = np.where(point > 0, point - 1, -1)
    return before, np.where((point >= 0) & (point < intervals), point, -1)


def plateau(
    curves: Curves,
    test: np.ndarray,
    at_mem: np.ndarray,
    rises: np.ma.MaskedArray,
    at_grok: np.ndarray,
) -> Columns:
    """Where test accuracy stays between memorisation and the rise.

    `plateau_level` is the median of test accuracy from t_mem to the 10 % point of the rise, or
    to the end of a run that has not grokked; compare it with `chance`. `plateau_length`, in
    steps, is censored there like t_grok.
    """
    end = np.where(at_grok >= 0, rises.filled(-1.0), np.inf)
    points = np.arange(test.shape[1])
    between = curves.inside & (points >= at_mem[:, None]) & (at_mem >= 0)[:, None]
    between &= curves.step <= end[:, None]
    length = np.ma.maximum(rises - pick(curves.step, at_mem), 0.0)
    return {"plateau_level": median(test, between), "plateau_length": length}


def collapses(
    curves: Curves, test: np.ndarray, at_grok: np.ndarray, thresholds: Thresholds
) -> Columns:
    """Runs that grokked and lost it: how often, when first, how deep, and whether they came back.

    A collapse begins at the log point at which test accuracy has fallen to `collapse_drop`
    below the threshold `grokked`, and ends when it is at that threshold again. `collapse_depth`
    is the highest test accuracy before the first collapse less the lowest after it.
    """
    up = test >= np.float32(thresholds.grokked)
    down = test < np.float32(thresholds.grokked - thresholds.collapse_drop)
    points = np.arange(test.shape[1])
    # Between the two levels a log point decides nothing, and the state is that of the last one that
    # did: otherwise accuracy that wavers at a level would begin a collapse at every crossing.
    decided = np.where(up | down, points, -1)
    latest = np.maximum.accumulate(decided, axis=1)
    is_down = np.take_along_axis(down, np.maximum(latest, 0), 1) & (latest >= 0)
    begins = curves.inside & is_down & (points > at_grok[:, None]) & (at_grok >= 0)[:, None]
    begins[:, 1:] &= ~is_down[:, :-1]
    at = first(begins)
    earlier = curves.inside & (points < at[:, None])
    later = curves.inside & (points >= at[:, None])
    values = test.astype(float)
    depth = extreme(values, earlier, largest=True) - extreme(values, later, largest=False)
    return {
        "n_collapses": np.ma.array(begins.sum(1)),
        "t_collapse": pick(curves.step, at),
        "collapse_depth": np.ma.array(depth.data, mask=(at < 0) | np.ma.getmaskarray(depth)),
        "recovered": np.ma.array(~pick(is_down, curves.length - 1).data, mask=at < 0),
    }


def labels(
    curves: Curves,
    test: np.ndarray,
    at_mem: np.ndarray,
    at_grok: np.ndarray,
    chance: np.ndarray,
    thresholds: Thresholds,
) -> Columns:
    """`partial`, `early` and `double_descent`: yes or no for each run.

    - partial: it has not grokked, and over the last `plateau_share` of its log points test
      accuracy varies by at most `plateau_spread` around a median that is more than
      `above_chance` above chance (semi-grokking).
    - early: test accuracy is more than `above_chance` above chance when the run memorises:
      ordinary generalisation, benign overfitting, or a symmetry of the table.
    - double_descent: test loss, smoothed over `smooth_steps`, falls from its first value by a
      factor `descent_ratio`, rises by that factor and falls by it again.
    """
    points, length = np.arange(test.shape[1]), curves.length[:, None]
    tail = curves.inside & (points >= np.floor((1 - thresholds.plateau_share) * length))
    spread = extreme(test, tail, largest=True) - extreme(test, tail, largest=False)
    level = median(test, tail)
    steady = spread.filled(np.inf) <= thresholds.plateau_spread
    partial = (at_grok < 0) & steady & (level.filled(0.0) > chance + thresholds.above_chance)
    when_memorised = pick(test, at_mem).filled(-np.inf)
    return {
        "partial": np.ma.array(partial, mask=np.isnan(chance)),
        "early": np.ma.array(
            when_memorised > chance + thresholds.above_chance, mask=np.isnan(chance)
        ),
        "double_descent": np.ma.array(_descends_twice(curves, thresholds)),
    }


def _descends_twice(curves: Curves, thresholds: Thresholds) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = np.log(curves.values["test_loss"].astype(float))
    loss = smooth(curves.step, curves.inside, loss, thresholds.smooth_steps)
    known = np.isfinite(loss)
    floor = np.minimum.accumulate(np.where(known, loss, np.inf), axis=1)
    ahead = np.minimum.accumulate(np.where(known, loss, np.inf)[:, ::-1], axis=1)[:, ::-1]
    factor = np.log(thresholds.descent_ratio)
    with np.errstate(invalid="ignore"):
        fell = floor <= loss[:, :1] - factor
        peak = fell & (loss >= floor + factor) & (ahead <= loss - factor)
    return (peak & known).any(1)
