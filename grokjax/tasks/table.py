"""A task is a finite table of token rows and targets.

Legend: N rows of the table, T positions.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from grokjax.config import ModularArithmetic
from grokjax.tasks import modular


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """The whole task, in a fixed order of rows."""

    tokens: np.ndarray  # [N, T] int32
    targets: np.ndarray  # [N] int32
    vocabulary: int
    """Distinct tokens."""
    n_classes: int

    @property
    def chance(self) -> float:
        """Accuracy of the best constant guess."""
        counts = np.bincount(self.targets, minlength=self.n_classes)
        return float(counts.max() / len(self.targets))


@functools.cache
def build(task: ModularArithmetic) -> Table:
    """The table of a task."""
    x, y = np.divmod(np.arange(task.p**2), task.p)
    if task.op == "div":
        x, y = x[y > 0], y[y > 0]
    equals, operator = np.full_like(x, task.p), np.full_like(x, task.p + 1)
    columns = {"a": x, "b": y, "=": equals, "op": operator}
    words = task.format.split()
    return Table(
        tokens=np.stack([columns[word] for word in words], axis=1).astype(np.int32),
        targets=modular.evaluate(task, x, y).astype(np.int32),
        vocabulary=task.p + ("=" in words) + ("op" in words),
        n_classes=task.p,
    )
