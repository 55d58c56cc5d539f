"""Tables of binary operations: on integers modulo p, and in finite groups."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import ClassVar, Literal, get_args

from grokjax.config.fields import ConfigError, require
from grokjax.config.parts import Task

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

LARGEST_GROUP = 720
"""The order of S6, whose table has 518,400 rows; that of S7 would have 25,401,600."""


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


def group_factors(name: str) -> tuple[tuple[str, int], ...]:
    """`"C2xS3"` → `(("C", 2), ("S", 3))`, strictly."""
    return tuple(_factor(name, word) for word in name.split("x"))


def _factor(name: str, word: str) -> tuple[str, int]:
    found = re.fullmatch(r"([CDSA])([1-9][0-9]*)", word, re.ASCII)
    # A longer number is too large for every family, and would be slow to take a factorial of.
    family, n = (found[1], int(found[2][:4])) if found else ("", 0)
    if n < {"C": 2, "D": 3, "S": 3, "A": 4}.get(family, 1):
        raise ConfigError(
            f"group={name!r}: {word!r} is no group, write C2, D3, S3, A4 or higher, "
            "or a product such as 'C2xS3'."
        )
    return family, n


def group_order(name: str) -> int:
    """Elements: n of C_n, 2n of D_n, n! of S_n, n!/2 of A_n, and of a product the product."""
    orders = {
        "C": lambda n: n,
        "D": lambda n: 2 * n,
        "S": math.factorial,
        "A": lambda n: math.factorial(n) // 2,
    }
    return math.prod(orders[family](n) for family, n in group_factors(name))


@dataclasses.dataclass(frozen=True)
class Group(Task):
    """The multiplication table of a finite group (Power et al. 2022, appendix A.1.1, for S5).

    Elements are permutations, and products of groups act on disjoint points. They compose as
    maps, `(ab)(x) = a(b(x))`, and are numbered in lexicographic order, so the identity is 0.
    """

    kind: ClassVar[str] = "group"

    group: str = "S5"
    """C_n is cyclic, D_n dihedral of order 2n, S_n symmetric, A_n alternating; `C2xC2xS3` is a
    direct product."""
    product: Literal["ab", "ab^-1", "aba^-1", "aba"] = "ab"
    """What is asked for a and b."""
    format: Format = "a b ="
    """The tokens of a row."""

    def check(self) -> None:
        remedy = f"its table is too large, choose a group of at most {LARGEST_GROUP} elements"
        require(self.order <= LARGEST_GROUP, "group", self.group, remedy)

    @property
    def order(self) -> int:
        """Elements of the group."""
        return group_order(self.group)

    @property
    def n_rows(self) -> int:
        """Rows of the table, one for each pair of elements."""
        return self.order**2

    @property
    def operands(self) -> tuple[int, int]:
        """Values of a and of b."""
        return self.order, self.order
