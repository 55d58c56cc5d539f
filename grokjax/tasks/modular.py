"""Binary operations modulo p, as in Power et al. 2022, appendix A.1.1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grokjax.config.modular import ModularArithmetic
from grokjax.tasks.dataset import Dataset, make_dataset
from grokjax.tasks.written import written

Formula = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def divide(x: np.ndarray, y: np.ndarray, p: int) -> np.ndarray:
    """Quotients x · y⁻¹ for a prime p, with 0⁻¹ taken as 0; callers leave y = 0 out."""
    inverse = np.array([0] + [pow(value, -1, p) for value in range(1, p)])
    return x * inverse[y]


def parity(odd: Formula, even: Formula) -> Formula:
    """One operation where y is odd, another where it is even."""

    def choose(x: np.ndarray, y: np.ndarray, p: int) -> np.ndarray:
        return np.where(y % 2 == 1, odd(x, y, p), even(x, y, p))

    return choose


FORMULAS: dict[str, Formula] = {
    "add": lambda x, y, p: x + y,
    "sub": lambda x, y, p: x - y,
    "mul": lambda x, y, p: x * y,
    "div": divide,
    "x2+y2": lambda x, y, p: x**2 + y**2,
    "x2+xy+y2": lambda x, y, p: x**2 + x * y + y**2,
    "x2+xy+y2+x": lambda x, y, p: x**2 + x * y + y**2 + x,
    "x3+xy": lambda x, y, p: x**3 + x * y,
    "x3+xy2+y": lambda x, y, p: x**3 + x * y**2 + y,
}
FORMULAS["div_odd_sub_even"] = parity(odd=divide, even=FORMULAS["sub"])
FORMULAS["add_even_sub_odd"] = parity(odd=FORMULAS["sub"], even=FORMULAS["add"])
FORMULAS["add_even_mul_odd"] = parity(odd=FORMULAS["mul"], even=FORMULAS["add"])


def evaluate(task: ModularArithmetic, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The results of a task's operation, in 0 … p-1.

    The random operation is a table of independent uniform results: there is nothing to generalise
    to, so its test accuracy is a control.

    Args:
      task: names operation and modulus.
      x: first operands [N].
      y: second operands [N].
    """
    if task.op == "random":
        return np.random.default_rng(task.table_seed).integers(task.p, size=(task.p, task.p))[x, y]
    return FORMULAS[task.op](x, y, task.p) % task.p


def binary_table(
    a: np.ndarray, b: np.ndarray, targets: np.ndarray, size: int, text: str, *, full: bool
) -> Dataset:
    """The rows of an operation on two of `size` elements, written out in the format `text`.

    Args:
      a: first operands [N], in 0 … size-1.
      b: second operands [N], in 0 … size-1.
      targets: results [N], in 0 … size-1.
      size: number of elements; the tokens "=" and "op" come after those.
      text: tokens of a row, in order.
      full: whether every pair of operands has its row, as splits by rows and columns need.
    """
    return written(np.stack([a, b], axis=1), targets, size, text, full=full)


@make_dataset.register
def modular_arithmetic(task: ModularArithmetic) -> Dataset:
    """The table of an operation modulo p, rows in the order of x and then of y."""
    x, y = np.divmod(np.arange(task.p**2), task.p)
    if task.op == "div":
        x, y = x[y > 0], y[y > 0]
    if task.halve:
        x, y = x[x <= y], y[x <= y]
    targets = evaluate(task, x, y)
    return binary_table(x, y, targets, task.p, task.format, full=task.operands is not None)
