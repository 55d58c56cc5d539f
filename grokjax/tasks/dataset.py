"""The dataset of a task: every row of a finite table, and its target.

Legend: N rows of the table, T positions, I features, A answers of a row.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from grokjax.config.fields import blamed
from grokjax.config.parts import Task


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Every row of a task, in a fixed order.

    >>> from grokjax import ModularArithmetic, tasks
    >>> table = tasks.build(ModularArithmetic("add", p=3, format="a b"))
    >>> table.inputs[:4].tolist(), table.targets[:4].tolist()
    ([[0, 0], [0, 1], [0, 2], [1, 0]], [0, 1, 2, 1])
    >>> table.vocabulary, table.n_classes, round(table.chance, 2)
    (3, 3, 0.33)
    """

    inputs: np.ndarray  # tokens [N, T] int32, or features [N, I] float64
    targets: np.ndarray  # classes [N] or [N, A] int32, or numbers [N] float64
    vocabulary: int
    """Number of different tokens; 0 where inputs are features."""
    n_classes: int
    """Number of outputs of a network: one for each class, or 1 where targets are numbers."""
    answers: tuple[int, ...] | None = None
    """Positions [A] at which the answers of a row are read; None: the model's `readout` says."""
    operands: np.ndarray | None = None  # [N, 2] int32
    """The two operands of each row, where every pair of values is a row; else None."""
    values: np.ndarray | None = None  # [N, k] int32
    """The operands of each row as numbers; None where rows are no operations on operands."""
    operation: np.ndarray | None = None  # [N] int32
    """Which of several operations a row is of; None where there is but one."""
    tolerance: float = 0.0
    """Largest distance from a target that is a number at which a prediction is right."""

    @property
    def real(self) -> bool:
        """Whether targets are numbers."""
        return self.targets.dtype.kind == "f"

    @property
    def chance(self) -> float:
        """Accuracy of the best constant guess."""
        if self.real:
            # The fullest window of two tolerances that begins at a target.
            targets = np.sort(self.targets)
            ends = np.searchsorted(targets, targets + 2 * self.tolerance, side="right")
            return float((ends - np.arange(len(targets))).max() / len(targets))
        _, counts = np.unique(self.targets, axis=0, return_counts=True)
        return float(counts.max() / len(self.targets))


@functools.singledispatch
def make_dataset(task: Task) -> Dataset:
    """The dataset of a task, made anew: each file of this package registers its own tasks.

    A user's task is asked through its method `dataset`.
    """
    with blamed(task):
        return task.dataset()


@functools.cache
def build(task: Task) -> Dataset:
    """The dataset of a task, made once in a process."""
    return make_dataset(task)
