"""The configuration of tables of binary operations on integers modulo p.

>>> from grokjax import ModularArithmetic, tasks
>>> table = tasks.build(ModularArithmetic("sub", p=5))
>>> table.inputs[7].tolist(), int(table.targets[7])  # 1 - 2 = 4 modulo 5; the token 5 is "="
([1, 2, 5], 4)
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, get_args

from grokjax.config.coercion import require
from grokjax.config.parts import Task

__all__ = ["OPERATIONS", "ModularArithmetic"]

Operation = Literal[
    "add",
    "sub",
    "mul",
    "div",
    "x2+y2",
    "x2+xy+y2",
    "x2+xy+y2+x",
    "x3+xy",
    "x3+xy2+y",
    "div_odd_sub_even",
    "add_even_sub_odd",
    "add_even_mul_odd",
    "random",
]
OPERATIONS: tuple[str, ...] = get_args(Operation)
DIVIDING = ("div", "div_odd_sub_even")
COMMUTATIVE = ("add", "mul", "x2+y2", "x2+xy+y2")

Format = Literal["a b", "a b =", "a op b ="]


def check_table_seed(seed: int) -> None:
    """Refuse a seed that NumPy's generators do not take."""
    remedy = "give a seed between 0 and 2**32 - 1"
    require(0 <= seed < 2**32, "table_seed", seed, remedy)


def is_prime(n: int) -> bool:
    """Whether n is prime, by trial division: p stays small enough for a full table."""
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


@dataclasses.dataclass(frozen=True)
class ModularArithmetic(Task):
    """The table of a binary operation on integers modulo p (Power et al. 2022, appendix A.1.1)."""

    kind: ClassVar[str] = "modular_arithmetic"

    op: Operation = "add"
    """The operation on the operands a and b, which names of formulas call x and y. Conditional
    ones, such as div_odd_sub_even, choose by whether y is odd; random is a table of independent
    random results, a control with nothing to generalise to."""
    p: int = 97
    """Modulus: operands and results are 0 … p − 1. It must be prime where the operation divides."""
    format: Format = "a b ="
    """Tokens of a row, in order; "op" and "=" are tokens of their own."""
    table_seed: int = 0
    """Seed of the table of op='random'; other operations have no use for it."""
    halve: bool = False
    """Whether to leave out the rows with a > b, whose answers a commutative operation gives away
    where the row with the operands exchanged is in the training set."""

    def __post_init__(self) -> None:
        known = not isinstance(self.op, str) or self.op in OPERATIONS
        remedy = f"choose from {', '.join(OPERATIONS)}, or write your own with own.operation"
        require(known, "op", self.op, remedy)
        super().__post_init__()

    def check(self) -> None:
        require(2 <= self.p <= 1000, "p", self.p, "the modulus must lie between 2 and 1000")
        if self.op in DIVIDING:
            remedy = f"{self.op!r} divides and so needs a prime modulus"
            require(is_prime(self.p), "p", self.p, remedy)
        check_table_seed(self.table_seed)
        remedy = f"a and b may not change places in {self.op!r}, so keep both halves"
        require(not self.halve or self.op in COMMUTATIVE, "halve", self.halve, remedy)

    @property
    def n_rows(self) -> int:
        """Rows of the table; plain division has none with y = 0."""
        if self.halve:
            return self.p * (self.p + 1) // 2
        return self.p * (self.p - (self.op == "div"))

    @property
    def group_table(self) -> Literal["cyclic"] | None:
        """Sums and differences modulo p; products and quotients but for 0, where p is prime."""
        if self.halve:
            return None
        if self.op in ("add", "sub"):
            return "cyclic"
        return "cyclic" if self.op in ("mul", "div") and is_prime(self.p) and self.p > 2 else None

    @property
    def operands(self) -> tuple[int, int] | None:
        """How many values a and b take; None where half of the pairs are missing."""
        return None if self.halve else (self.p, self.p - (self.op == "div"))
