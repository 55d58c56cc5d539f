"""Interventions in time: numbers that change, parameters that are kept, donated, or masked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from grokjax.config.fields import Config, coerce, require, traced

Moment = Literal["t_mem", "t_grok", "end"]


@dataclasses.dataclass(frozen=True, init=False)
class Change(Config):
    """From update `step` on, traced fields have other values: `Change(500, weight_decay=0.1)`.

    Names are those of the experiment's fields; dotted ones go in with `**{"modifiers.0.factor":
    2.0}`. `train_fraction` and `split_seed` are among them: data can be added, removed, swapped.
    Test rows are then those outside the new training set, though the network may have seen them.
    """

    kind: ClassVar[str] = "change"

    step: int
    new: tuple[tuple[str, float], ...]
    """Name of a field → its value from then on."""

    def __init__(self, step: int, **new: float) -> None:
        object.__setattr__(self, "step", step)
        object.__setattr__(self, "new", tuple(new.items()))
        self.__post_init__()

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", coerce(self.step, int, "changes.step"))
        new = [(name, coerce(v, self.types()[_key(name)], name)) for name, v in self.new]
        object.__setattr__(self, "new", tuple(new))
        remedy = "give the number of updates before the change, 1 or more"
        require(self.step >= 1, "changes.step", self.step, remedy)
        remedy = "name a field and its new value, as in Change(500, weight_decay=0.1)"
        require(bool(self.new), "changes", self.step, remedy)

    def values(self) -> dict[str, Any]:
        return {"step": self.step, **{_key(name): value for name, value in self.new}}

    def types(self) -> Mapping[str, Any]:
        return {**{_key(name): float for name, _ in self.new}, "step": int}

    def replaced(self, **changes: Any) -> Self:
        values = {**self.values(), **changes}
        names = {_key(name): name for name, _ in self.new}
        return type(self)(values.pop("step"), **{names.get(k, k): v for k, v in values.items()})


def _key(name: str) -> str:
    """A field name without the dots, which mean something in the path of a change."""
    return name.replace(".", "_")


@dataclasses.dataclass(frozen=True)
class Donor(Config):
    """Where parameters of an earlier sweep come from."""

    path: str
    """Results folder of the sweep."""
    step: int | Moment
    """Which of its snapshots."""
    run_id: str | None = None
    """Which run; left out, the one that has this run's values of the fields in `match`."""
    match: tuple[str, ...] | None = None
    """Columns of its runs table; left out, the axes of its sweep."""

    def check(self) -> None:
        step = self.step
        require(isinstance(step, str) or step >= 0, "step", step, "give 0 or more")
        remedy = "give the folder of a sweep"
        require(bool(self.path), "path", self.path, remedy)


@dataclasses.dataclass(frozen=True)
class Snapshot(Donor):
    """Start from the parameters of another run: `start=Snapshot("results/x", step=1000)`."""

    kind: ClassVar[str] = "snapshot"

    optimizer_state: bool = False
    """Also go on with its optimiser's state; the snapshot must have it."""


@dataclasses.dataclass(frozen=True)
class Mask(Donor):
    """Train only the weights that are large in a donor's snapshot, the others held at 0.

    A lottery ticket (Frankle & Carbin 2019; for grokking Minegishi et al. 2023). Biases and gains
    of norms stay as they are.
    """

    kind: ClassVar[str] = "mask"

    keep: float = traced(0.4, at_start=True)
    """Share of the weights that are kept."""
    rule: Literal["magnitude", "random", "random_by_layer"] = "magnitude"
    """The donor's largest weights; as many at random (control); at random, as many in each array
    as the donor's largest are (control)."""
    by_layer: bool = False
    """Keep the share in every array, instead of in all together."""

    def check(self) -> None:
        super().check()
        require(0 < self.keep <= 1, "keep", self.keep, "a share to keep lies in (0, 1]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshots(Config):
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
