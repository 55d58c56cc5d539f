"""When a run ends, and why; and the log points of a run, which are cut there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from grokjax.analysis import onset
from grokjax.config import Experiment, Thresholds
from grokjax.training.spec import calm_steps

Measures = dict[str, dict[str, np.ndarray]]
"""Instrument → part → values `[K]`."""


@dataclasses.dataclass(frozen=True)
class LogPoints:
    """Consecutive log points of one run."""

    step: np.ndarray  # [K]
    metrics: dict[str, np.ndarray]  # each [K]
    measures: Measures
    snapshots: dict[int, dict[str, np.ndarray]]
    """Step → arrays of the snapshots that were taken at these log points."""
    to_measure: dict[int, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    """Step → the same arrays, for the log points that the instruments of the table look at."""

    def curve(self) -> dict[str, np.ndarray]:
        """`step` and the metrics, each `[K]`."""
        return {"step": self.step, **self.metrics}

    def split(self, n: int) -> tuple[LogPoints, LogPoints]:
        """The first `n` log points, and those after them."""
        return self._part(slice(None, n)), self._part(slice(n, None))

    def followed_by(self, later: LogPoints) -> LogPoints:
        """These log points and then later ones."""
        return LogPoints(
            np.concatenate([self.step, later.step]),
            {name: np.concatenate([v, later.metrics[name]]) for name, v in self.metrics.items()},
            {
                instrument: {
                    part: np.concatenate([values, later.measures[instrument][part]])
                    for part, values in parts.items()
                }
                for instrument, parts in self.measures.items()
            },
            self.snapshots | later.snapshots,
            self.to_measure | later.to_measure,
        )

    def _part(self, which: slice) -> LogPoints:
        steps = {int(step) for step in self.step[which]}
        return LogPoints(
            self.step[which],
            {name: values[which] for name, values in self.metrics.items()},
            {
                instrument: {part: values[which] for part, values in parts.items()}
                for instrument, parts in self.measures.items()
            },
            *(
                {step: arrays for step, arrays in captured.items() if step in steps}
                for captured in (self.snapshots, self.to_measure)
            ),
        )


@dataclasses.dataclass(frozen=True)
class Ending:
    """What the stop rules say of the next log points of a run."""

    rows: int
    """How many of them the run has."""
    reason: str | None
    """What ended it at the last of these, if anything did: diverged, budget or settled."""
    calm_since: int | None
    """Step since which it has been above the thresholds of the stop rule, if it is."""


def ending(
    config: Experiment,
    thresholds: Thresholds,
    curve: Mapping[str, np.ndarray],
    calm_since: int | None = None,
) -> Ending:
    """Where a run ends among its next log points, if it does.

    The first thing that comes ends a run. What comes at the same log point has this order: a run
    that diverged at its last one diverged, and one that settles there has used up its budget. Where
    the parameters of the end are stored, `training.captures` finds the same log point.

    Args:
      config: of the run.
      thresholds: of the sweep.
      curve: `step` and metrics of the log points, each `[K]`.
      calm_since: what the log points before them have left.
    """
    step = curve["step"]
    rows, reason = len(step), None
    broken = np.flatnonzero(~np.isfinite(curve["train_loss"] + curve["weight_norm"]))
    if len(broken):
        rows, reason = int(broken[0]) + 1, "diverged"
    spent = np.flatnonzero(step >= config.steps)
    if len(spent) and (spent[0] + 1 < rows or reason is None):
        rows, reason = int(spent[0]) + 1, "budget"
    long_enough = calm_steps(config)
    if long_enough is None:
        return Ending(rows, reason, calm_since)
    # A run that is going to change may not stop before it has.
    last_change = max((change.step or 0 for change in config.changes), default=0)
    first = int(np.searchsorted(step[:rows], last_change))
    later = {name: values[first:rows] for name, values in curve.items()}
    calm_since, settled = onset.settling(later, thresholds, long_enough, calm_since)
    if settled is not None and (first + settled + 1 < rows or reason is None):
        rows, reason = first + settled + 1, "settled"
    return Ending(rows, reason, calm_since)
