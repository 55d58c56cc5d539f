"""Tables of binary operations on integers modulo p."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, get_args

from grokjax.config.fields import require
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
    """Refuse what is no seed."""
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
    """The operation on x, y. The conditional ones look at the parity of y."""
    p: int = 97
    """The modulus; prime where the operation divides."""
    format: Format = "a b ="
    """The tokens of a row."""
    table_seed: int = 0
    """Which random table; only `op='random'` looks at it."""
    halve: bool = False
    """Leave the rows with a > b out, which a commutative operation gives away for free."""

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
    def operands(self) -> tuple[int, int] | None:
        """Values of a and of b, unless half of the pairs are missing."""
        return None if self.halve else (self.p, self.p - (self.op == "div"))
