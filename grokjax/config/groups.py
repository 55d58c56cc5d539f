"""Multiplication tables of finite groups."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import ClassVar, Literal

from grokjax.config.fields import ConfigError, require
from grokjax.config.modular import Format
from grokjax.config.parts import Task

__all__ = ["FiniteGroup"]

LARGEST_GROUP = 720
"""The order of S6, whose table has 518,400 rows; that of S7 would have 25,401,600."""


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
class FiniteGroup(Task):
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
