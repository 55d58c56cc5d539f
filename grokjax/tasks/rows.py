"""A user's own rows.

Legend: N rows, T positions or features, A answers of a row, K numbers of a target.
"""

from __future__ import annotations

import numpy as np

from grokjax.config.rows import Numbers, Table
from grokjax.tasks.dataset import Dataset, make_dataset


@make_dataset.register
def table(task: Table) -> Dataset:
    """The rows as arrays; as many tokens and classes as the largest makes necessary.

    The answers of a row but the last stand behind its tokens, and are read one position earlier.
    """
    tokens, classes, width = task.inputs.whole, task.targets.whole, task.targets.width
    inputs = np.array(task.inputs, np.int32 if tokens else np.float64)
    targets = np.array(task.targets, np.int32 if classes else np.float64)
    vocabulary, n_classes, answers = 0, max(1, width), None
    if tokens:
        vocabulary = max(len(task.vocabulary), int(task.inputs.largest) + 1)
    if classes:
        n_classes = max(len(task.class_names), int(task.targets.largest) + 1)
    if classes and width:
        first = inputs.shape[1] - 1
        inputs = np.concatenate([inputs, targets[:, :-1]], axis=1)
        vocabulary, answers = max(vocabulary, n_classes), tuple(range(first, first + width))
    return Dataset(
        inputs=inputs,
        targets=targets,
        vocabulary=vocabulary,
        n_classes=n_classes,
        answers=answers,
        tolerance=0.0 if classes else task.tolerance,
        row_error=task.row_error,
        sets=_numbers(task.sets),
        groups=_numbers(task.groups),
    )


def _numbers(given: Numbers) -> np.ndarray | None:
    """Numbers of rows `[N]` as an array; None where none are given."""
    return np.array(given, np.int32) if given else None
