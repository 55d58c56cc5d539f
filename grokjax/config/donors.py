"""Parameters that come from a run of an earlier sweep, the donor."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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
    sweep, but for those that `where` names."""
    where: tuple[str, ...] = host(())
    """Columns of the runs table and what the donor has there, as `"op=add"` (or a dictionary): with
    other values of the run itself, a donor that has learned something else. As an axis,
    `{"start.where": [["op=add"], ["op=mul"]]}`, it makes pairs."""

    def __post_init__(self) -> None:
        if isinstance(self.where, str):
            object.__setattr__(self, "where", (self.where,))
        if isinstance(self.where, Mapping):
            pairs = tuple(f"{name}={value}" for name, value in self.where.items())
            object.__setattr__(self, "where", pairs)
        super().__post_init__()

    @property
    def wanted(self) -> dict[str, str]:
        """Column → what the donor has there, of those that `where` names."""
        return dict(pair.split("=", 1) for pair in self.where)

    def check(self) -> None:
        step = self.step
        require(isinstance(step, str) or step >= 0, "step", step, "give 0 or more")
        remedy = "give the folder of a sweep"
        require(bool(self.path), "path", self.path, remedy)
        remedy = "write a column and its value, as in where=['op=add']"
        require(all("=" in pair[1:] for pair in self.where), "where", self.where, remedy)
        remedy = "the run_id says it already, drop one of the two"
        require(not (self.where and self.run_id), "where", self.where, remedy)


@dataclasses.dataclass(frozen=True)
class StartFrom(Donor):
    """Start from the parameters of another run: `start=StartFrom("results/x", step=1000)`."""

    kind: ClassVar[str] = "snapshot"

    optimizer_state: bool = False
    """Whether to take over the optimiser's state too, which the snapshot must then hold."""
