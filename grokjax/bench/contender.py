"""What is timed: something that takes training steps.

Legend: N rows, T positions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from grokjax.config import MLP, AdamW, CrossEntropy, MeanSquaredError, Transformer


@dataclasses.dataclass(frozen=True)
class Workload:
    """One run as plain arrays, for peers that know nothing of grokjax."""

    model: Transformer | MLP
    optimizer: AdamW
    loss: CrossEntropy | MeanSquaredError
    tokens: np.ndarray  # [N, T] int32, the training rows
    targets: np.ndarray  # [N] int32
    vocabulary: int
    n_classes: int
    params: dict
    """Initial weights, named and shaped as grokjax has them."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """Somebody's training step."""

    name: str
    lanes: int
    """Runs that it trains at once."""
    steps: Callable[[int], list[float]]
    """Take so many steps of every run and wait; the first run's loss before each, where the
    contender keeps them all."""
    least: int = 1
    """The number of steps is a multiple of this."""
