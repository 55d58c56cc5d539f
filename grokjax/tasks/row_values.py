"""Values of a table's rows by name, and the groups that a formula of them makes.

Legend: N rows, k operands, G groups.
"""

from __future__ import annotations

import functools

import numpy as np

from grokjax.config import ConfigError, formulas
from grokjax.config.parts import Task
from grokjax.config.splits import NAMES
from grokjax.tasks.dataset import build


def evaluate(field: str, text: str, task: Task) -> np.ndarray:
    """The value `[N]` that a formula has for every row of a task.

    Args:
      field: that holds the formula, for the refusal.
      text: of the formula; `config.splits.NAMES` are the names that are no operands.
      task: of the rows. Where it has no operands, those of a row are its tokens.
    """
    dataset = build(task)
    found = {"answer": dataset.answer, "group": dataset.groups, "set": dataset.sets}
    known = {name: column for name, column in found.items() if column is not None}
    if dataset.answer.ndim > 1 or dataset.real:  # several numbers, or none to reckon with
        del known["answer"]
    if (p := getattr(task, "p", None)) is not None:
        known["p"] = p
    operands = dataset.inputs if dataset.operands is None else dataset.operands
    if not dataset.vocabulary:
        operands = np.zeros((len(dataset.inputs), 0), np.int64)
    return formulas.read(text, field, NAMES).values(known, operands)


@functools.lru_cache(maxsize=64)
def groups(task: Task, by: str) -> np.ndarray:
    """The group of every row `[N]`, numbered 0 … G-1 in the order of their values."""
    found: np.ndarray = np.unique(evaluate("by", by, task), return_inverse=True)[1]
    if found.max() == 0:
        raise ConfigError(f"by={by!r}: all rows of {task.kind} are alike in it, name another.")
    return found.reshape(-1)
