"""What the transformer and the multilayer perceptron have in common."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.fields import require
from grokjax.config.parts import Model

__all__ = ["Network"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Model):
    """What both kinds of networks have."""

    residual: ClassVar[bool] = False
    """Whether activations are a residual stream of `width`, which initial weights go by."""

    width: int = 128
    """Residual stream of a transformer, embeddings of an MLP; D."""
    mlp_width: int = 512
    """Hidden units, F."""
    layers: int = 1
    activation: Literal["relu", "gelu", "silu", "square"] = "relu"
    """`gelu` is the exact one, `square` is x²."""
    biases: bool = False
    """Biases in every linear map and every LayerNorm."""
    init: Literal["normal", "lecun", "torch"] = "normal"
    """normal: N(0, 1/width) everywhere; lecun: truncated N(0, 1/fan_in);
    torch: U(±1/√fan_in) with N(0, 1) embeddings."""
    scaling: Literal["standard", "mup", "mean_field"] = "standard"
    """mup: rates, multipliers and scores as in Yang et al. 2022, which is `standard` at
    `base_width`; mean_field: weights N(0, 1), maps divided by √fan_in and the last by fan_in
    (Gromov 2023), MLPs only."""
    base_width: int = 64
    """At which µP changes nothing but scores."""

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
