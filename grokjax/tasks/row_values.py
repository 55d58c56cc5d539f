"""Values of a table's rows by name, and formulas of them: what rows are grouped by.

Legend: N rows, G groups.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grokjax.config import ConfigError
from grokjax.config.formulas import parsed
from grokjax.config.parts import Task
from grokjax.config.synonyms import suggestion
from grokjax.tasks.dataset import Dataset, build

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "max": lambda *values: functools.reduce(np.maximum, values),
    "min": lambda *values: functools.reduce(np.minimum, values),
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def values(dataset: Dataset) -> dict[str, np.ndarray]:
    """Name → a value of every row `[N]`.

    `a` and `b` are the operands, `x0`, `x1`, … what a row holds at each of its places, `target` its
    answer, the last of several; `group` and `set` what a user's table says of its rows.
    """
    found = {f"x{at}": column for at, column in enumerate(dataset.inputs.T)}
    if dataset.operands is not None:
        found |= dict(zip("ab", dataset.operands.T, strict=True))
    found["target"] = dataset.answer.reshape(len(dataset.inputs), -1)[:, -1]
    given = {"group": dataset.groups, "set": dataset.sets}
    return found | {name: column for name, column in given.items() if column is not None}


def evaluate(field: str, text: str, known: Mapping[str, np.ndarray]) -> np.ndarray:
    """The value `[N]` that a formula has for every row.

    Args:
      field: that holds the formula, for the refusal.
      text: of the formula.
      known: name → a value of every row.
    """

    def of(node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            if node.id not in known:
                there = suggestion(node.id, list(known))
                raise ConfigError(f"{field}={text!r}: rows have no {node.id!r} here, {there}")
            return known[node.id]
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)  # as parsed
            return FUNCTIONS[node.func.id](*map(of, node.args))
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](of(node.left), of(node.right))
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](of(node.operand))
        if isinstance(node, ast.Compare):
            return OPERATORS[type(node.ops[0])](of(node.left), of(node.comparators[0]))
        assert isinstance(node, ast.Constant)  # as parsed
        return node.value

    some = next(iter(known.values()))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.broadcast_to(np.asarray(of(parsed(field, text))), some.shape)


@functools.lru_cache(maxsize=64)
def groups(task: Task, by: str) -> np.ndarray:
    """The group of every row `[N]`, numbered 0 … G-1 in the order of their values."""
    found: np.ndarray = np.unique(evaluate("by", by, values(build(task))), return_inverse=True)[1]
    if found.max() == 0:
        raise ConfigError(f"by={by!r}: all rows of {task.kind} are alike in it, name another.")
    return found.reshape(-1)
