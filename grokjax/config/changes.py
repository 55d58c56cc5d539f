"""Interventions: numbers that change while a run is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from grokjax.config.coercion import coerce, require
from grokjax.config.fields import Config

__all__ = ["Change"]


@dataclasses.dataclass(frozen=True, init=False)
class Change(Config):
    """From update `step` on, traced fields have other values: `Change(500, weight_decay=0.1)`.

    Names are those of the experiment's fields; dotted ones go in with `**{"modifiers.0.factor":
    2.0}`. `train_fraction` and `split_seed` are among them: data can be added, removed, swapped.
    Test rows are then those outside the new training set, though the network may have seen them.

    >>> from grokjax import Change, Experiment
    >>> experiment = Experiment(changes=[Change(500, weight_decay=0.1)])
    >>> [stage.optimizer.weight_decay for stage in experiment.stages()]
    [1.0, 0.1]
    """

    kind: ClassVar[str] = "change"

    step: int
    """Number of updates before the change."""
    new: tuple[tuple[str, float], ...]
    """Names of fields, each with its value from that step on."""

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
