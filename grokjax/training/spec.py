"""What is compiled (`Spec`) and what is data (`Hparams`)."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import jax
import numpy as np

from grokjax.config import AdamW, Experiment, ModularArithmetic, Transformer

PADDING = 1.05
"""Largest ratio of padded to real training rows in a program: a twentieth of the work at most,
for a compilation of seconds for every twentieth that training sets differ."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """Everything that shapes the compiled program; runs that share it share a compilation."""

    task: ModularArithmetic
    model: Transformer
    optimizer: AdamW
    log_every: int
    dtype: str
    loss_dtype: str
    matmul_precision: str
    train_rows: tuple[int, int]
    """Smallest and largest number of training rows of its runs."""
    tiles: int = 1
    """Pieces that the rows go through the network in, gradients added up."""

    @property
    def tile_rows(self) -> int:
        """Training rows that go through the network at a time."""
        return math.ceil(self.train_rows[1] / self.tiles)

    @property
    def double(self) -> bool:
        """Whether anything of it is float64, which JAX must be told to allow."""
        return "float64" in (self.dtype, self.loss_dtype)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hparams:
    """The numbers of one run; the lanes hold a stack of them."""

    optimizer: dict[str, jax.Array]
    init_scale: jax.Array
    n_train: jax.Array
    seed: jax.Array
    split_seed: jax.Array


def shapes(spec: Spec) -> Hparams:
    """The shapes and dtypes of a run's numbers."""
    real, whole, seed = (
        jax.ShapeDtypeStruct((), np.dtype(dtype)) for dtype in (spec.dtype, "int32", "uint32")
    )
    numbers: Any = dict.fromkeys(spec.optimizer.numbers(), real)
    return Hparams(numbers, *(typing.cast(jax.Array, x) for x in (real, whole, seed, seed)))


def spec_of(run: Experiment) -> Spec:
    """The program that a run belongs to."""
    return Spec(
        task=run.task,
        model=run.model.static(),
        optimizer=run.optimizer.static(),
        log_every=run.log_every,
        dtype=run.dtype,
        loss_dtype=run.loss_dtype or run.dtype,
        matmul_precision=run.matmul_precision,
        train_rows=row_bucket(run.n_train, run.task.n_rows),
    )


def row_bucket(n_train: int, n_rows: int) -> tuple[int, int]:
    """The range of training-set sizes whose runs share a program.

    The bucket depends on nothing but the run itself, so a run's arithmetic, and
    with it every bit of its curve, is the same in whatever grid it stands.
    """
    low, high = 1, 16
    while high < n_train:
        low, high = high + 1, max(high + 1, int(high * PADDING))
    return low, min(high, n_rows - 1)
