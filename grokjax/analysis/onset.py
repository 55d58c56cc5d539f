"""When a run memorised and when it grokked, from its curve.

Every definition is here once; thresholds come from `grokjax.Thresholds`. A time that
has not come by the last logged step is missing (`None`): the run is censored there,
which says neither "never" nor "not a number".

Legend: K log points of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from grokjax.config import Thresholds


def summarise(
    curve: Mapping[str, np.ndarray], chance: float, thresholds: Thresholds
) -> dict[str, Any]:
    """The onset columns of one run.

    Args:
      curve: `step` and the accuracies and losses, each `[K]`, in the order of steps.
      chance: test accuracy of the best constant guess.
      thresholds: what counts as memorised and grokked.
    """
    step = np.asarray(curve["step"])
    # Thresholds are compared in float32, in which 9 rows of 10 are ≥ 0.9 whether the
    # curve comes from a float32 network or from the float64 column of a table.
    train = np.asarray(curve["train_accuracy"], np.float32)
    test = np.asarray(curve["test_accuracy"], np.float32)
    t_mem = first_crossing(step, train, thresholds.memorised)
    t_grok = first_crossing(step, test, thresholds.grokked)
    columns: dict[str, Any] = {
        "t_mem": t_mem,
        "t_grok": t_grok,
        "t_grok_sustained": sustained_crossing(step, test, thresholds.grokked, thresholds.settle),
    }
    for level in thresholds.also:
        name = f"t_grok_{100 * level:g}"
        columns[name] = first_crossing(step, test, level)
        columns[f"{name}_sustained"] = sustained_crossing(step, test, level, thresholds.settle)
    columns["grok_gap"] = columns["grok_ratio"] = None
    if t_mem is not None and t_grok is not None:
        columns["grok_gap"] = t_grok - t_mem
        columns["grok_ratio"] = t_grok / t_mem if t_mem > 0 else None
    rise = np.asarray(curve["test_accuracy"], np.float64)
    columns["transition_width"] = transition_width(step, rise, t_mem, t_grok, chance)
    columns["phase"] = phase(t_mem, t_grok, thresholds)
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        columns[f"final_{name}"] = float(curve[name][-1])
    columns["max_test_accuracy"] = float(np.nanmax(rise)) if np.isfinite(rise).any() else None
    return columns


def first_crossing(step: np.ndarray, accuracy: np.ndarray, threshold: float) -> int | None:
    """First logged step with accuracy ≥ threshold."""
    above = np.flatnonzero(accuracy >= threshold)
    return int(step[above[0]]) if len(above) else None


def sustained_crossing(
    step: np.ndarray, accuracy: np.ndarray, threshold: float, settle: int
) -> int | None:
    """First logged step from which accuracy stays ≥ threshold to the end of the run.

    The stretch must hold at least `settle` log points after the crossing, or the run
    is too short to tell and counts as censored.
    """
    below = np.flatnonzero(~(accuracy >= threshold))
    start = below[-1] + 1 if len(below) else 0
    return int(step[start]) if len(step) - start > settle else None


def settling(
    curve: Mapping[str, np.ndarray], thresholds: Thresholds, settle_steps: int, since: int | None
) -> tuple[int | None, int | None]:
    """The stop rule: a run has settled after `settle_steps` updates above both thresholds.

    Args:
      curve: `step`, `train_accuracy` and `test_accuracy`, each `[K]`: the next log points.
      thresholds: `memorised` for the training set, `grokked` for the test set.
      settle_steps: how long both must be reached, at every log point.
      since: step of the log point since which they have been, if they are.

    Returns:
      The same for the last log point, and the index of the one at which the run settled.
    """
    step = np.asarray(curve["step"])
    calm = np.asarray(curve["train_accuracy"], np.float32) >= np.float32(thresholds.memorised)
    calm &= np.asarray(curve["test_accuracy"], np.float32) >= np.float32(thresholds.grokked)
    for at in range(len(step)):
        since = None if not calm[at] else int(step[at]) if since is None else since
        if since is not None and step[at] - since >= settle_steps:
            return since, at
    return since, None


def transition_width(
    step: np.ndarray, test: np.ndarray, t_mem: int | None, t_grok: int | None, chance: float
) -> float | None:
    """Steps between 10 % and 90 % of the rise of test accuracy, interpolated.

    The rise goes from the plateau, which is the test accuracy when the training set was
    memorised (or chance, where the run was not memorised before it grokked), to the
    largest test accuracy. The 10 % point is the last upward crossing before the 90 % point.
    """
    if t_grok is None:
        return None
    memorised_first = t_mem is not None and t_mem < t_grok
    plateau = float(test[step == t_mem][0]) if memorised_first else chance
    rise = np.nanmax(test) - plateau
    if rise <= 0:
        return None
    high = np.flatnonzero(test >= plateau + 0.9 * rise)[0]
    low = np.flatnonzero(test[: high + 1] < plateau + 0.1 * rise)
    if not len(low):
        return None
    return _crossing(step, test, high, plateau + 0.9 * rise) - _crossing(
        step, test, low[-1] + 1, plateau + 0.1 * rise
    )


def _crossing(step: np.ndarray, values: np.ndarray, after: int, level: float) -> float:
    """Where the line from point `after - 1` to point `after` meets `level`."""
    if after == 0:
        return float(step[0])
    x, y = step[after - 1 : after + 1], values[after - 1 : after + 1]
    return float(np.interp(level, y, x))


def phase(t_mem: int | None, t_grok: int | None, thresholds: Thresholds) -> str:
    """The four phases of Liu et al. 2022 (arXiv 2205.10343, table 1).

    A run that generalises without memorising first has no gap: comprehension.
    """
    if t_grok is None:
        return "confusion" if t_mem is None else "memorization"
    if t_mem is None:
        return "comprehension"
    if thresholds.gap_rule == "steps":
        late = t_grok - t_mem >= thresholds.gap_steps
    else:
        late = t_grok >= thresholds.gap_ratio * max(t_mem, 1)
    return "grokking" if late else "comprehension"
