"""When the parameters of a run are kept on disk."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.fields import Config, require

__all__ = ["SnapshotSchedule"]

Moment = Literal["t_mem", "t_grok", "end"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotSchedule(Config):
    """Which parameters to keep on disk; see `Results.snapshot`."""

    kind: ClassVar[str] = "snapshots"

    at: tuple[int, ...] = ()
    """Steps, multiples of `log_every`."""
    log_spaced: int = 0
    """So many further steps, evenly spaced in the logarithm from `log_every` to the budget."""
    moments: tuple[Moment, ...] = ()
    """The log points at which a run is first seen above the thresholds, and its budget's end,
    which a run that settles does not reach."""
    with_optimizer: bool = False
    """Keep the optimiser's state too."""

    def check(self) -> None:
        require(self.log_spaced >= 0, "log_spaced", self.log_spaced, "give 0 or more")
        anything = bool(self.at or self.log_spaced or self.moments)
        require(anything, "snapshots", self.at, "name steps, moments, or a number of log_spaced")

    def steps(self, budget: int, log_every: int) -> tuple[int, ...]:
        """The steps that are known beforehand, in order."""
        spaced = [
            round(log_every * (budget / log_every) ** (k / max(1, self.log_spaced - 1)) / log_every)
            for k in range(self.log_spaced)
        ]
        end = (budget,) if "end" in self.moments else ()
        return tuple(sorted({*self.at, *(log_every * k for k in spaced), *end}))
