"""The instrument of groups of rows: which rows a network gets right, and when."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from grokjax.config import formulas
from grokjax.config.formulas import ROW_NAMES
from grokjax.config.operation import Operations, arity
from grokjax.config.parts import Instrument, Model, Task

__all__ = ["RowGroups"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowGroups(Instrument):
    """Loss and accuracy of each group of rows: of each operation, digit of the answer, coset ….

    Mean loss and share of right rows, over the training rows of a group by the labels that they are
    trained on, and over its test rows: `GROUP.train_loss`, `.train_accuracy`, `.test_loss` and
    `.test_accuracy`, NaN where it has no such row; of a split that is given also `.third_loss` and
    `.third_accuracy`, over rows in neither set. `analysis.row_groups.table` has the t_mem and
    t_grok of every group. Rows are grouped by a formula, or by the method `groups` of a subclass.

    >>> from grokjax import RowGroups
    >>> RowGroups(by="answer % 10")
    RowGroups(by='answer % 10')
    """

    kind: ClassVar[str] = "row_groups"

    by: str = "operation"
    """Formula, as in `Operation`, that gives rows of a group the same number. It may use operands
    (x, y, z or a, b, c, …), p, answer, operation (the number of the operation in `Operations`), and
    group and set, what a `Table` says of its rows (set: 0 train, 1 test, 2 neither). Where a task
    has no operands, x0, x1, … are the tokens of a row."""

    def check(self) -> None:
        formulas.read(self.by, "by", ROW_NAMES)

    def why_not(self, task: Task, model: Model) -> str | None:
        if type(self).groups is not RowGroups.groups:
            return None
        formula = formulas.read(self.by, "by", ROW_NAMES)
        if "operation" in formula.names and not isinstance(task, Operations):
            return f"{task.kind} has one operation only, so say by which formula in by="
        if "answer" in formula.names and task.target_kind != "classes":
            return f"the rows of {task.kind} do not ask for one class"
        if formula.operands and task.encoding != "tokens":
            return f"the rows of {task.kind} have no tokens that by={self.by!r} could be of"
        there = arity(task)
        if there and formula.operands > there:
            return f"by={self.by!r} names operand {formula.operands}, and rows have {there}"
        return None

    def groups(self, dataset: Any) -> Any:
        """Which group every row is in, `[N]` numbers or names; a subclass of your own says it.

        Args:
          dataset: the `grokjax.tasks.Dataset`: its `values` `[N, k]` are the operands.
        """
        return None
