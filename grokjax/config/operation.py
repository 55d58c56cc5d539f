"""Operations of one's own: a formula in text, a function, or several operations in one table."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grokjax.config import formulas
from grokjax.config.checks import MOST_ROWS
from grokjax.config.coercion import ConfigError, require
from grokjax.config.formulas import Formula
from grokjax.config.groups import FiniteGroup
from grokjax.config.modular import ModularArithmetic, is_prime
from grokjax.config.parts import Task
from grokjax.config.tokens import check_format, default_format

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Operation", "Operations"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationTable(Task):
    """The table of an operation on k operands of p values each; rows in the order of the operands.

    `Operation` has it from a formula, and `own.operation` makes one of a function.
    """

    p: int = 97
    """Number of values that an operand has: 0 … p − 1. Formulas call it p."""
    format: str | None = None
    """Tokens of a row, in order, with spaces between them. The operands are called a, b, c and so
    on; any other word, such as op, =, BOS or EOS, is a token of its own. None: the operands and
    the sign =."""
    separate_tokens: bool = False
    """Whether each operand has tokens of its own: value v of operand i is the token i·p + v."""
    where: str = ""
    """Formula of the rows to keep, such as `"y >= 1"` or `"x <= y"`; empty: all."""
    classes: int | None = None
    """Number of classes, at least one more than the largest result. None: as many as the operation
    says."""

    @property
    def n_operands(self) -> int:
        """Number k of operands."""
        return 2

    @property
    def text(self) -> str:
        """The tokens of a row."""
        return self.format or default_format(self.n_operands)

    def derived(self) -> dict[str, Any]:
        return {"format": default_format(self.n_operands)}

    def check(self) -> None:
        require(2 <= self.p <= 1000, "p", self.p, "give 2 to 1000 values")
        k = self.n_operands
        remedy = f"{self.p}**{k} = {self.p**k} rows are more than {MOST_ROWS}, choose a smaller p"
        require(self.p**k <= MOST_ROWS, "p", self.p, remedy)
        check_format(self.text, k)
        if self.where:
            named = formulas.read(self.where, "where").operands
            remedy = f"it names operand {named}, and there are {k}"
            require(named <= k, "where", self.where, remedy)
        classes = self.classes
        require(classes is None or classes >= 2, "classes", classes, "give 2 classes or more")

    def operand_rows(self) -> np.ndarray:
        """The operands `[N, k]` int64 of every row."""
        return operand_rows(self.p, self.n_operands, self.where)

    @property
    def n_rows(self) -> int:
        return len(self.operand_rows()) if self.where else self.p**self.n_operands

    @property
    def operands(self) -> tuple[int, int] | None:
        if self.n_operands != 2:
            return None
        return _full(self.p, self.where) if self.where else (self.p, self.p)

    def results(self, *operands: Any) -> Any:
        """The results `[N]` of operands `[N]`."""
        raise NotImplementedError(f"{type(self).__name__} has no method `results`")


@functools.lru_cache(maxsize=4)
def operand_rows(p: int, k: int, where: str) -> np.ndarray:
    """All k-tuples `[N, k]` of 0 … p − 1 in ascending order that a formula keeps.

    Raises:
      ConfigError: it keeps fewer than two.
    """
    import numpy as np

    rows = np.stack(np.unravel_index(np.arange(p**k), (p,) * k), axis=1)
    if where:
        kept = formulas.read(where, "where").values({"p": p}, rows) != 0
        remedy = f"it keeps {kept.sum()} of {len(rows)} rows, keep 2 or more"
        require(kept.sum() >= 2, "where", where, remedy)
        rows = rows[kept]
    rows.flags.writeable = False
    return rows


@functools.lru_cache(maxsize=64)
def _full(p: int, where: str) -> tuple[int, int] | None:
    """How many values two operands take where every pair of them is kept."""
    rows = operand_rows(p, 2, where)
    first, second = (len(set(column.tolist())) for column in rows.T)
    return (first, second) if first * second == len(rows) else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operation(OperationTable):
    """The table of an operation that a formula says, on k operands of p values.

    Results are those of the formula as it stands: `(x + y) % p` has p classes, and `x + y`, an
    addition without a modulus, 2p − 1. A formula is whole numbers, operands, p, `+ - * **`, `//`,
    `%`, comparisons, `and`, `or`, `not`, `A if B else C`, and abs, gcd, max, min and
    add_digits(x, y, base), which adds digit by digit without a carry. `x / y % p` divides modulo p.
    The named operations of Power et al. 2022 are those of `ModularArithmetic`. For a function,
    `Operation(f, p=97)` is `own.operation(f)(p=97)`.

    >>> from grokjax import Operation, tasks
    >>> table = tasks.build(Operation("x*y % p", p=5, where="y >= 1", format="a op b ="))
    >>> table.inputs[9].tolist(), int(table.targets[9])  # 2 · 2; the token 5 is "=", and 6 is "op"
    ([2, 6, 2, 5], 4)
    >>> [tasks.build(Operation(f, p=5)).n_classes for f in ("x + y", "gcd(x, y)", "x**y % p")]
    [9, 5, 5]
    """

    kind: ClassVar[str] = "operation"

    formula: str = dataclasses.field(default="(x + y) % p", kw_only=False)
    """The result of operands x, y, z (or a, b, c, …, or x0, x1, …); p is their number of values."""
    arity: int | None = None
    """Number k of operands; None: as many as the formula names, at least two."""

    def __new__(cls, formula: Any = "", **fields: Any) -> Any:
        if not callable(formula):
            return super().__new__(cls)
        from grokjax.config import own

        return own.operation(formula)(**fields)

    def check(self) -> None:
        named, k = formulas.read(self.formula).operands, self.n_operands
        remedy = f"give 1 to {formulas.MOST_OPERANDS} operands"
        require(1 <= k <= formulas.MOST_OPERANDS, "arity", k, remedy)
        remedy = f"the formula names operand {named}, give {named} or more, or leave it out"
        require(named <= k, "arity", k, remedy)
        super().check()

    @property
    def read(self) -> Formula:
        """The formula."""
        return formulas.read(self.formula)

    @property
    def n_operands(self) -> int:
        return max(2, formulas.read(self.formula).operands) if self.arity is None else self.arity

    def derived(self) -> dict[str, Any]:
        return {**super().derived(), "arity": max(2, self.read.operands)}

    def results(self, *operands: Any) -> Any:
        import numpy as np

        return self.read.values({"p": self.p}, np.stack(operands, axis=1))

    @property
    def group_operation(self) -> Literal["add", "sub", "mul", "div"] | None:
        """The operation modulo p that the table is of, where that makes it one of a group."""
        if self.operands is None:
            return None
        return _group_operation(self.formula, self.p, self.where)

    @property
    def group_table(self) -> Literal["cyclic"] | None:
        return "cyclic" if self.group_operation else None


@functools.lru_cache(maxsize=256)
def _group_operation(formula: str, p: int, where: str) -> Any:
    """Sums and differences of all pairs, products and quotients of all but 0 modulo a prime."""
    rows = operand_rows(p, 2, where)
    results = formulas.read(formula).values({"p": p}, rows)
    if len(rows) == p**2:
        for name, sign in (("add", 1), ("sub", -1)):
            if ((rows[:, 0] + sign * rows[:, 1]) % p == results).all():
                return name
    x, y = rows.T
    inside = (x > 0) & (y > 0)  # zero is in no group of products
    if not is_prime(p) or p == 2 or inside.sum() != (p - 1) ** 2:
        return None
    x, y, results = x[inside], y[inside], results[inside]
    if (x * y % p == results).all():
        return "mul"
    return "div" if (results * y % p == x).all() and (results < p).all() else None


@dataclasses.dataclass(frozen=True)
class Operations(Task):
    """Several operations in one table, told apart by a token; their rows one after another.

    Numbers have the same tokens in all of them, and `op` in the format is a token of each. What is
    measured by operation: `RowGroups(by="operation")`.

    >>> from grokjax import ModularArithmetic, Operations, tasks
    >>> both = Operations([ModularArithmetic("add", p=5), ModularArithmetic("mul", p=5)])
    >>> table = tasks.build(both)
    >>> table.inputs[[7, 32]].tolist(), table.targets[[7, 32]].tolist()  # 1 + 2 and 1 · 2
    ([[1, 6, 2, 5], [1, 7, 2, 5]], [3, 2])
    """

    kind: ClassVar[str] = "operations"

    operations: tuple[Task, ...]
    """What the rows are of: each an `Operation`, `ModularArithmetic`, `FiniteGroup`, or one of your
    own by `own.operation`, with as many operands as the others. What they say of tokens is left
    out."""
    format: str | None = None
    """Tokens of a row, in order, with spaces between them; `op` must be one of them, and is another
    token for each operation. None: `a op b =`, and `op a b c =` of three operands."""
    separate_tokens: bool = False
    """Whether each operand has tokens of its own."""

    def check(self) -> None:
        remedy = "give a list of 2 operations or more"
        require(len(self.operations) >= 2, "operations", self.operations, remedy)
        for at, task in enumerate(self.operations):
            where = f"operations.{at}"
            known = arity(task) > 0 and not isinstance(task, Operations)
            remedy = "give an Operation, a ModularArithmetic or a FiniteGroup"
            require(known, where, task, remedy)
            told: Any = task
            plain = told.format in (None, default_format(arity(task)))
            separate = getattr(task, "separate_tokens", False)
            remedy = "tokens are those of all operations, give it to Operations"
            require(plain, f"{where}.format", told.format, remedy)
            require(not separate, f"{where}.separate_tokens", separate, remedy)
            for name in task.traced_values():
                remedy = "nothing of a task is an input of the program, make it a plain field"
                require(False, f"{where}, {name}", "traced", remedy)
        numbers = sorted({arity(task) for task in self.operations})
        if len(numbers) > 1:
            raise ConfigError(
                f"operations: they have {' and '.join(map(str, numbers))} operands, give all of "
                "them equally many."
            )
        if len(set(self.operations)) < len(self.operations):
            raise ConfigError("operations: one of them is there twice, drop one.")
        check_format(self.text, numbers[0])
        remedy = "put the word op where the token of the operation is to stand"
        require("op" in self.text.split(), "format", self.text, remedy)

    @property
    def text(self) -> str:
        """The tokens of a row."""
        return self.format or _with_op(arity(self.operations[0]))

    def derived(self) -> dict[str, Any]:
        return {"format": _with_op(arity(self.operations[0]))}

    @property
    def n_rows(self) -> int:
        return sum(task.n_rows for task in self.operations)

    @property
    def names(self) -> tuple[str, ...]:
        """What each operation is called in results: its op, group, formula or function."""
        plain = [_name(task) for task in self.operations]
        sizes = [f" p={p}" if (p := getattr(t, "p", None)) else "" for t in self.operations]
        told = [n + size * (plain.count(n) > 1) for n, size in zip(plain, sizes, strict=True)]
        return tuple(
            name if told.count(name) == 1 else f"{name} #{at}" for at, name in enumerate(told)
        )


def _with_op(operands: int) -> str:
    letters = list(formulas.LETTERS[:operands])
    return " ".join([letters[0], "op", letters[1], "="] if operands == 2 else ["op", *letters, "="])


def arity(task: Task) -> int:
    """Number of operands of a row, 0 where rows are no operations on operands."""
    if isinstance(task, Operations):
        return arity(task.operations[0])
    if isinstance(task, OperationTable):
        return task.n_operands
    return 2 if isinstance(task, (ModularArithmetic, FiniteGroup)) else 0


def _name(task: Task) -> str:
    told: Any = task
    if isinstance(task, ModularArithmetic):
        return str(told.op)
    if isinstance(task, FiniteGroup):
        return f"{told.group} {told.product}"
    return str(getattr(told, "formula", task.kind))


FORMULAS_OF_NAMES: Mapping[str, str] = {
    "gcd": "gcd(x, y)",
    "min minimum": "min(x, y)",
    "max maximum": "max(x, y)",
    "pow power exp exponent exponentiation x**y x^y": "x**y % p",
    "(x+y)2 (x+y)^2 (a+b)^2": "(x + y)**2 % p",
    "(x+y)3 (x+y)^3 (a+b)^3": "(x + y)**3 % p",
    "2xy 2ab": "2*x*y % p",
    "x3+y3 x^3+y^3 a3+b3": "(x**3 + y**3) % p",
    "xor": "add_digits(x, y, 2)",
}
"""Names that others give to operations → the formula."""


def formula_of(name: str) -> str | None:
    """The formula that is meant by something that was written as an operation's name."""
    plain = name.replace(" ", "").lower()
    for names, formula in FORMULAS_OF_NAMES.items():
        if plain in names.split():
            return formula
    try:
        formulas.read(name)
    except ConfigError:
        return None
    return name
