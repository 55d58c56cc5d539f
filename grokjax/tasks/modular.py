"""Binary operations modulo p, as in Power et al. 2022, appendix A.1.1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grokjax.config import ModularArithmetic

Operation = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def divide(x: np.ndarray, y: np.ndarray, p: int) -> np.ndarray:
    """Quotients x · y⁻¹ for a prime p, with 0⁻¹ taken as 0; callers leave y = 0 out."""
    inverse = np.array([0] + [pow(value, -1, p) for value in range(1, p)])
    return x * inverse[y]


def parity(odd: Operation, even: Operation) -> Operation:
    """One operation where y is odd, another where it is even."""

    def choose(x: np.ndarray, y: np.ndarray, p: int) -> np.ndarray:
        return np.where(y % 2 == 1, odd(x, y, p), even(x, y, p))

    return choose


FORMULAS: dict[str, Operation] = {
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
    """The results for operands x, y `[N]`, in 0 … p-1.

    The random operation is a table of independent uniform results: nothing to
    generalise to, so its test accuracy is a control.
    """
    if task.op == "random":
        return np.random.default_rng(task.table_seed).integers(task.p, size=(task.p, task.p))[x, y]
    return FORMULAS[task.op](x, y, task.p) % task.p
