"""The dataset of a task: every row of a finite table, and its target.

Legend: N rows of the table, T positions, F features, A answers of a row.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from grokjax.config.fields import blamed
from grokjax.config.parts import Task


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Every row of a task, in a fixed order."""

    inputs: np.ndarray  # tokens [N, T] int32, or features [N, F] float64
    targets: np.ndarray  # classes [N] or [N, A] int32, or numbers [N] float64
    vocabulary: int
    """Distinct tokens; 0 for features."""
    n_classes: int
    """Outputs of a network: 1 where targets are numbers."""
    answers: tuple[int, ...] | None = None
    """Positions [A] that logits are read from; None: the model decides."""
    operands: np.ndarray | None = None  # [N, 2] int32
    """Values of the two operands, where every pair of them is a row."""
    tolerance: float = 0.0
    """A number further than this from its target is wrong."""

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

    A task from elsewhere says it by its method `dataset`.
    """
    with blamed(task):
        return task.dataset()


@functools.cache
def build(task: Task) -> Dataset:
    """The dataset of a task, made once in a process."""
    return make_dataset(task)
