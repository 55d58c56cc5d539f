"""Modifiers: changes to gradients, updates and weights beside the optimiser's own step."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.coercion import require
from grokjax.config.fields import traced
from grokjax.config.parts import GradientModifier, PerturbingModifier, UpdateModifier

__all__ = [
    "L1",
    "SAM",
    "ClipNorm",
    "ClipValue",
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
    """How strongly the slow part of the gradient is amplified (λ in the paper)."""
    memory: float = traced(0.98)
    """Decay of the exponential moving average of gradients (α in the paper): the share of the old
    average in the new one. The average starts as the first gradient."""

    def check(self) -> None:
        require(0 <= self.memory < 1, "memory", self.memory, "give a number in [0, 1)")


@dataclasses.dataclass(frozen=True)
class GrokfastMA(GradientModifier):
    """g + factor · mean of the last `window` gradients, once there are so many (Lee et al. 2024).

    It keeps them all: `window` times the memory of the parameters.
    """

    kind: ClassVar[str] = "grokfast_ma"

    factor: float = traced(5.0)
    """How strongly the mean of the last gradients is amplified (λ in the paper)."""
    window: int = 100
    """Number of gradients in the moving average."""

    def check(self) -> None:
        require(1 <= self.window <= 1000, "window", self.window, "give 1 to 1000 gradients")


@dataclasses.dataclass(frozen=True)
class ClipNorm(GradientModifier):
    """g · min(1, max_norm / (‖g‖ + 1e-6)), ‖g‖ over all parameters (Pascanu et al. 2013).

    That is PyTorch's `clip_grad_norm_`, number by number. `optax.clip_by_global_norm` is the same
    without the 1e-6. In the list of modifiers what stands before it is clipped, what comes after
    acts on the clipped gradient, as does coupled decay. The gradients of frozen groups count.
    """

    kind: ClassVar[str] = "clip_norm"
    clips: ClassVar[bool] = True

    max_norm: float = traced(1.0)
    """Largest Euclidean norm of the gradient of all parameters together; a longer one is scaled
    down to it. The instrument `Clipping` says how often that happens."""

    def check(self) -> None:
        require(self.max_norm > 0, "max_norm", self.max_norm, "give a positive number")


@dataclasses.dataclass(frozen=True)
class ClipValue(GradientModifier):
    """min(max(g, −clip_value), clip_value), entry by entry: PyTorch's `clip_grad_value_`."""

    kind: ClassVar[str] = "clip_value"
    clips: ClassVar[bool] = True

    clip_value: float = traced(1.0)
    """Largest absolute value of an entry of the gradient. The instrument `Clipping` says in which
    share of the updates any entry was larger."""

    def check(self) -> None:
        require(self.clip_value > 0, "clip_value", self.clip_value, "give a positive number")


@dataclasses.dataclass(frozen=True)
class OrthoGrad(GradientModifier):
    """g without its part along the weights, at g's length, array by array (Prieto et al. 2025)."""

    kind: ClassVar[str] = "ortho_grad"


@dataclasses.dataclass(frozen=True)
class GradientNoise(GradientModifier):
    """g + std · N(0, 1)."""

    kind: ClassVar[str] = "gradient_noise"

    gradient_std: float = traced(1e-3)
    """Standard deviation of the Gaussian noise that is added to every entry of the gradient."""

    def check(self) -> None:
        require(self.gradient_std >= 0, "gradient_std", self.gradient_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class WeightNoise(PerturbingModifier):
    """The gradient at w + std · N(0, 1) instead of at w."""

    kind: ClassVar[str] = "weight_noise"
    moves_the_network: ClassVar[bool] = True

    weight_std: float = traced(1e-2)
    """Standard deviation of the Gaussian noise on every weight where the gradient is taken."""

    def check(self) -> None:
        require(self.weight_std >= 0, "weight_std", self.weight_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class SAM(PerturbingModifier):
    """The gradient at w + radius · g / ‖g‖ (Foret et al. 2021): two gradients an update."""

    kind: ClassVar[str] = "sam"
    gradients_per_update: ClassVar[int] = 2

    radius: float = traced(0.05)
    """Euclidean length of the step uphill to where the gradient is taken (ρ in the paper)."""

    def check(self) -> None:
        require(self.radius >= 0, "radius", self.radius, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class L1(GradientModifier):
    """g + strength · sign(w), the gradient of strength · Σ|w|."""

    kind: ClassVar[str] = "l1"

    l1_strength: float = traced(1e-4)
    """Factor on the sum of absolute weights in the loss."""

    def check(self) -> None:
        require(self.l1_strength >= 0, "l1_strength", self.l1_strength, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class DecayToStart(UpdateModifier):
    """Decoupled decay towards the initial weights: learning rate · strength · (w − w₀) off w."""

    kind: ClassVar[str] = "decay_to_start"

    start_decay: float = traced(1.0)
    """Strength of the decay: every update takes learning rate · start_decay off the distance of a
    weight from its initial value."""

    def check(self) -> None:
        require(self.start_decay >= 0, "start_decay", self.start_decay, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class NormProjection(UpdateModifier):
    """After every update the norm of all weights is `norm_ratio` times the initial (Omnigrok).

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_projection"

    norm_ratio: float = traced(1.0)
    """Norm of all weights after every update, as a multiple of the initial norm."""

    def check(self) -> None:
        require(self.norm_ratio > 0, "norm_ratio", self.norm_ratio, "give a positive number")


@dataclasses.dataclass(frozen=True)
class NormClamp(UpdateModifier):
    """After every update the norm of all weights is at most `largest_ratio` times the initial.

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_clamp"

    largest_ratio: float = traced(1.0)
    """Largest norm of all weights after an update, as a multiple of the initial norm."""

    def check(self) -> None:
        remedy = "give a positive number"
        require(self.largest_ratio > 0, "largest_ratio", self.largest_ratio, remedy)
