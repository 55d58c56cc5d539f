"""What is done to gradients, updates and weights beside the optimiser's own step."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.fields import require, traced
from grokjax.config.parts import GradientModifier, PerturbingModifier, UpdateModifier

__all__ = [
    "L1",
    "SAM",
    "DecayToStart",
    "GradientNoise",
    "GrokfastEMA",
    "GrokfastMA",
    "NormClamp",
    "NormProjection",
    "OrthoGrad",
    "WeightNoise",
]


@dataclasses.dataclass(frozen=True)
class GrokfastEMA(GradientModifier):
    """g + factor · ema(g), the slow part of the gradient amplified (Lee et al. 2024)."""

    kind: ClassVar[str] = "grokfast_ema"

    factor: float = traced(2.0)
    memory: float = traced(0.98)
    """Share of the average that an update keeps; the first gradient starts it."""

    def check(self) -> None:
        require(0 <= self.memory < 1, "memory", self.memory, "give a number in [0, 1)")


@dataclasses.dataclass(frozen=True)
class GrokfastMA(GradientModifier):
    """g + factor · mean of the last `window` gradients, once there are so many (Lee et al. 2024).

    It keeps them all: `window` times the memory of the parameters.
    """

    kind: ClassVar[str] = "grokfast_ma"

    factor: float = traced(5.0)
    window: int = 100

    def check(self) -> None:
        require(1 <= self.window <= 1000, "window", self.window, "give 1 to 1000 gradients")


@dataclasses.dataclass(frozen=True)
class OrthoGrad(GradientModifier):
    """g without its part along the weights, at g's length, array by array (Prieto et al. 2025)."""

    kind: ClassVar[str] = "ortho_grad"


@dataclasses.dataclass(frozen=True)
class GradientNoise(GradientModifier):
    """g + std · N(0, 1)."""

    kind: ClassVar[str] = "gradient_noise"

    gradient_std: float = traced(1e-3)

    def check(self) -> None:
        require(self.gradient_std >= 0, "gradient_std", self.gradient_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class WeightNoise(PerturbingModifier):
    """The gradient at w + std · N(0, 1) instead of at w."""

    kind: ClassVar[str] = "weight_noise"
    moves_the_network: ClassVar[bool] = True

    weight_std: float = traced(1e-2)

    def check(self) -> None:
        require(self.weight_std >= 0, "weight_std", self.weight_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class SAM(PerturbingModifier):
    """The gradient at w + radius · g / ‖g‖ (Foret et al. 2021): two gradients an update."""

    kind: ClassVar[str] = "sam"
    gradients_per_update: ClassVar[int] = 2

    radius: float = traced(0.05)

    def check(self) -> None:
        require(self.radius >= 0, "radius", self.radius, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class L1(GradientModifier):
    """g + strength · sign(w), the gradient of strength · Σ|w|."""

    kind: ClassVar[str] = "l1"

    l1_strength: float = traced(1e-4)

    def check(self) -> None:
        require(self.l1_strength >= 0, "l1_strength", self.l1_strength, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class DecayToStart(UpdateModifier):
    """Decoupled decay towards the initial weights: learning rate · strength · (w − w₀) off w."""

    kind: ClassVar[str] = "decay_to_start"

    start_decay: float = traced(1.0)

    def check(self) -> None:
        require(self.start_decay >= 0, "start_decay", self.start_decay, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class NormProjection(UpdateModifier):
    """After every update the norm of all weights is `norm_ratio` times the initial (Omnigrok).

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_projection"

    norm_ratio: float = traced(1.0)

    def check(self) -> None:
        require(self.norm_ratio > 0, "norm_ratio", self.norm_ratio, "give a positive number")


@dataclasses.dataclass(frozen=True)
class NormClamp(UpdateModifier):
    """After every update the norm of all weights is at most `largest_ratio` times the initial.

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_clamp"

    largest_ratio: float = traced(1.0)

    def check(self) -> None:
        remedy = "give a positive number"
        require(self.largest_ratio > 0, "largest_ratio", self.largest_ratio, remedy)
