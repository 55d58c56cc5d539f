"""Fields that the transformer and the multilayer perceptron have in common."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require
from grokjax.config.parts import Model

__all__ = ["Network"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Model):
    """Fields that both kinds of networks have."""

    residual: ClassVar[bool] = False
    """Whether layers add to a residual stream of `width`, whose size initial weights go by."""

    width: int = 128
    """Width D of a transformer's residual stream (d_model), or of an MLP's token embeddings."""
    mlp_width: int = 512
    """Hidden units F in each hidden layer of an MLP, or in each of a transformer's MLP blocks."""
    layers: int = 1
    """Number of transformer blocks, or of an MLP's hidden layers."""
    activation: Literal["relu", "gelu", "silu", "square"] = "relu"
    """Nonlinearity of the hidden units; gelu is the exact one (with erf), square is x²."""
    biases: bool = False
    """Whether every linear map and every LayerNorm has a bias."""
    init: Literal["normal", "lecun", "torch"] = "normal"
    """Distribution of the initial weights. normal: N(0, 1/width) everywhere; lecun: truncated
    N(0, 1/fan_in); torch: U(±1/√fan_in), embeddings N(0, 1)."""
    scaling: Literal["standard", "mup", "mean_field"] = "standard"
    """Parametrisation: how scales and learning rates depend on the width. standard: they do not,
    beyond `init`; mup: maximal update parametrisation µP (Yang et al. 2022), which agrees with
    standard at `base_width`; mean_field: weights N(0, 1), every linear map divided by √fan_in and
    the last by fan_in (Gromov 2023), MLPs only."""
    base_width: int = 64
    """With scaling='mup', the width at which learning rates and initial weights are those of the
    standard parametrisation; other widths are scaled relative to it."""

    def check(self) -> None:
        super().check()
        for name in ("width", "mlp_width", "base_width"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")

    @property
    def width_ratio(self) -> float:
        return self.scaled_width / self.base_width if self.scaling == "mup" else 1.0

    @property
    def scaled_width(self) -> int:
        """The width that µP compares with `base_width`."""
        return self.mlp_width
