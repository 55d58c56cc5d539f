"""The gradient of cross-entropy as a kernel for GPUs, which reads logits once and writes once.

Compilers make three passes of it: the largest logit of each row, the sum of its exponentials, and
the gradient.

Legend: N rows, C classes.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from grokjax.models.plainly import may_call_kernels

ROWS = 32
"""Number of rows in a block."""
MOST_CLASSES = 1024
"""Largest number of classes: a block holds whole rows, and of longer ones registers run out."""


def takes(logs: jax.Array) -> bool:
    """Whether there is a kernel for such logits `[..., C]`."""
    fits = logs.dtype == jnp.float32 and logs.shape[-1] <= MOST_CLASSES
    return may_call_kernels() and fits


def gradient(
    logs: jax.Array, targets: jax.Array, weights: jax.Array, interpret: bool = False
) -> jax.Array:
    """`weights · (softmax(logs) − one_hot(targets))`, `[..., C]`.

    Args:
      logs: logits `[..., C]`.
      targets: classes `[...]`.
      weights: factor on the loss of each row `[...]`.
      interpret: run as plain JAX, on any device and in any dtype.
    """
    classes = logs.shape[-1]
    rows = math.prod(logs.shape[:-1])
    table = pl.BlockSpec((rows, classes), lambda _: (0, 0))
    column = pl.BlockSpec((rows,), lambda _: (0,))
    call = pl.pallas_call(
        _gradient,
        grid=(-(-rows // ROWS),),
        in_specs=[table, column, column],
        out_specs=table,
        out_shape=jax.ShapeDtypeStruct((rows, classes), logs.dtype),
        interpret=interpret,
        name="cross_entropy_gradient",
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
    )
    flat = logs.reshape(rows, classes), targets.reshape(rows), weights.reshape(rows)
    return call(*flat).reshape(logs.shape)


def _gradient(logs: Any, targets: Any, weights: Any, out: Any) -> None:
    """The gradient of a block of rows; places beyond the last row or class are not touched."""
    rows, classes = logs.shape
    columns = pl.next_power_of_2(classes)
    first = pl.program_id(0) * ROWS
    block = pl.ds(first, ROWS)
    is_row = first + jnp.arange(ROWS, dtype=jnp.int32) < rows
    column = jnp.arange(columns, dtype=jnp.int32)
    inside = is_row[:, None] & (column < classes)[None]
    here = (block, pl.ds(jnp.int32(0), columns))
    values = triton.load(logs.at[*here], mask=inside, other=-jnp.inf)
    target = triton.load(targets.at[block], mask=is_row, other=0)
    weight = triton.load(weights.at[block], mask=is_row, other=0)
    largest = jnp.max(values, axis=1, keepdims=True)
    powers = jnp.exp(values - jnp.where(is_row[:, None], largest, 0))
    share = powers / jnp.sum(powers, axis=1, keepdims=True)
    wanted = (column[None] == target[:, None]).astype(values.dtype)
    triton.store(out.at[*here], weight[:, None] * (share - wanted), mask=inside)
