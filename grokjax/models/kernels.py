"""The MLP block of a transformer as kernels for GPUs, in which hidden layers never reach memory.

What bounds a step of these small networks on a GPU is not arithmetic but the hidden layer `[N, F]`,
which compilers write once and read seven times. Here a program of the grid makes a block of it at
a time, from inputs and weights that its processor's cache holds, and makes it again for the
gradient. Sums run in one order: no atomics.

Legend: N rows, D width, F hidden units, B blocks of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from grokjax.config import Transformer
from grokjax.models.layers import Affine, Normalise
from grokjax.models.plainly import may_call_kernels
from grokjax.models.stream import last_axis

ROWS, HIDDEN = 64, 64
"""Rows and hidden units of a block: with width 128 it and its sums fill half of the registers that
a multiprocessor of an A100 or H100 has, so that two programs share it."""
WIDTHS = (16, 32, 64, 128, 256)
"""Blocks are as wide as the network, and their sides are powers of two."""
ACTIVATIONS = ("relu", "silu", "square")
"""Those that kernels have. Triton, as JAX calls it, lacks the erfc of the exact GELU."""
PRODUCTS = {"mlp_forward": 2, "mlp_backward_rows": 3, "mlp_backward_units": 4}
"""Name of a kernel → products of `N·D·F` multiplications that it makes."""


class Hidden(NamedTuple):
    """The functions that a row passes on its way through the hidden layer."""

    activation: Callable[[jax.Array], jax.Array]
    normalise: Normalise | None = None
    """Normalisation of the inputs; None: there is none."""
    interpret: bool = False
    """Run the kernels as plain JAX, on any device and in any dtype."""

    def normalised(self, x: jax.Array, gain: jax.Array, shift: jax.Array) -> jax.Array:
        """Rows as inputs of the first map: normalised, where there is a normalisation."""
        return x if self.normalise is None else self.normalise(x, gain, shift)


class Weights(NamedTuple):
    """The parameters of an MLP block; a map without a bias has a bias of zeros."""

    gain: Any  # [D]
    shift: Any  # [D]
    into: Any  # [D, F]
    bias: Any  # [F]
    out: Any  # [F, D]


def takes(x: jax.Array, into: Affine, model: Transformer) -> bool:
    """Whether there are kernels for a model's MLP blocks, inputs `[..., D]` and a first map.

    They make `x + out(activation(into(norm(x))))` and nothing else.
    """
    width, units = into.weight.shape
    sizes = width in WIDTHS and units % HIDDEN == 0
    form = not model.gated and model.norm != "peri" and model.dropout is None
    known = form and model.activation in ACTIVATIONS
    return may_call_kernels() and known and x.dtype == jnp.float32 and sizes


def mlp_block(
    hidden: Hidden,
    x: jax.Array,
    gain_and_shift: tuple[jax.Array | None, jax.Array | None] | None,
    into: Affine,
    out: Affine,
) -> jax.Array:
    """`x + out(activation(into(normalise(x))))`, x `[..., D]` → `[..., D]`.

    Args:
      hidden: normalisation of the inputs, and activation between the maps.
      x: inputs, `[..., D]`.
      gain_and_shift: parameters of the normalisation, each `[D]` or None; None: there is none.
      into: the map from D to F.
      out: the map from F to D.
    """
    width, units = into.weight.shape
    gain, shift = gain_and_shift or (None, None)
    weights = Weights(
        jnp.ones(width, x.dtype) if gain is None else gain,
        jnp.zeros(width, x.dtype) if shift is None else shift,
        into.factor * into.weight,
        jnp.zeros(units, x.dtype) if into.bias is None else into.bias,
        out.factor * out.weight,
    )
    y = _block(hidden, x.reshape(-1, width), weights).reshape(x.shape)
    return y if out.bias is None else y + last_axis(out.bias, y)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _block(hidden: Hidden, x: jax.Array, weights: Weights) -> jax.Array:
    """Rows `[N, D]` → `[N, D]`, without the last bias."""
    padded = _padded(x)
    (y,) = _call(
        "mlp_forward",
        partial(_forward, hidden),
        len(padded) // ROWS,
        [_row_block(padded), *map(_whole, weights)],
        [(padded, _row_block(padded))],
        hidden.interpret,
    )(padded, *weights)
    return y[: len(x)]


def _block_forward(hidden: Hidden, x: jax.Array, weights: Weights) -> tuple[jax.Array, tuple]:
    return _block(hidden, x, weights), (x, weights)


def _block_backward(hidden: Hidden, saved: tuple, gradient: jax.Array) -> tuple:
    x, weights = saved
    rows, y_grad = _padded(x), _padded(gradient)
    blocks, width = len(rows) // ROWS, rows.shape[1]
    per_block = jax.ShapeDtypeStruct((blocks, width), x.dtype)
    one_block = pl.BlockSpec((None, width), lambda block: (block, 0))
    x_grad, gain_grad, shift_grad = _call(
        "mlp_backward_rows",
        partial(_backward_rows, hidden),
        blocks,
        [_row_block(rows), *map(_whole, weights), _row_block(y_grad)],
        [(rows, _row_block(rows)), (per_block, one_block), (per_block, one_block)],
        hidden.interpret,
    )(rows, *weights, y_grad)
    maps = [
        (weights.into, pl.BlockSpec((width, HIDDEN), lambda unit: (0, unit))),
        (weights.bias, pl.BlockSpec((HIDDEN,), lambda unit: (unit,))),
        (weights.out, pl.BlockSpec((HIDDEN, width), lambda unit: (unit, 0))),
    ]
    map_grads = _call(
        "mlp_backward_units",
        partial(_backward_units, hidden),
        len(weights.bias) // HIDDEN,
        [_whole(x) for x in (rows, *weights[:2])] + [spec for _, spec in maps] + [_whole(y_grad)],
        maps,
        hidden.interpret,
    )(rows, *weights, y_grad)
    return x_grad[: len(x)], Weights(gain_grad.sum(axis=0), shift_grad.sum(axis=0), *map_grads)


_block.defvjp(_block_forward, _block_backward)


def _forward(hidden: Hidden, x: Any, *refs: Any) -> None:
    """The outputs of a block of rows: a sum over blocks of hidden units."""
    weights, y = Weights(*refs[:-1]), refs[-1]
    rows = hidden.normalised(x[...], weights.gain[...], weights.shift[...])

    def add(at: jax.Array, total: jax.Array) -> jax.Array:
        units = pl.ds(at * HIDDEN, HIDDEN)
        before = _dot(hidden, rows, weights.into[:, units]) + weights.bias[units][None]
        return total + _dot(hidden, hidden.activation(before), weights.out[units, :])

    y[...] = jax.lax.fori_loop(0, len(weights.bias) // HIDDEN, add, x[...])


def _backward_rows(hidden: Hidden, x: Any, *refs: Any) -> None:
    """The gradient of a block of rows, and the block's part of the gradients of gain and shift."""
    weights, (y_grad, x_grad, gain_grad, shift_grad) = Weights(*refs[:-4]), refs[-4:]
    vectors = weights.gain[...], weights.shift[...]
    rows, back = jax.vjp(hidden.normalised, x[...], *vectors)
    sum_grad = y_grad[...]

    def add(at: jax.Array, total: jax.Array) -> jax.Array:
        units = pl.ds(at * HIDDEN, HIDDEN)
        into = weights.into[:, units]
        _, pull = jax.vjp(hidden.activation, _dot(hidden, rows, into) + weights.bias[units][None])
        (before_grad,) = pull(_dot(hidden, sum_grad, weights.out[units, :].T))
        return total + _dot(hidden, before_grad, into.T)

    blocks = len(weights.bias) // HIDDEN
    row_grads = jax.lax.fori_loop(0, blocks, add, jnp.zeros_like(sum_grad))
    beside, gain_grad[...], shift_grad[...] = back(row_grads)
    x_grad[...] = sum_grad + beside


def _backward_units(hidden: Hidden, x: Any, *refs: Any) -> None:
    """The gradients of the weights of a block of hidden units.

    One program goes through all rows, from the first to the last: programs that shared the sum
    would need atomics, and would add up in another order every time.
    """
    weights, (y_grad, *outs) = Weights(*refs[:-4]), refs[-4:]
    vectors = weights.gain[...], weights.shift[...]
    into, bias, back = weights.into[...], weights.bias[...], weights.out[...].T

    def add(at: jax.Array, totals: tuple) -> tuple:
        block = pl.ds(at * ROWS, ROWS)
        rows, sum_grad = hidden.normalised(x[block, :], *vectors), y_grad[block, :]
        units, pull = jax.vjp(hidden.activation, _dot(hidden, rows, into) + bias[None])
        (before_grad,) = pull(_dot(hidden, sum_grad, back))
        into_grad = totals[0] + _dot(hidden, rows.T, before_grad)
        out_grad = totals[2] + _dot(hidden, units.T, sum_grad)
        return into_grad, totals[1] + jnp.sum(before_grad, axis=0), out_grad

    zeros = jnp.zeros_like(into), jnp.zeros_like(bias), jnp.zeros_like(back.T)
    totals = jax.lax.fori_loop(0, len(x) // ROWS, add, zeros)
    for out, total in zip(outs, totals, strict=True):
        out[...] = total


def _dot(hidden: Hidden, a: jax.Array, b: jax.Array) -> jax.Array:
    """A matrix product in the precision that JAX is set to."""
    settings: Any = jax.config  # whose attributes no stub declares
    precision = settings.jax_default_matmul_precision
    if precision == "high" and not hidden.interpret:
        # Triton takes "high" for one product of TF32 numbers where XLA makes three.
        precision = jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3
    return jax.lax.dot(a, b, precision=precision)


def _padded(x: jax.Array) -> jax.Array:
    """Rows `[N, D]` with zeros up to whole blocks; where gradients are zero they add nothing."""
    more = -len(x) % ROWS
    return jnp.pad(x, ((0, more), (0, 0))) if more else x


def _row_block(x: jax.Array) -> pl.BlockSpec:
    """A block of rows for each program of the grid."""
    return pl.BlockSpec((ROWS, x.shape[1]), lambda block: (block, 0))


def _whole(x: jax.Array) -> pl.BlockSpec:
    """All of an array for every program of the grid."""
    return pl.BlockSpec(x.shape, lambda _: (0,) * x.ndim)


def _call(
    name: str,
    kernel: Callable[..., None],
    programs: int,
    in_specs: Sequence[pl.BlockSpec],
    outs: Sequence[tuple[Any, pl.BlockSpec]],
    interpret: bool,
) -> Callable[..., Sequence[jax.Array]]:
    """A kernel over a grid of programs.

    Args:
      name: of the kernel, for profiles and for counting its arithmetic.
      kernel: body of a program, which takes references to inputs and then outputs.
      programs: number of programs in the grid.
      in_specs: which block of each input a program sees.
      outs: for each output an array of its shape and dtype, and which block a program writes.
      interpret: run as plain JAX.
    """
    return pl.pallas_call(
        kernel,
        grid=(programs,),
        in_specs=in_specs,
        out_specs=[spec for _, spec in outs],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x, _ in outs],
        interpret=interpret,
        name=name,
        compiler_params=triton.CompilerParams(num_warps=8, num_stages=2),
    )
