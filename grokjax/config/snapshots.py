"""When the parameters of a run are stored on disk."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require, within
from grokjax.config.fields import Config

__all__ = ["SnapshotSchedule"]

Moment = Literal["t_mem", "t_grok", "end"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotSchedule(Config):
    """When to store the parameters of a run on disk; `Results.snapshot` reads them back."""

    kind: ClassVar[str] = "snapshots"

    at: tuple[int, ...] = ()
    """Steps at which to store, in updates; multiples of `log_every`."""
    log_spaced: int = 0
    """Number of further steps, evenly spaced in the logarithm from `log_every` to the budget."""
    moments: tuple[Moment, ...] = ()
    """Moments of a run at which to store. t_mem and t_grok: the first log point with train (test)
    accuracy at or above `thresholds.memorised` (`thresholds.grokked`); end: the run's last log
    point, whether it has settled there, diverged or used up its budget."""
    with_optimizer: bool = False
    """Whether to store the optimiser's state too, as is needed to go on from a snapshot."""

    def check(self) -> None:
        within(self.log_spaced, "log_spaced", 0, 100_000)
        anything = bool(self.at or self.log_spaced or self.moments)
        require(anything, "snapshots", self.at, "name steps, moments, or a number of log_spaced")

    def steps(self, budget: int, log_every: int) -> tuple[int, ...]:
        """The steps that are known before a run starts, in order; moments are not.

        >>> from grokjax import SnapshotSchedule
        >>> SnapshotSchedule(at=(0, 500), log_spaced=3).steps(budget=1000, log_every=10)
        (0, 10, 100, 500, 1000)

        Args:
          budget: updates of a run.
          log_every: updates from one log point to the next; spaced steps are multiples of it.
        """
        spaced = [
            round(log_every * (budget / log_every) ** (k / max(1, self.log_spaced - 1)) / log_every)
            for k in range(self.log_spaced)
        ]
        return tuple(sorted({*self.at, *(log_every * k for k in spaced)}))
