"""The configuration of multiplication tables of finite groups.

>>> from grokjax import FiniteGroup
>>> task = FiniteGroup("C2xS3")
>>> task.order, task.n_rows
(12, 144)
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import ClassVar, Literal

from grokjax.config.coercion import ConfigError, require
from grokjax.config.parts import Task
from grokjax.config.tokens import check_format

__all__ = ["FiniteGroup"]

LARGEST_GROUP = 720
"""The order of S6, whose table has 518,400 rows; that of S7 would have 25,401,600."""


def group_factors(name: str) -> tuple[tuple[str, int], ...]:
    """Families and numbers of a direct product: `"C2xS3"` → `(("C", 2), ("S", 3))`."""
    return tuple(_factor(name, word) for word in name.split("x"))


def _factor(name: str, word: str) -> tuple[str, int]:
    match = re.fullmatch(r"([CDSA])([1-9][0-9]*)", word, re.ASCII)
    # A longer number is too large for every family, and would be slow to take a factorial of.
    family, n = (match[1], int(match[2][:4])) if match else ("", 0)
    if n < {"C": 2, "D": 3, "S": 3, "A": 4}.get(family, 1):
        raise ConfigError(
            f"group={name!r}: {word!r} is no group, write C2, D3, S3, A4 or higher, "
            "or a product such as 'C2xS3'."
        )
    return family, n


def group_order(name: str) -> int:
    """Number of elements: n for Cn, 2n for Dn, n! for Sn, n!/2 for An; factors multiply."""
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
    """Name of the group: Cn is cyclic, Dn dihedral of order 2n, Sn symmetric, An alternating, and
    `C2xC2xS3` a direct product."""
    product: Literal["ab", "ab^-1", "aba^-1", "aba"] = "ab"
    """The product of the elements a and b that is the answer of their row."""
    format: str = "a b ="
    """Tokens of a row, in order, with spaces between them: the operands a and b, and words that are
    tokens of their own, as in `a b`, `op a b =` or `BOS a op b =`."""

    def check(self) -> None:
        remedy = f"its table is too large, choose a group of at most {LARGEST_GROUP} elements"
        require(self.order <= LARGEST_GROUP, "group", self.group, remedy)
        check_format(self.format, 2)

    @property
    def order(self) -> int:
        """Elements of the group."""
        return group_order(self.group)

    @property
    def n_rows(self) -> int:
        """Rows of the table, one for each pair of elements."""
        return self.order**2

    @property
    def group_table(self) -> Literal["cyclic", "group"] | None:
        if self.product not in ("ab", "ab^-1"):
            return None
        factors = group_factors(self.group)
        return "cyclic" if len(factors) == 1 and factors[0][0] == "C" else "group"

    @property
    def operands(self) -> tuple[int, int]:
        """How many values a and b take."""
        return self.order, self.order
