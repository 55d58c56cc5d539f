"""The configuration of losses."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.coercion import require
from grokjax.config.fields import traced
from grokjax.config.parts import Loss

__all__ = ["CrossEntropy", "Hinge", "MeanSquaredError", "Sparsemax", "StableMax"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossEntropy(Loss):
    """−log softmax(z)_y, in nats."""

    kind: ClassVar[str] = "cross_entropy"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StableMax(Loss):
    """−log(s(z_y) / Σ_j s(z_j)), s(x) = x + 1 from 0 on and 1 / (1 − x) below.

    Prieto et al. 2025: it grows like a power where softmax grows exponentially, so that float32
    does not saturate.
    """

    kind: ClassVar[str] = "stablemax"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sparsemax(Loss):
    """½ + ½ Σ_{j: z_j > τ} (z_j² − τ²) − z_y, τ such that Σ_j max(0, z_j − τ) = 1.

    Martins & Astudillo 2016: its gradient is p − one_hot(y) with p = max(0, z − τ), the point of
    the simplex that is nearest to the logits. Classes far below the largest have no share at all,
    and the loss is exactly 0 where the right one lies 1 or more above all others.
    """

    kind: ClassVar[str] = "sparsemax"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanSquaredError(Loss):
    """Mean over outputs of (z − t)², t a number, or 1 at the class and 0 elsewhere."""

    kind: ClassVar[str] = "mse"
    real: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hinge(Loss):
    """max(0, margin + max_{j≠y} z_j − z_y) (Crammer & Singer 2001)."""

    kind: ClassVar[str] = "hinge"

    margin: float = traced(1.0)
    """How far the right class's logit must lie above all others for the loss to be 0."""

    def check(self) -> None:
        require(self.margin > 0, "margin", self.margin, "give a positive number")
