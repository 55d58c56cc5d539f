"""Optimisers, and factors on the learning rates and decays of groups of parameters."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require
from grokjax.config.fields import Config, traced
from grokjax.config.parts import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "Lion", "Muon", "ParameterGroups", "RMSProp"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Adaptive(Optimizer):
    b1: float = traced(0.9)
    """Decay β₁ of the running mean of gradients (the first moment)."""
    b2: float = traced(0.98)
    """Decay β₂ of the running mean of squared gradients (the second moment)."""
    eps: float = traced(1e-8)
    """Number ε that is added to the root of the second moment, against division by zero."""

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
    coupled: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Gradient descent with momentum: v ← momentum · v + g, as in PyTorch."""

    kind: ClassVar[str] = "sgd"
    adaptive: ClassVar[bool] = False

    learning_rate: float = traced(1e-1)
    """Step size of an update, before warmup and schedule."""
    momentum: float = traced(0.0)
    """Share of the last velocity in the next; 0: plain gradient descent."""
    nesterov: bool = False
    """Whether to use Nesterov's momentum, g + momentum · v, instead of v."""
    decay: Literal["coupled", "decoupled"] = "coupled"
    """Where weight decay acts: on the gradient, so that momentum smooths it (coupled), or on the
    weights, beside the update (decoupled)."""

    @property
    def coupled(self) -> bool:  # type: ignore[override]  # a fact of other classes, a choice here
        """Whether weight decay is part of the gradient."""
        return self.decay == "coupled"

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
    scales_with_width: ClassVar[bool] = False

    learning_rate: float = traced(1e-2)
    """Step size of an update, before warmup and schedule."""
    momentum: float = traced(0.95)
    """Decay of the running mean of gradients of the matrices in the body."""

    def check(self) -> None:
        super().check()
        _check_memory(self, "momentum")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lion(Optimizer):
    """sign(b1 · m + (1 − b1) · g) with decoupled decay (Chen et al. 2023)."""

    kind: ClassVar[str] = "lion"

    learning_rate: float = traced(1e-4)
    """Step size of an update, before warmup and schedule."""
    b1: float = traced(0.9)
    """Share β₁ of the momentum, not the gradient, in the sign that an update takes."""
    b2: float = traced(0.99)
    """Decay β₂ of the momentum, a running mean of gradients."""

    def check(self) -> None:
        super().check()
        for name in ("b1", "b2"):
            _check_memory(self, name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """g / (√v + eps) with v ← b2 · v + (1 − b2) · g² (Tieleman & Hinton 2012), coupled decay."""

    kind: ClassVar[str] = "rmsprop"
    coupled: ClassVar[bool] = True

    b2: float = traced(0.99)
    """Decay of the running mean of squared gradients."""
    eps: float = traced(1e-8)
    """Number ε that is added to the root of that mean, against division by zero."""

    def check(self) -> None:
        super().check()
        _check_memory(self, "b2")
        require(self.eps > 0, "eps", self.eps, "give a positive number")


def _check_memory(optimizer: Optimizer, name: str) -> None:
    value = getattr(optimizer, name)
    require(0 <= value < 1, name, value, "give a number in [0, 1)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParameterGroups(Config):
    """Factors on learning rate and decay of groups of parameters; a rate of 0 freezes a group.

    `embed` is token and position embeddings (the first layer of an MLP that has none), `unembed`
    the last layer, `bias` every bias and every gain of a norm, `body` the rest.
    """

    kind: ClassVar[str] = "groups"

    embed_learning_rate: float = traced(1.0)
    """Factor on the learning rate of the embeddings; 0 freezes them."""
    body_learning_rate: float = traced(1.0)
    """Factor on the learning rate of the weights between embeddings and last layer; 0 freezes
    them."""
    unembed_learning_rate: float = traced(1.0)
    """Factor on the learning rate of the last layer; 0 freezes it."""
    bias_learning_rate: float = traced(1.0)
    """Factor on the learning rate of biases and gains of norms; 0 freezes them."""
    embed_decay: float = traced(1.0)
    """Factor on the weight decay of the embeddings. Decoupled decay is multiplied by the group's
    learning rate too, and so by its factor."""
    body_decay: float = traced(1.0)
    """Factor on the weight decay of the weights between embeddings and last layer."""
    unembed_decay: float = traced(1.0)
    """Factor on the weight decay of the last layer."""
    bias_decay: float = traced(1.0)
    """Factor on the weight decay of biases and gains of norms."""

    def check(self) -> None:
        for name, value in self.traced_values().items():
            require(value >= 0, name, value, "give 0 or more")
