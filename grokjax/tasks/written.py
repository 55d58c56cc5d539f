"""Rows of operations, written out as tokens.

Legend: N rows, k operands, T positions.
"""

from __future__ import annotations

import numpy as np

from grokjax.config.formulas import LETTERS
from grokjax.config.tokens import token_words
from grokjax.tasks.dataset import Dataset


def written(
    operands: np.ndarray,
    targets: np.ndarray,
    size: int,
    text: str,
    *,
    classes: int | None = None,
    separate: bool = False,
    operation: np.ndarray | None = None,
    full: bool = False,
) -> Dataset:
    """The rows of one or several operations on numbers, in the format `text`.

    Args:
      operands: numbers [N, k], in 0 … size-1.
      targets: results [N].
      size: how many numbers there are; words that are tokens come after them.
      text: tokens of a row, in order.
      classes: number of classes; None: one for each number.
      separate: whether each operand has tokens of its own.
      operation: which of several operations a row is of [N]; each has a token for `op`.
      full: whether every pair of operands has its row, as splits by rows and columns need.
    """
    k = operands.shape[1]
    columns: dict[str, np.ndarray] = {}
    for at, letter in enumerate(LETTERS[:k]):
        columns[letter] = operands[:, at] + (at * size if separate else 0)
    following = size * (k if separate else 1)
    for word in token_words(text):
        which = np.zeros(len(operands), np.int64)
        if word == "op" and operation is not None:
            which = operation
        columns[word] = following + which
        following += int(which.max()) + 1
    return Dataset(
        inputs=np.stack([columns[word] for word in text.split()], axis=1).astype(np.int32),
        targets=targets.astype(np.int32),
        vocabulary=following,
        n_classes=size if classes is None else classes,
        operands=operands.astype(np.int32) if full else None,
        values=operands.astype(np.int32),
        operation=None if operation is None else operation.astype(np.int32),
    )
