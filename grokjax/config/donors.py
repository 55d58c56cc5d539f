"""Parameters that are taken over from a run of an earlier sweep."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.fields import Config, host, require
from grokjax.config.snapshots import Moment

__all__ = ["StartFrom"]


@dataclasses.dataclass(frozen=True)
class Donor(Config):
    """Where parameters of an earlier sweep come from."""

    path: str = host()
    """Results folder of the sweep."""
    step: int | Moment = host()
    """Which of its snapshots."""
    run_id: str | None = host(None)
    """Which run; left out, the one that has this run's values of the fields in `match`."""
    match: tuple[str, ...] | None = host(None)
    """Columns of its runs table; left out, the axes of its sweep."""

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
    """Also go on with its optimiser's state; the snapshot must have it."""
