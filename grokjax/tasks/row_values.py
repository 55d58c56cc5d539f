"""What a formula says of a table's rows: what they are grouped by.

Legend: N rows, G groups.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from grokjax.config import ConfigError, formulas
from grokjax.config.formulas import ROW_NAMES
from grokjax.config.parts import Task
from grokjax.tasks.dataset import build


def values(field: str, text: str, task: Task) -> np.ndarray:
    """The value `[N]` that a formula has for every row.

    Args:
      field: that holds the formula, for a refusal.
      text: of the formula. Operands are those of the task, or the tokens of a row where it has
        none; of several answers of a row, `answer` is the last.
      task: whose rows.

    Raises:
      ConfigError: rows have no such thing.
    """
    dataset, known = build(task), dict[str, Any]()
    if not dataset.real:
        known["answer"] = dataset.answer.reshape(len(dataset.inputs), -1)[:, -1]
    given = {
        "p": getattr(task, "p", None),
        "operation": dataset.operation,
        "group": dataset.groups,
        "set": dataset.sets,
    }
    known |= {name: value for name, value in given.items() if value is not None}
    formula = formulas.read(text, field, ROW_NAMES)
    for name in sorted(formula.names - set(known)):
        there = ", ".join(sorted(known)) or "none"
        raise ConfigError(
            f"{field}={text!r}: the rows of {task.kind} have no {name}, name another ({there})."
        )
    operands = dataset.inputs if dataset.values is None else dataset.values
    if not dataset.vocabulary:  # features are no numbers to reckon with
        operands = np.zeros((len(dataset.targets), 0), np.int64)
    if formula.operands > operands.shape[1]:
        raise ConfigError(
            f"{field}={text!r}: it names operand {formula.operands}, and the rows of {task.kind} "
            f"have {operands.shape[1]}."
        )
    return formula.values(known, operands)


@functools.lru_cache(maxsize=64)
def groups(task: Task, by: str) -> np.ndarray:
    """The group of every row `[N]`, numbered 0 … G-1 in the order of their values."""
    found: np.ndarray = np.unique(values("by", by, task), return_inverse=True)[1]
    if found.max() == 0:
        raise ConfigError(f"by={by!r}: all rows of {task.kind} are alike in it, name another.")
    return found.reshape(-1)
