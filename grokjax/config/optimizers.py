"""Optimisers, groups of parameters, and what modifies gradients, updates and weights."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.fields import Config, require, traced
from grokjax.config.parts import Modifier, Optimizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Adaptive(Optimizer):
    b1: float = traced(0.9)
    b2: float = traced(0.98)
    eps: float = traced(1e-8)

    def check(self) -> None:
        super().check()
        for name in ("b1", "b2"):
            _check_memory(self, name)
        require(self.eps > 0, "eps", self.eps, "give a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(_Adaptive):
    """Adam with decoupled weight decay: m̂ / (√v̂ + eps) (Loshchilov & Hutter 2019)."""

    kind: ClassVar[str] = "adamw"

    weight_decay: float = traced(1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam(_Adaptive):
    """Adam with coupled L2: decay is part of the gradient (Kingma & Ba 2015)."""

    kind: ClassVar[str] = "adam"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent with momentum: v ← momentum · v + g, as in PyTorch."""

    kind: ClassVar[str] = "sgd"

    learning_rate: float = traced(1e-1)
    momentum: float = traced(0.0)
    nesterov: bool = False
    decay: Literal["coupled", "decoupled"] = "coupled"
    """Decay as part of the gradient, so that momentum smooths it, or beside it."""

    def check(self) -> None:
        super().check()
        _check_memory(self, "momentum")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Muon(_Adaptive):
    """Orthogonalised momentum for the matrices of the body, AdamW for the rest (Jordan 2024).

    Five Newton–Schulz steps make the singular values of the momentum alike; the update is
    scaled by √max(1, fan_out / fan_in). Decay is decoupled.
    """

    kind: ClassVar[str] = "muon"

    learning_rate: float = traced(1e-2)
    momentum: float = traced(0.95)

    def check(self) -> None:
        super().check()
        _check_memory(self, "momentum")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """sign(b1 · m + (1 − b1) · g) with decoupled decay (Chen et al. 2023)."""

    kind: ClassVar[str] = "lion"

    learning_rate: float = traced(1e-4)
    b1: float = traced(0.9)
    b2: float = traced(0.99)

    def check(self) -> None:
        super().check()
        for name in ("b1", "b2"):
            _check_memory(self, name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """g / (√v + eps) with v ← b2 · v + (1 − b2) · g² (Tieleman & Hinton 2012), coupled decay."""

    kind: ClassVar[str] = "rmsprop"

    b2: float = traced(0.99)
    eps: float = traced(1e-8)

    def check(self) -> None:
        super().check()
        _check_memory(self, "b2")
        require(self.eps > 0, "eps", self.eps, "give a positive number")


def _check_memory(optimizer: Optimizer, name: str) -> None:
    value = getattr(optimizer, name)
    require(0 <= value < 1, name, value, "give a number in [0, 1)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Groups(Config):
    """Factors on learning rate and decay of groups of parameters; a rate of 0 freezes a group.

    `embed` is token and position embeddings (the first layer of an MLP that has none), `unembed`
    the last layer, `bias` every bias and every gain of a norm, `body` the rest.
    """

    kind: ClassVar[str] = "groups"

    embed_learning_rate: float = traced(1.0)
    body_learning_rate: float = traced(1.0)
    unembed_learning_rate: float = traced(1.0)
    bias_learning_rate: float = traced(1.0)
    embed_decay: float = traced(1.0)
    """Decay of a group is this times its learning rate's factor, where decay is decoupled."""
    body_decay: float = traced(1.0)
    unembed_decay: float = traced(1.0)
    bias_decay: float = traced(1.0)

    def check(self) -> None:
        for name, value in self.numbers().items():
            require(value >= 0, name, value, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class GrokfastEMA(Modifier):
    """g + factor · ema(g), the slow part of the gradient amplified (Lee et al. 2024)."""

    kind: ClassVar[str] = "grokfast_ema"

    factor: float = traced(2.0)
    memory: float = traced(0.98)
    """Share of the average that an update keeps; the first gradient starts it."""

    def check(self) -> None:
        require(0 <= self.memory < 1, "memory", self.memory, "give a number in [0, 1)")


@dataclasses.dataclass(frozen=True)
class GrokfastMA(Modifier):
    """g + factor · mean of the last `window` gradients, once there are so many (Lee et al. 2024).

    It keeps them all: `window` times the memory of the parameters.
    """

    kind: ClassVar[str] = "grokfast_ma"

    factor: float = traced(5.0)
    window: int = 100

    def check(self) -> None:
        require(1 <= self.window <= 1000, "window", self.window, "give 1 to 1000 gradients")


@dataclasses.dataclass(frozen=True)
class OrthoGrad(Modifier):
    """g without its part along the weights, at g's length, array by array (Prieto et al. 2025)."""

    kind: ClassVar[str] = "ortho_grad"


@dataclasses.dataclass(frozen=True)
class GradientNoise(Modifier):
    """g + std · N(0, 1)."""

    kind: ClassVar[str] = "gradient_noise"

    gradient_std: float = traced(1e-3)

    def check(self) -> None:
        require(self.gradient_std >= 0, "gradient_std", self.gradient_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class WeightNoise(Modifier):
    """The gradient at w + std · N(0, 1) instead of at w."""

    kind: ClassVar[str] = "weight_noise"

    weight_std: float = traced(1e-2)

    def check(self) -> None:
        require(self.weight_std >= 0, "weight_std", self.weight_std, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class SAM(Modifier):
    """The gradient at w + radius · g / ‖g‖ (Foret et al. 2021): two gradients an update."""

    kind: ClassVar[str] = "sam"

    radius: float = traced(0.05)

    def check(self) -> None:
        require(self.radius >= 0, "radius", self.radius, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class L1(Modifier):
    """g + strength · sign(w), the gradient of strength · Σ|w|."""

    kind: ClassVar[str] = "l1"

    l1_strength: float = traced(1e-4)

    def check(self) -> None:
        require(self.l1_strength >= 0, "l1_strength", self.l1_strength, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class DecayToStart(Modifier):
    """Decoupled decay towards the initial weights: learning rate · strength · (w − w₀) off w."""

    kind: ClassVar[str] = "decay_to_start"

    start_decay: float = traced(1.0)

    def check(self) -> None:
        require(self.start_decay >= 0, "start_decay", self.start_decay, "give 0 or more")


@dataclasses.dataclass(frozen=True)
class NormProjection(Modifier):
    """After every update the norm of all weights is `norm_ratio` times the initial (Omnigrok).

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_projection"

    norm_ratio: float = traced(1.0)

    def check(self) -> None:
        require(self.norm_ratio > 0, "norm_ratio", self.norm_ratio, "give a positive number")


@dataclasses.dataclass(frozen=True)
class NormClamp(Modifier):
    """After every update the norm of all weights is at most `largest_ratio` times the initial.

    Every array is scaled, those of frozen groups too.
    """

    kind: ClassVar[str] = "norm_clamp"

    largest_ratio: float = traced(1.0)

    def check(self) -> None:
        remedy = "give a positive number"
        require(self.largest_ratio > 0, "largest_ratio", self.largest_ratio, remedy)
