"""Formulas in text, `(x + y)**2 % p` say, on whole numbers.

A formula is read into a syntax tree, every node of which must be one of those listed here, and the
tree is walked over arrays: no Python is run. Results are exact. Below a modulus, sums, products
and powers are reduced as they are computed, so `x**y % p` is of any size; a number elsewhere that
would leave 64 bits is refused. `/` divides modulo what stands to its right, as in `x / y % p`.

NumPy is imported by what evaluates a formula and not by what reads one.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grokjax.config.coercion import ConfigError
from grokjax.config.synonyms import suggestion

if TYPE_CHECKING:
    import numpy as np

LETTERS = "abcdefgh"
MOST_OPERANDS = len(LETTERS)
LONGEST = 300
"""Characters of a formula."""
MOST_BITS = 62
"""Bits of a number in a formula."""
ARGUMENTS = {"abs": (1, 1), "add_digits": (3, 3), "gcd": (2, 9), "max": (2, 9), "min": (2, 9)}
"""Function → the fewest and the most arguments that it takes."""
ALLOWED = (
    "write whole numbers, operands (x, y, z, or a, b, c, or x0, x1, …), p, + - * ** // % /, "
    f"comparisons, in, and, or, not, `A if B else C`, and {', '.join(ARGUMENTS)}"
)
WHAT_IT_IS = {
    ast.Attribute: "it asks for an attribute",
    ast.Subscript: "it asks for an item",
    ast.Lambda: "it makes a function",
}
COEFFICIENT = re.compile(r"(?<![\w.])(\d+)(\(|[A-Za-z]\w*)")
"""A number right before a name or a bracket, as mathematics writes products."""
MOST_HINTS = 3
"""As many are read in a sentence; the rest goes likewise."""
ROW_NAMES = ("p", "answer", "operation", "group", "set")
"""What a formula of a table's rows may use beside operands."""
BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
COMPARED = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn)


def place(name: str) -> int | None:
    """Which operand a name is: x, a and x0 are the first; None for the name of none.

    >>> [place(name) for name in ("x", "a", "x0", "z", "h", "p")]
    [0, 0, 0, 2, 7, None]
    """
    for letters in ("xyz", LETTERS):
        if len(name) == 1 and name in letters:
            return letters.index(name)
    match = re.fullmatch(r"x([0-7])", name, re.ASCII)
    return int(match[1]) if match else None


@dataclasses.dataclass(frozen=True)
class Formula:
    """A formula that has been read."""

    text: str
    field: str
    """The field that it was given for, to be named in messages."""
    node: ast.expr
    names: frozenset[str]
    """The names in it that are no operands."""
    operands: int
    """One more than the number of the last operand that it names."""

    def values(self, rows: Mapping[str, Any], operands: np.ndarray) -> np.ndarray:
        """The results `[N]` int64 of rows.

        Args:
          rows: name → its values `[N]`, or one number, of the names that are no operands.
          operands: of every row `[N, k]`.
        """
        import numpy as np

        from grokjax.config.evaluation import Walk

        known = {name: np.asarray(value, np.int64) for name, value in rows.items()}
        columns = dict(enumerate(np.asarray(operands, np.int64).T))
        found = Walk(self.field, self.text, known, columns, len(operands)).exact(self.node)
        return np.broadcast_to(found, len(operands)).astype(np.int64)

    def modulus(self, p: int) -> int | None:
        """What the results are below, where the formula ends in `% M` without an operand in M."""
        import numpy as np

        from grokjax.config.evaluation import Walk

        def of(node: ast.expr) -> int | None:
            if isinstance(node, ast.IfExp):
                both = of(node.body), of(node.orelse)
                return None if None in both else max(both)  # type: ignore[type-var]
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)):
                return None
            inside = {n.id for n in ast.walk(node.right) if isinstance(n, ast.Name)}
            if inside - {"p"}:
                return None
            return int(Walk(self.field, self.text, {"p": np.asarray(p)}, {}, 1).exact(node.right))

        return of(self.node)


@functools.lru_cache(maxsize=1024)
def read(text: str, field: str = "formula", names: tuple[str, ...] = ("p",)) -> Formula:
    """The formula that a text is.

    Args:
      text: such as `"(x + y) % p"`.
      field: that it was given for, to be named in messages.
      names: that it may use beside those of operands.

    Raises:
      ConfigError: it is none.
    """
    if len(text) > LONGEST:
        raise ConfigError(
            f"{field}: its {len(text)} characters are more than {LONGEST}, shorten it."
        )
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        if hints := _as_python(text, names):
            raise ConfigError(f"{field}={text!r}: {hints}.") from None
        raise ConfigError(f"{field}={text!r}: it cannot be read as a formula, {ALLOWED}.") from None
    functions = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    used, operands = set(), 0
    for part in ast.walk(node):
        if why := _why_not(part):
            of_mathematics = isinstance(part, ast.BitXor) or (
                isinstance(part, ast.Call) and isinstance(part.func, ast.Constant)
            )
            if of_mathematics and (hints := _as_python(text, names)):
                raise ConfigError(f"{field}={text!r}: {hints}.")
            raise ConfigError(f"{field}={text!r}: {why}; {ALLOWED}.")
        if not isinstance(part, ast.Name) or id(part) in functions:
            continue
        if (at := place(part.id)) is not None:
            operands = max(operands, at + 1)
        elif part.id in names:
            used.add(part.id)
        else:
            near = suggestion(part.id, [*names, "x", "y", "z"]).rstrip(".")
            raise ConfigError(f"{field}={text!r}: {part.id} is no name here, {near}.")
    return Formula(text, field, node, frozenset(used), operands)


def _as_python(text: str, names: tuple[str, ...]) -> str:
    """How powers and products are to be written that are written as in mathematics, if any are."""
    hints = ["** for ^"] if "^" in text else []
    for number, factor in COEFFICIENT.findall(text):
        if factor == "(" or place(factor) is not None or factor in names:
            hints.append(f"{number}*{factor} for {number}{factor}")
    few = list(dict.fromkeys(hints))[:MOST_HINTS]
    return f"write {', '.join(few[:-1])}{' and ' * bool(few[1:])}{few[-1]}" if few else ""


def _why_not(node: ast.AST) -> str | None:
    """Why a node is no part of a formula; None where it is one."""
    for kind, why in WHAT_IT_IS.items():
        if isinstance(node, kind):
            return why
    if isinstance(node, ast.Constant):
        if type(node.value) is not int:
            return f"{node.value!r} is no whole number"
        few = node.value.bit_length() <= MOST_BITS
        return None if few else f"a number in it has more than {MOST_BITS} bits"
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ARGUMENTS:
            return f"{name or 'what it calls'} is no function of formulas"
        fewest, most = ARGUMENTS[name]
        if node.keywords or not fewest <= len(node.args) <= most:
            return f"{name} takes {fewest if fewest == most else f'{fewest} or more'} numbers"
        return None
    if isinstance(node, ast.Compare):
        listed = (ast.Tuple, ast.List, ast.Set)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.In, ast.NotIn)) != isinstance(right, listed):
                return "`in` has a list to its right, as in `x in (1, 4, 9)`"
        return None
    plain = (ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.IfExp, *BINARY, *COMPARED)
    signs = (ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or, ast.Tuple, ast.List, ast.Set)
    if isinstance(node, (*plain, *signs)):
        return None
    return f"{type(node).__name__} is no part of a formula"
