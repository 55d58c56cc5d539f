"""The operations of a function, counted in what JAX traces of it; nothing is compiled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def flops(function: Callable, *arguments: Any) -> int:
    """Multiplications and additions of the matrix products and convolutions of a function.

    Args:
      function: any function of pytrees of arrays.
      arguments: shapes and dtypes of its arguments, pytrees of `jax.ShapeDtypeStruct`.
    """
    return sum(times * _flops(equation) for equation, times in _equations(function, *arguments))


def numbers(function: Callable, *arguments: Any) -> int:
    """How many numbers the operations of a function make, in a loop once for each of its rounds.

    Args:
      function: any function of pytrees of arrays.
      arguments: shapes and dtypes of its arguments, pytrees of `jax.ShapeDtypeStruct`.
    """
    return sum(
        times * sum(math.prod(out.aval.shape) for out in equation.outvars)
        for equation, times in _equations(function, *arguments)
    )


def _equations(function: Callable, *arguments: Any) -> Iterator[tuple[Any, int]]:
    """Every primitive operation of a function, and how often it is done."""
    return _inside(jax.make_jaxpr(function)(*arguments).jaxpr, 1)


def _inside(jaxpr: Any, times: int) -> Iterator[tuple[Any, int]]:
    for equation in jaxpr.eqns:
        inner = [
            getattr(value, "jaxpr", value)
            for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr)
            if _is_jaxpr(value)
        ]
        if not inner:
            yield equation, times
        rounds = equation.params["length"] if equation.primitive.name == "scan" else 1
        # Of the branches of a choice the first stands for all: one of them is done.
        for one in inner[: 1 if equation.primitive.name == "cond" else None]:
            yield from _inside(one, rounds * times)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def _flops(equation: Any) -> int:
    made = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        return 2 * made * math.prod(left[axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * made * math.prod(kernel) // outputs
    return 0
