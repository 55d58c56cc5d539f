"""Attention between the few positions of a row as kernels for GPUs.

Queries, keys and values of a block of rows are read once; scores and weights stay in registers
and are made again for the gradient. What rows share is read from its table, row by row, without a
copy for each row in between.

Legend: N rows, Q positions that ask, T positions seen, S of them shared, M nodes, P parts of what
is read at a position (query, key and value, or key and value), H heads, E head width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from grokjax.config import Transformer
from grokjax.models.plainly import may_call_kernels
from grokjax.models.stream import Span, sum_by_node

ROWS = 16
"""Rows of a block: with width 128 and 4 positions all of it is in registers."""
MOST_POSITIONS = 8
"""Largest number of positions that rows may see: loops over them are written out."""


class Read(NamedTuple):
    """Queries, keys and values of a block of attention; parts that a layout has not are None."""

    queries: Any  # [N, Q, 1, H, E], where they are of other positions than keys and values
    table: Any  # [M, P, H, E], for nodes that rows share
    index: Any  # [N, S], node of each row at each shared position
    own: Any  # [N, T - S, P, H, E], for each row's own positions


class Shape(NamedTuple):
    """The constants of a kernel: what it must know when it is compiled."""

    visible: tuple[tuple[bool, ...], ...]
    """Whether each asking position sees each of the others."""
    scale: float
    """Factor on the products of queries and keys."""
    spans: tuple[Span, ...]
    """Where the nodes of each shared position lie."""
    interpret: bool = False
    """Run the kernels as plain JAX, on any device and in any dtype."""


def takes(visible: np.ndarray, read: Read, model: Transformer) -> bool:
    """Whether there is a kernel for a mask `[n or 1, Q, T]`, shapes, and the attention of a model.

    It takes queries, keys and values as they are compared and summed, and weights as they are.
    """
    if model.positions == "rotary" or model.attention_rate is not None:
        return False
    if model.dropout is not None and "weights" in model.dropout_places:
        return False
    alike, _, seen = visible.shape
    like = _like(read)
    powers_of_two = all(size & (size - 1) == 0 for size in like.shape[-2:])
    small = alike == 1 and seen <= MOST_POSITIONS and _rows(read) % ROWS == 0
    return may_call_kernels() and small and powers_of_two and like.dtype == jnp.float32


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def attend(shape: Shape, read: Read) -> jax.Array:
    """The mean of the values seen `[N, Q, H, E]`, weighted by the softmax of scores."""
    like = _like(read)
    mixed = jax.ShapeDtypeStruct((_rows(read), len(shape.visible), *like.shape[-2:]), like.dtype)
    return _call("attention_forward", partial(_forward, shape), read, (), [mixed], shape)[0]


def _attend_forward(shape: Shape, read: Read) -> tuple[jax.Array, Read]:
    return attend(shape, read), read


def _attend_backward(shape: Shape, read: Read, gradient: jax.Array) -> tuple[Read]:
    # The kernel gives each row's gradient of what it looked up, an array for each shared position.
    # They are summed by node outside: that is a matrix product, and the kernel needs no atomics.
    slot_grads = []
    if read.table is not None:
        slot = jax.ShapeDtypeStruct((_rows(read), *read.table.shape[1:]), gradient.dtype)
        slot_grads = [slot] * len(shape.spans)
    outs = (*slot_grads, *(x for x in (read.queries, read.own) if x is not None))
    kernel = partial(_backward, shape)
    results = iter(_call("attention_backward", kernel, read, (gradient,), outs, shape))
    table_grad = None
    if read.table is not None:
        slots = [next(results).reshape(_rows(read), -1) for _ in slot_grads]
        table_grad = sum_by_node(len(read.table), slots, read.index, shape.spans).reshape(
            read.table.shape
        )
    query_grads = None if read.queries is None else next(results)
    return (Read(query_grads, table_grad, None, None if read.own is None else next(results)),)


attend.defvjp(_attend_forward, _attend_backward)


class _Block:
    """Queries, keys and values of a block of rows, read when they are asked for."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.shared = 0 if read.index is None else read.index.shape[1]
        self.own = 0 if read.own is None else read.own.shape[1]
        self.positions = range(self.shared + self.own)

    def query(self, position: int) -> jax.Array:
        """Queries of a position, `[rows, H, E]`."""
        if self.read.queries is not None:
            return self.read.queries[:, position, 0]
        return self._part(position, 0)

    def key(self, position: int) -> jax.Array:
        """Keys of a position, `[rows, H, E]`."""
        return self._part(position, -2)

    def value(self, position: int) -> jax.Array:
        """Values of a position, `[rows, H, E]`."""
        return self._part(position, -1)

    # Keys and values are the last two parts, whether or not queries stand before them. A remainder
    # makes of -2 and -1 the indices that references in kernels take, which may not be negative.
    def _part(self, position: int, part: int) -> jax.Array:
        if position >= self.shared:
            own = self.read.own
            return own[:, position - self.shared, part % own.shape[2]]
        table = self.read.table
        return table[self.read.index[:, position], part % table.shape[1]]


def _forward(shape: Shape, read: Read, mixed: Any) -> None:
    """The weighted mean of values for a block of rows."""
    block = _Block(read)
    for asking, sees in enumerate(shape.visible):
        seen = [position for position in block.positions if sees[position]]
        weights = _weights(shape, block, asking, seen)
        mixed[:, asking] = _sum(
            w[..., None] * block.value(at) for w, at in zip(weights, seen, strict=True)
        )


def _backward(shape: Shape, read: Read, gradient: Any, *outs: Any) -> None:
    """The gradients of all queries, keys and values that a block of rows reads.

    Args:
      shape: constants of the kernel.
      read: queries, keys and values.
      gradient: of the outputs `[rows, Q, H, E]`.
      outs: to be written: an array for each shared position, then queries and own inputs, if any.
    """
    block, refs = _Block(read), iter(outs)
    slot_grads = [next(refs) for _ in range(block.shared)]
    query_grads = None if read.queries is None else next(refs)
    own_grads = None if read.own is None else next(refs)
    nothing = jnp.zeros(gradient.shape[:1] + gradient.shape[2:], gradient.dtype)
    key_grads, value_grads = ([nothing for _ in block.positions] for _ in range(2))

    def put(position: int, part: int, value: jax.Array) -> None:
        if position < block.shared:
            slot = slot_grads[position]
            slot[:, part % slot.shape[1]] = value
        else:
            assert own_grads is not None
            own_grads[:, position - block.shared, part % own_grads.shape[2]] = value

    for asking, sees in enumerate(shape.visible):
        seen = [position for position in block.positions if sees[position]]
        weights, mixed_grad = _weights(shape, block, asking, seen), gradient[:, asking]
        weight_grads = [jnp.sum(mixed_grad * block.value(at), axis=-1) for at in seen]
        mean = _sum(w * w_grad for w, w_grad in zip(weights, weight_grads, strict=True))
        query, query_grad = block.query(asking), nothing
        for at, weight, weight_grad in zip(seen, weights, weight_grads, strict=True):
            score_grad = (shape.scale * weight * (weight_grad - mean))[..., None]
            query_grad = query_grad + score_grad * block.key(at)
            key_grads[at] = key_grads[at] + score_grad * query
            value_grads[at] = value_grads[at] + weight[..., None] * mixed_grad
        if query_grads is None:
            put(asking, 0, query_grad)
        else:
            query_grads[:, asking, 0] = query_grad
    for position in block.positions:
        put(position, -2, key_grads[position])
        put(position, -1, value_grads[position])


def _weights(shape: Shape, block: _Block, asking: int, seen: Sequence[int]) -> list[jax.Array]:
    """The softmax weights of the positions seen, each `[rows, H]`."""
    query = block.query(asking)
    scores = [shape.scale * jnp.sum(query * block.key(at), axis=-1) for at in seen]
    largest = scores[0]
    for score in scores[1:]:
        largest = jnp.maximum(largest, score)
    powers = [jnp.exp(score - largest) for score in scores]
    total = _sum(powers)
    return [power / total for power in powers]


def _sum(parts: Any) -> jax.Array:
    first, *rest = parts
    for part in rest:
        first = first + part
    return first


def _like(read: Read) -> jax.Array:
    """One of the arrays `[..., H, E]` that are read, for its dtype and last two axes."""
    return read.table if read.own is None else read.own


def _rows(read: Read) -> int:
    return len(read.index) if read.own is None else len(read.own)


def _call(
    name: str,
    kernel: Callable[..., None],
    read: Read,
    more: Sequence[jax.Array],
    outs: Sequence[Any],
    shape: Shape,
) -> Sequence[jax.Array]:
    """A kernel over blocks of rows, each of which sees the whole table.

    Args:
      name: of the kernel, for profiles.
      kernel: body of a program, which takes references to `read`, to `more` and to outputs.
      read: queries, keys and values.
      more: further inputs `[N, ...]`.
      outs: for each output something of its shape and dtype, `[N, ...]`.
      shape: constants of the kernel.
    """
    given, structure = jax.tree.flatten(read)

    def by_rows(x: Any) -> pl.BlockSpec:
        return pl.BlockSpec((ROWS, *x.shape[1:]), lambda block: (block, *(0,) * (x.ndim - 1)))

    def whole(x: Any) -> pl.BlockSpec:
        return pl.BlockSpec(x.shape, lambda block: (0,) * x.ndim)

    def unflattened(*refs: Any) -> None:
        kernel(jax.tree.unflatten(structure, refs[: len(given)]), *refs[len(given) :])

    specs = [whole(x) if x is read.table else by_rows(x) for x in (*given, *more)]
    call = pl.pallas_call(
        unflattened,
        grid=(_rows(read) // ROWS,),
        in_specs=specs,
        out_specs=[by_rows(x) for x in outs],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in outs],
        interpret=shape.interpret,
        name=name,
        compiler_params=triton.CompilerParams(num_warps=4, num_stages=1),
    )
    return call(*given, *more)
