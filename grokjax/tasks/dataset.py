"""The dataset of a task: every row of a finite table, and its target.

Legend: N rows of the table, T positions, I features, A answers of a row, K numbers of a target.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from grokjax.config.fields import blamed
from grokjax.config.parts import RowError, Task


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
    targets: np.ndarray  # classes [N] or [N, A] int32, or numbers [N] or [N, K] float64
    vocabulary: int
    """Number of different tokens; 0 where inputs are features."""
    n_classes: int
    """Number of outputs of a network: one for each class, or for each of K numbers of a row."""
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
    row_error: RowError = "largest"
    """What of a row's distances is compared with the tolerance."""
    scored: tuple[int, ...] | None = None
    """Which of a row's targets [A] accuracies are by; None: all of them."""
    sets: np.ndarray | None = None  # [N] int32
    """The set that the table gives for each row: 0 train, 1 test, 2 neither."""
    groups: np.ndarray | None = None  # [N] int32
    """Which rows of a user's table belong together."""

    @property
    def answer(self) -> np.ndarray:
        """What accuracies are by, `[N]` or `[N, A]`: all targets, or the scored ones."""
        return self.targets if self.scored is None else self.targets[:, self.scored]

    @property
    def real(self) -> bool:
        """Whether targets are numbers."""
        return self.targets.dtype.kind == "f"

    @property
    def chance(self) -> float:
        """Accuracy of the best constant guess."""
        if self.real and self.targets.ndim > 1:
            return _chance_of_vectors(self)
        if self.real:
            # The fullest window of two tolerances that begins at a target.
            largest = self.tolerance if self.row_error == "largest" else self.tolerance**0.5
            targets = np.sort(self.targets)
            ends = np.searchsorted(targets, targets + 2 * largest, side="right")
            return float((ends - np.arange(len(targets))).max() / len(targets))
        _, counts = np.unique(self.answer, axis=0, return_counts=True)
        return float(counts.max() / len(self.targets))


def _chance_of_vectors(dataset: Dataset) -> float:
    """The best of the guesses that are a target, or the mean: no formula is known for all others.

    Of more than a thousand targets as many are tried, evenly spaced.
    """
    targets = dataset.targets
    guesses = targets[np.linspace(0, len(targets) - 1, min(1000, len(targets))).astype(int)]
    shares = [
        np.mean(row_errors(targets - guess, dataset.row_error) <= dataset.tolerance)
        for guess in (targets.mean(axis=0), *guesses)
    ]
    return float(max(shares))


def row_errors(distances: np.ndarray, row_error: RowError) -> np.ndarray:
    """The error `[N]` of each row of distances from its targets `[N, K]`."""
    if row_error == "largest":
        return np.abs(distances).max(axis=1)
    return np.square(distances).mean(axis=1)


def on_all_positions(dataset: Dataset) -> Dataset:
    """The same rows, every token being a target at the position before it.

    Rows `[N, T]` have T targets then: their tokens from the second on, and the last answer. Classes
    are the tokens of the same number.
    """
    inputs, width = dataset.inputs, dataset.inputs.shape[1]
    answers = dataset.answers or (width - 1,)
    last = dataset.targets.reshape(len(inputs), -1)[:, -1:]
    classes = max(dataset.vocabulary, dataset.n_classes)
    return dataclasses.replace(
        dataset,
        targets=np.concatenate([inputs[:, 1:], last], axis=1).astype(np.int32),
        vocabulary=classes,
        n_classes=classes,
        answers=tuple(range(width)),
        scored=answers,
    )


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
    dataset = make_dataset(task)
    return dataset if task.loss_on == "answer" else on_all_positions(dataset)
