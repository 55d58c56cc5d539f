"""The configuration of tables of binary operations on integers modulo p.

>>> from grokjax import ModularArithmetic, tasks
>>> table = tasks.build(ModularArithmetic("sub", p=5))
>>> table.inputs[7].tolist(), int(table.targets[7])  # 1 - 2 = 4 modulo 5; the token 5 is "="
([1, 2, 5], 4)
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, NoReturn, get_args

from grokjax.config.coercion import ConfigError, require
from grokjax.config.parts import Task
from grokjax.config.tokens import check_format

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


def check_table_seed(seed: int) -> None:
    """Refuse a seed that NumPy's generators do not take."""
    remedy = "give a seed between 0 and 2**32 - 1"
    require(0 <= seed < 2**32, "table_seed", seed, remedy)


def is_prime(n: int) -> bool:
    """Whether n is prime, by trial division: p stays small enough for a full table."""
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


def _refuse(op: object) -> NoReturn:
    """Say how an operation is written that is none of those here."""
    from grokjax.config.operation import formula_of

    if callable(op):
        name = getattr(op, "__name__", "f")
        raise ConfigError(f"op={name}: for a function write task=own.operation({name})(p=…).")
    formula = formula_of(op) if isinstance(op, str) else None
    remedy = f"it is no name here, but a formula: write task=Operation({formula!r}, p=…)"
    if formula is None:
        remedy = f"choose from {', '.join(OPERATIONS)}, or write a formula, Operation('x**y % p')"
    raise ConfigError(f"op={op!r}: {remedy}.")


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
    format: str = "a b ="
    """Tokens of a row, in order, with spaces between them: the operands a and b, and words that are
    tokens of their own, as in `a b`, `op a b =` or `BOS a op b =`."""
    table_seed: int = 0
    """Seed of the table of op='random'; other operations have no use for it."""
    halve: bool = False
    """Whether to leave out the rows with a > b, whose answers a commutative operation gives away
    where the row with the operands exchanged is in the training set."""

    def __post_init__(self) -> None:
        if not isinstance(self.op, str) or self.op not in OPERATIONS:
            _refuse(self.op)
        super().__post_init__()

    def check(self) -> None:
        require(2 <= self.p <= 1000, "p", self.p, "the modulus must lie between 2 and 1000")
        if self.op in DIVIDING:
            remedy = f"{self.op!r} divides and so needs a prime modulus"
            require(is_prime(self.p), "p", self.p, remedy)
        check_table_seed(self.table_seed)
        check_format(self.format, 2)
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
