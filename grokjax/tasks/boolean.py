"""Functions of bits, and the drawing of distinct rows.

Legend: N rows, T positions, k hidden bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from grokjax.config.boolean import Bits, Conjunction, Majority, SparseParity
from grokjax.tasks.dataset import Dataset, make_dataset

FEW = 2**18
"""Number of possible rows up to which all are listed and shuffled to draw some of them. Of more,
random rows are drawn until enough of them are distinct."""


def every_row(sizes: Sequence[int]) -> np.ndarray:
    """All rows [N, T] whose entry t is one of 0 … sizes[t]-1, in lexicographic order."""
    codes = np.arange(math.prod(sizes))
    return np.stack(np.unravel_index(codes, tuple(sizes)), axis=1).astype(np.int32)


def draw_distinct(
    rng: np.random.Generator,
    sizes: Sequence[int],
    samples: int,
    keep: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Distinct rows [N, T], drawn uniformly from those that `keep` is true of.

    Args:
      rng: source of random numbers.
      sizes: number of values of each entry [T]: entry t is one of 0 … sizes[t]-1.
      samples: number N of rows. Fewer come back where all possible rows can be listed and fewer
        than that satisfy `keep`.
      keep: rows [N, T] → whether each may be drawn [N]; None: all may.
    """
    if math.prod(sizes) <= FEW:
        rows = every_row(sizes)
        rows = rows if keep is None else rows[keep(rows)]
        return rng.permutation(rows)[:samples]
    unique: dict[bytes, None] = {}
    while len(unique) < samples:
        rows = rng.integers(sizes, size=(samples, len(sizes)), dtype=np.int32)
        rows = rows if keep is None else rows[keep(rows)]
        unique |= dict.fromkeys(map(bytes, rows))
    return np.frombuffer(b"".join(list(unique)[:samples]), np.int32).reshape(samples, -1)


def bit_rows(task: Bits, rng: np.random.Generator) -> np.ndarray:
    """The rows [N, n_bits] of zeros and ones."""
    sizes = [2] * task.n_bits
    return every_row(sizes) if task.samples is None else draw_distinct(rng, sizes, task.samples)


def parity_bits(task: SparseParity) -> np.ndarray:
    """The positions [k] of the bits that count, in order."""
    return np.sort(hidden_rng(task.table_seed).choice(task.n_bits, task.k_bits, replace=False))


def literals(task: Conjunction) -> tuple[np.ndarray, np.ndarray]:
    """Positions [k] of the literals, in order, and the bits [k] that satisfy them."""
    rng = hidden_rng(task.table_seed)
    places = np.sort(rng.choice(task.n_bits, task.k_bits, replace=False))
    return places, rng.integers(2, size=task.k_bits)


def hidden_rng(table_seed: int) -> np.random.Generator:
    """Random numbers for the hidden part of a task, which so does not change with `samples`."""
    return np.random.default_rng([table_seed, 1])


def bit_table(task: Bits, rows: np.ndarray, truth: np.ndarray) -> Dataset:
    """The table of a function of bits.

    Args:
      task: its `bits` say whether the network sees tokens or signs.
      rows: bits [N, n_bits], 0 or 1.
      truth: values of the function [N].
    """
    tokens = task.bits == "tokens"
    return Dataset(
        inputs=rows if tokens else 1.0 - 2.0 * rows,
        targets=truth.astype(np.int32),
        vocabulary=2 if tokens else 0,
        n_classes=2,
    )


@make_dataset.register
def sparse_parity(task: SparseParity) -> Dataset:
    """The parity of the hidden bits; as signs it is their product."""
    rows = bit_rows(task, np.random.default_rng(task.table_seed))
    return bit_table(task, rows, rows[:, parity_bits(task)].sum(axis=1) % 2)


@make_dataset.register
def majority(task: Majority) -> Dataset:
    """Whether most bits are 1."""
    rows = bit_rows(task, np.random.default_rng(task.table_seed))
    return bit_table(task, rows, 2 * rows.sum(axis=1) > task.n_bits)


@make_dataset.register
def conjunction(task: Conjunction) -> Dataset:
    """Whether all hidden literals hold."""
    rng = np.random.default_rng(task.table_seed)
    places, wanted = literals(task)

    def fails(rows: np.ndarray) -> np.ndarray:
        return (rows[:, places] != wanted).any(axis=1)

    if task.samples is None:
        rows = bit_rows(task, rng)
    else:
        half = task.samples // 2
        free = np.setdiff1d(np.arange(task.n_bits), places)
        yes = np.empty((half, task.n_bits), np.int32)
        yes[:, places] = wanted
        if len(free):
            yes[:, free] = draw_distinct(rng, [2] * len(free), half)
        no = draw_distinct(rng, [2] * task.n_bits, task.samples - half, fails)
        rows = rng.permutation(np.concatenate([yes, no]))
    return bit_table(task, rows, ~fails(rows))
