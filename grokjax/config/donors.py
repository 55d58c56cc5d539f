"""Parameters that come from a run of an earlier sweep, the donor."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.coercion import require
from grokjax.config.fields import Config, host
from grokjax.config.snapshots import Moment

__all__ = ["StartFrom"]


@dataclasses.dataclass(frozen=True)
class Donor(Config):
    """Which snapshot of which run of an earlier sweep parameters come from."""

    path: str = host()
    """Results folder of the earlier sweep."""
    step: int | Moment = host()
    """Snapshot to take: its step in updates, or its moment, 't_mem', 't_grok' or 'end'."""
    run_id: str | None = host(None)
    """Id of the donor run; None: the run that agrees with this one in the columns `match`."""
    match: tuple[str, ...] | None = host(None)
    """Columns of the runs table in which donor and run must agree; None: the axes of the earlier
    sweep."""

    def check(self) -> None:
        step = self.step
        require(isinstance(step, str) or step >= 0, "step", step, "give 0 or more")
        remedy = "give the folder of a sweep"
        require(bool(self.path), "path", self.path, remedy)


@dataclasses.dataclass(frozen=True)
class StartFrom(Donor):
    """Start from the parameters of another run: `start=StartFrom("results/x", step=1000)`."""

    kind: ClassVar[str] = "snapshot"

    optimizer_state: bool = False
    """Whether to take over the optimiser's state too, which the snapshot must then hold."""
