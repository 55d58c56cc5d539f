"""Formulas of a row's values, `(a + b) % 3` say: what may be written, and which names it has."""

from __future__ import annotations

import ast

from grokjax.config.coercion import ConfigError, require

FUNCTIONS = ("abs", "max", "min")
OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.USub: "-",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def parsed(field: str, text: str) -> ast.expr:
    """The tree of a formula of whole numbers, refused where it has anything else in it.

    Args:
      field: that holds it, for the refusal.
      text: of the formula.
    """
    remedy = "write names of a row's values, whole numbers, brackets, "
    remedy += f"{' '.join(dict.fromkeys(OPERATORS.values()))}, and {', '.join(FUNCTIONS)}"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ConfigError(f"{field}={text!r}: this is no formula, {remedy}.") from None
    for node in ast.walk(tree):
        require(_known(node), field, text, f"{ast.unparse(node)!r} is not for here, {remedy}")
    return tree


def _known(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return type(node.value) is int
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1
    plain = (ast.Name, ast.Load, ast.BinOp, ast.UnaryOp, *OPERATORS)
    return isinstance(node, plain)
