"""Splits that are no matter of chance alone: given ones, and those of whole groups of rows."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import Any, ClassVar

from grokjax.config.coercion import require, share
from grokjax.config.fields import Config, data, traced
from grokjax.config.formulas import ROW_NAMES, read
from grokjax.config.parts import Task

__all__ = ["GivenSplit", "GroupSplit"]

TRAIN, TEST, THIRD = range(3)
"""Sets of rows; those of the third are neither trained on nor in the test set."""
SET_NAMES = {"train": TRAIN, "test": TEST, "third": THIRD}
"""What they are called in a table."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split(Config):
    """How training and test rows are told apart."""

    def check_task(self, task: Task) -> None:
        """Raise `ConfigError` where a table cannot be split so."""

    def structure(self) -> Any:
        """The same with its numbers left out: what the compiled program knows of it."""
        return self._with(dict.fromkeys(self.traced_values(), "traced"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenSplit(Split):
    """A split that is given: by the rows of a `Table`, or by the numbers of rows, from 0.

    Rows in neither set are a third one, which nobody trains on and which is no part of the test
    accuracy. `split_seed` draws the rows that a `share` below 1 leaves out, and they nest.
    """

    kind: ClassVar[str] = "given"

    train: tuple[int, ...] = data()
    """Numbers of the training rows; left out, the table itself says the set of each row."""
    test: tuple[int, ...] = data()
    """Numbers of the test rows; left out, all rows that are no training rows."""
    sha256: str = ""
    """Checksum of these numbers. It is filled in; where you give one, they must have it."""
    share: float = traced(1.0)
    """Share of the given training rows that are trained on; the test set stays as it is."""

    def check(self) -> None:
        for name in ("train", "test"):
            given = getattr(self, name)
            remedy = "rows are counted from 0, and each is there once"
            good = len(set(given)) == len(given) and min(given, default=0) >= 0
            require(good, name, _brief(given), remedy)
        remedy = "give the numbers of the training rows too"
        require(bool(self.train) or not self.test, "train", self.train, remedy)
        both = sorted(set(self.train) & set(self.test))
        remedy = "they are also in train, keep them in one of the two"
        require(not both, "test", _brief(both), remedy)
        told = json.dumps([sorted(self.train), sorted(self.test)]) if self.train else ""
        checksum = hashlib.sha256(told.encode()).hexdigest() if told else ""
        remedy = (
            f"these rows have {checksum!r}, look whether they are the right ones or leave it out"
        )
        require(self.sha256 in ("", checksum), "sha256", self.sha256, remedy)
        object.__setattr__(self, "sha256", checksum)
        remedy = share(self.share, "give a share above 0 and up to 1")
        require(0 < self.share <= 1, "share", self.share, remedy)

    def check_task(self, task: Task) -> None:
        remedy = "give it a column that says train, test or third (Table.read(…, split=…)), or "
        remedy += "the numbers of rows, GivenSplit(train=[…], test=[…])"
        known = bool(self.train) or bool(task.given_sets)
        require(known, "split", f"{task.kind} says no sets of its rows", remedy)
        beyond = [row for row in (*self.train, *self.test) if row >= task.n_rows]
        remedy = f"the table of {task.kind} has rows 0 to {task.n_rows - 1}"
        require(not beyond, "train, test", _brief(beyond), remedy)
        remedy = "none is trained on, give training rows"
        require(self.sizes(task)[TRAIN] > 0, "split", "the sets of the rows", remedy)

    def sets(self, task: Task) -> tuple[int, ...]:
        """The set of each row of a task: 0 train, 1 test, 2 neither."""
        return _sets(self.train, self.test, task)

    def sizes(self, task: Task) -> tuple[int, int]:
        """Number of rows given for training, and of test rows."""
        sets = self.sets(task)
        return sets.count(TRAIN), sets.count(TEST)


@functools.lru_cache(maxsize=64)
def _sets(train: tuple[int, ...], test: tuple[int, ...], task: Task) -> tuple[int, ...]:
    if not train:
        return task.given_sets
    sets = [THIRD if test else TEST] * task.n_rows
    for rows, of in ((train, TRAIN), (test, TEST)):
        for row in rows:
            sets[row] = of
    return tuple(sets)


@dataclasses.dataclass(frozen=True)
class GroupSplit(Split):
    """Whole groups of rows on one side: as many random ones as come nearest to `train_fraction`.

    `split='rows'` and `'columns'` are the groups by the first and the second operand.
    """

    kind: ClassVar[str] = "groups"

    by: str = "group"
    """What the rows of a group have in common: a formula, such as `(x + y) % 3`, as `RowGroups`
    has it."""

    def check(self) -> None:
        read(self.by, "by", ROW_NAMES)

    def check_task(self, task: Task) -> None:
        remedy = f"{task.kind} has rows that are always trained on, give split='random'"
        require(not task.n_always, "split", self.kind, remedy)


def _brief(rows: Any) -> str:
    shown = [str(row) for row in rows[:5]]
    return ", ".join([*shown, "…"] if len(rows) > len(shown) else shown) or "none"
