"""Tables of operations of one's own, and of several operations.

Legend: N rows, k operands.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from grokjax.config import ConfigError, Operation, Operations
from grokjax.config.coercion import require
from grokjax.config.fields import blamed
from grokjax.config.formulas import LETTERS
from grokjax.config.operation import OperationTable, arity
from grokjax.config.rows import MOST_TOKENS
from grokjax.tasks.dataset import Dataset, build, make_dataset
from grokjax.tasks.written import written


@make_dataset.register(OperationTable)
@make_dataset.register(Operation)
def operation_table(task: OperationTable) -> Dataset:
    """The rows of a formula or of a user's function, in the order of the operands."""
    rows = task.operand_rows()
    with blamed(task):
        results = np.asarray(task.results(*rows.T.copy()))
    if isinstance(task, Operation):
        classes = _classes_of_formula(task, results)
    else:
        classes = _classes_of_function(task, results, len(rows))
    return written(
        rows,
        results,
        task.p,
        task.text,
        classes=classes,
        separate=task.separate_tokens,
        full=task.operands is not None,
    )


def _classes_of_formula(task: Operation, results: np.ndarray) -> int:
    least, most = int(results.min()), int(results.max())
    remedy = f"results go from {least} to {most}, but classes are counted from 0: end it in % p"
    require(least >= 0, "formula", task.formula, remedy)
    remedy = f"results go up to {most}, and classes are at most {MOST_TOKENS}: end it in % p"
    require(most < MOST_TOKENS, "formula", task.formula, remedy)
    if task.classes is None:
        return max(task.read.modulus(task.p) or most + 1, 2)
    remedy = f"the largest result of {task.formula} is {most}, give {most + 1} or more"
    require(task.classes > most, "classes", task.classes, remedy)
    return task.classes


def _classes_of_function(task: OperationTable, results: np.ndarray, n_rows: int) -> int:
    """Refuse what is no class for each row."""
    classes = task.p if task.classes is None else task.classes
    wrong = results.shape != (n_rows,) or results.dtype.kind not in "iub"
    if wrong or not ((results >= 0) & (results < classes)).all():
        told = f"{results.dtype} {list(results.shape)}"
        told += "" if wrong else f" from {results.min()} to {results.max()}"
        rows = "pairs" if task.n_operands == 2 else "rows"
        most = f"p - 1 = {task.p - 1}" if task.classes is None else f"classes - 1 = {classes - 1}"
        raise ConfigError(
            f"task={task.kind!r}: for {n_rows} {rows} it gives {told}, return one whole number "
            f"from 0 to {most} for each."
        )
    return classes


@make_dataset.register
def operations(task: Operations) -> Dataset:
    """The rows of several operations, one after another."""
    tables = [build(_bare(one)) for one in task.operations]
    return written(
        np.concatenate([table.inputs for table in tables]),
        np.concatenate([table.targets for table in tables]),
        max(table.vocabulary for table in tables),
        task.text,
        classes=max(table.n_classes for table in tables),
        separate=task.separate_tokens,
        operation=np.repeat(np.arange(len(tables)), [len(table.inputs) for table in tables]),
    )


def _bare(task: Any) -> Any:
    """The operation with rows that are its operands."""
    return dataclasses.replace(task, format=" ".join(LETTERS[: arity(task)]))
