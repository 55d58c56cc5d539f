"""Interventions: numbers that change while a run is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from grokjax.config.coercion import coerce, require
from grokjax.config.fields import Config

__all__ = ["Change"]


@dataclasses.dataclass(frozen=True, init=False)
class Change(Config):
    """From update `step` on, traced fields have other values: `Change(500, weight_decay=0.1)`.

    Names are those of the experiment's fields; dotted ones go in with `**{"modifiers.0.factor":
    2.0}`. `train_fraction` and `split_seed` are among them: data can be added, removed, swapped.
    Test rows are then those outside the new training set, though the network may have seen them.

    `Change(at="t_mem", delay=100, weight_decay=0.1)` waits for a moment instead: the first log
    point at which train accuracy is at least `thresholds.memorised` (t_mem), or test accuracy at
    least `thresholds.grokked` (t_grok), and then for `delay` updates. Without delay the update at
    that log point is the first under the new value. In a list a change never holds before the ones
    that stand before it. A run that never gets there never changes.

    >>> from grokjax import Change, Experiment
    >>> experiment = Experiment(changes=[Change(500, weight_decay=0.1)])
    >>> [stage.optimizer.weight_decay for stage in experiment.stages()]
    [1.0, 0.1]
    """

    kind: ClassVar[str] = "change"

    step: int | None
    """Number of updates before the change; None: it is at a moment."""
    new: tuple[tuple[str, float], ...]
    """Names of fields, each with its value from that step on."""
    at: Literal["t_mem", "t_grok"] | None = None
    """Moment that it waits for; None: it is at a step."""
    delay: int = 0
    """Number of updates from the moment to the change."""

    def __init__(
        self, step: int | None = None, *, at: str | None = None, delay: int = 0, **new: float
    ) -> None:
        given = {"step": step, "new": tuple(new.items()), "at": at, "delay": delay}
        for name, value in given.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def __post_init__(self) -> None:
        told = {"step": int | None, "delay": int, "at": Literal["t_mem", "t_grok"] | None}
        for name, kind in told.items():
            object.__setattr__(self, name, coerce(getattr(self, name), kind, f"changes.{name}"))
        new = [(name, coerce(v, self.types()[_key(name)], name)) for name, v in self.new]
        object.__setattr__(self, "new", tuple(new))
        remedy = "a step must be given, Change(500, …), or a moment, Change(at='t_mem', …)"
        require(self.step is not None or self.at is not None, "changes.step", self.step, remedy)
        remedy = f"it waits for {self.at} already, drop one of the two"
        require(self.step is None or self.at is None, "changes.step", self.step, remedy)
        remedy = "give the number of updates before the change, 1 or more"
        require(self.step is None or self.step >= 1, "changes.step", self.step, remedy)
        remedy = "it counts from a moment, at='t_mem', and is 0 or more"
        fits = self.delay >= 0 and (self.at is not None or self.delay == 0)
        require(fits, "changes.delay", self.delay, remedy)
        remedy = "name a field and its new value, as in Change(500, weight_decay=0.1)"
        require(bool(self.new), "changes", self.step or self.at, remedy)

    @property
    def when(self) -> int:
        """The step of the change, or the number of updates from its moment to it."""
        return self.delay if self.step is None else self.step

    def values(self) -> dict[str, Any]:
        when = {"step": self.step} if self.at is None else {"at": self.at, "delay": self.delay}
        return {**when, **{_key(name): value for name, value in self.new}}

    def types(self) -> Mapping[str, Any]:
        when = {"step": int} if self.at is None else {"at": str, "delay": int}
        return {**{_key(name): float for name, _ in self.new}, **when}

    def replaced(self, **changes: Any) -> Self:
        values = {**self.values(), **changes}
        names = {_key(name): name for name, _ in self.new}
        return type(self)(**{names.get(k, k): v for k, v in values.items()})

    def with_names(self, new: Mapping[str, float]) -> Self:
        """The same with other names of the same fields."""
        return type(self)(self.step, at=self.at, delay=self.delay, **new)


def _key(name: str) -> str:
    """A field name without the dots, which mean something in the path of a change."""
    return name.replace(".", "_")
