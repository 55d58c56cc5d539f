"""The numbers that a formula gives, exact or refused.

It imports NumPy, and so is imported by what evaluates a formula and not by what reads one.

Legend: N rows.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from grokjax.config.coercion import ConfigError
from grokjax.config.formulas import place

LARGEST = 2**62
"""No number on the way may be as large, so that a sum of two fits 64 bits."""
LARGEST_MODULUS = 2**31
"""Products of two residues fit 64 bits below it."""


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk over the tree of a formula, for some rows."""

    field: str
    """The field that the formula was given for, to be named in messages."""
    text: str
    names: Mapping[str, np.ndarray]
    """Values `[N]`, or one for all rows `[]`."""
    operands: Mapping[int, np.ndarray]  # [N] each
    count: int

    def refuse(self, node: ast.AST, why: str) -> NoReturn:
        part = ast.unparse(node)
        where = "" if part == self.text else f" in {part},"
        raise ConfigError(f"{self.field}={self.text!r}:{where} {why}.")

    def only(self, which: np.ndarray) -> Walk:
        """The same for some of the rows `[N]`."""
        names = {name: v[which] if v.ndim else v for name, v in self.names.items()}
        operands = {at: v[which] for at, v in self.operands.items()}
        return Walk(self.field, self.text, names, operands, int(which.sum()))

    def exact(self, node: ast.expr) -> Any:
        """Whole numbers `[N]`, or one `[]` where it is the same for all rows."""
        if isinstance(node, ast.Constant):
            return np.asarray(node.value, np.int64)
        if isinstance(node, ast.Name):
            return self.named(node)
        if isinstance(node, ast.IfExp):
            return self.chosen(node, Walk.exact)
        if isinstance(node, ast.UnaryOp):
            value = self.exact(node.operand)
            if isinstance(node.op, ast.Not):
                return (value == 0).astype(np.int64)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BoolOp):
            each = [self.exact(part) != 0 for part in node.values]
            every = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return functools.reduce(every, each).astype(np.int64)
        if isinstance(node, ast.Compare):
            return self.compared(node)
        if isinstance(node, ast.Call):
            return self.called(node)
        if isinstance(node, ast.BinOp):
            return self.combined(node)
        self.refuse(node, "a list stands only to the right of `in`")

    def named(self, node: ast.Name) -> Any:
        at = place(node.id)
        if at is None:
            if node.id not in self.names:
                self.refuse(node, "these rows have no such number")
            return self.names[node.id]
        if at not in self.operands:
            self.refuse(node, f"is operand {at + 1}, and rows have {len(self.operands)}")
        return self.operands[at]

    def chosen(self, node: ast.IfExp, walk: Callable[..., Any], *more: Any) -> Any:
        """Each branch for the rows that take it, so that the others may divide by zero."""
        test = np.broadcast_to(self.exact(node.test) != 0, self.count)
        found = np.zeros(self.count, np.int64)
        for which, branch in ((test, node.body), (~test, node.orelse)):
            if which.any():
                some = (m[which] if np.ndim(m) else m for m in more)
                found[which] = walk(self.only(which), branch, *some)
        return found

    def compared(self, node: ast.Compare) -> Any:
        plain: dict[type, Any] = {
            ast.Eq: np.equal, ast.NotEq: np.not_equal, ast.Lt: np.less, ast.LtE: np.less_equal,
            ast.Gt: np.greater, ast.GtE: np.greater_equal,
        }  # fmt: skip
        left, holds = self.exact(node.left), np.asarray(True)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(right, (ast.Tuple, ast.List, ast.Set)):
                members = [left == self.exact(member) for member in right.elts]
                inside = functools.reduce(np.logical_or, members, np.asarray(False))
                holds = holds & (inside if isinstance(operator, ast.In) else ~inside)
                left = inside.astype(np.int64)
            else:
                value = self.exact(right)
                holds, left = holds & plain[type(operator)](left, value), value
        return holds.astype(np.int64)

    def called(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        name, values = node.func.id, [self.exact(argument) for argument in node.args]
        if name == "abs":
            return np.abs(values[0])
        if name == "add_digits":
            return self.added_by_digits(node, *values)
        pairwise: Any = {"gcd": np.gcd, "max": np.maximum, "min": np.minimum}[name]
        return functools.reduce(pairwise, values)

    def added_by_digits(self, node: ast.Call, x: Any, y: Any, base: Any) -> Any:
        """Sums of digits modulo the base, without a carry."""
        if (x < 0).any() or (y < 0).any() or (base < 2).any():
            self.refuse(node, "numbers are 0 or more and the base is 2 or more")
        if max(_size(x), _size(y)) * _size(base) ** 2 >= LARGEST:
            self.refuse(node, "numbers are too large for 62 bits")
        found, unit = np.zeros(np.broadcast_shapes(x.shape, y.shape, base.shape), np.int64), 1
        while (x > 0).any() or (y > 0).any():
            found = found + (x % base + y % base) % base * unit
            x, y, unit = x // base, y // base, unit * base
        return found

    def combined(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Mod):
            return self.modulo(node)
        if isinstance(node.op, ast.Div):
            self.refuse(node, "/ divides modulo a number, write (…) % p, or // for whole parts")
        left, right = self.exact(node.left), self.exact(node.right)
        size, other = _size(left), _size(right)
        if isinstance(node.op, ast.FloorDiv):
            if (right == 0).any():
                self.refuse(node, "a row divides by 0, leave it out with where=")
            return left // right
        if isinstance(node.op, ast.Pow):
            if (right < 0).any():
                self.refuse(node, "an exponent is below 0")
            # 2 to so many bits is larger in any case, and need not be computed.
            largest = LARGEST if size > 1 and other > 62 else size**other
        else:
            largest = size * other if isinstance(node.op, ast.Mult) else size + other
        if largest >= LARGEST:
            self.refuse(node, "a number has 62 bits or more, take it modulo p at once (… % p)")
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        return left * right if isinstance(node.op, ast.Mult) else left**right

    def modulo(self, node: ast.BinOp) -> Any:
        modulus = self.exact(node.right)
        if (modulus < 1).any():
            self.refuse(node, "a modulus is 0 or less")
        if _size(modulus) >= LARGEST_MODULUS:
            return self.exact(node.left) % modulus
        return self.residues(node.left, modulus)

    def residues(self, node: ast.expr, modulus: Any) -> Any:
        """Results modulo M, reduced on the way wherever that changes nothing."""
        if isinstance(node, ast.IfExp):
            return self.chosen(node, Walk.residues, modulus)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.residues(node.operand, modulus) % modulus
        if not isinstance(node, ast.BinOp) or isinstance(node.op, (ast.Mod, ast.FloorDiv)):
            return self.exact(node) % modulus
        left = self.residues(node.left, modulus)
        if isinstance(node.op, ast.Pow):
            return self.power(node, left, self.exact(node.right), modulus)
        right = self.residues(node.right, modulus)
        if isinstance(node.op, ast.Add):
            return (left + right) % modulus
        if isinstance(node.op, ast.Sub):
            return (left - right) % modulus
        if isinstance(node.op, ast.Div):
            right = self.inverse(node, right, modulus)
        return left * right % modulus

    def power(self, node: ast.BinOp, base: Any, exponent: Any, modulus: Any) -> Any:
        """By squares and products, a bit of the exponent at a time."""
        if (exponent < 0).any():
            self.refuse(node, "an exponent is below 0, write 1 / x for an inverse")
        shape = np.broadcast_shapes(base.shape, exponent.shape, modulus.shape)
        found = np.ones(shape, np.int64) % modulus
        while (exponent > 0).any():
            found = np.where(exponent % 2 == 1, found * base % modulus, found)
            base, exponent = base * base % modulus, exponent // 2
        return found

    def inverse(self, node: ast.BinOp, value: Any, modulus: Any) -> Any:
        pairs = np.stack(np.broadcast_arrays(value, modulus), axis=-1)
        each, index = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
        inverses = []
        for of, m in each.tolist():
            try:
                inverses.append(pow(of, -1, m))
            except ValueError:
                why = f"{of} has no inverse modulo {m}, leave such rows out with where="
                self.refuse(node, why)
        return np.array(inverses, np.int64)[index].reshape(pairs.shape[:-1])


def _size(values: Any) -> int:
    """The largest absolute value, 0 of none."""
    return max(-int(values.min()), int(values.max())) if values.size else 0
