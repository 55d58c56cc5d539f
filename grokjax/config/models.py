"""Networks: the transformer and the multilayer perceptrons."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, Self

from grokjax.config.fields import require, traced
from grokjax.config.parts import Model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network(Model):
    """What both kinds of networks have."""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Network):
    """A decoder or encoder transformer (Vaswani et al. 2017; options as in Nanda et al. 2023)."""

    kind: ClassVar[str] = "transformer"

    heads: int = 4
    head_width: int | None = None
    """Width of a head; width / heads when left out."""
    base_head_width: int = 16
    """At which µP changes no scores."""
    norm: Literal["none", "pre", "post", "rms"] = "none"
    """LayerNorm before or after each block, or RMSNorm before it."""
    final_norm: bool = False
    """Normalise once more before the unembedding."""
    causal: bool = True
    positions: Literal["learned", "rotary", "none"] = "learned"
    """Added embeddings, or rotated queries and keys (Su et al. 2021, base 10,000)."""
    attention: Literal["softmax", "uniform"] = "softmax"
    """uniform: every visible position counts the same, and there are no queries and keys."""
    attention_rate: float | None = traced(None)
    """Share of softmax attention, the rest being uniform: 1 a clock, 0 a pizza (Zhong et al.
    2023, whose constant part is a sum over positions where this is their mean)."""
    readout: Literal["last", "mean"] = "last"
    """Logits from the last position, or from the mean over positions."""
    tied: bool = False
    """Unembed with the transposed token embedding."""

    def check(self) -> None:
        super().check()
        for name in ("layers", "heads", "base_head_width"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        if self.head_width is None:
            remedy = f"it must be divisible by heads={self.heads}, or give head_width"
            require(self.width % self.heads == 0, "width", self.width, remedy)
        else:
            require(self.head_width >= 1, "head_width", self.head_width, "give 1 or more")
        remedy = "there is no norm to repeat, give norm='pre', 'post' or 'rms'"
        require(not (self.final_norm and self.norm == "none"), "final_norm", True, remedy)
        remedy = f"positions='rotary' turns pairs, but a head of {self.size} is odd"
        require(self.positions != "rotary" or self.size % 2 == 0, "head_width", self.size, remedy)
        rate = self.attention_rate
        require(rate is None or 0 <= rate <= 1, "attention_rate", rate, "give a share in [0, 1]")
        remedy = "attention='uniform' has no softmax to mix with, leave it out"
        require(rate is None or self.attention == "softmax", "attention_rate", rate, remedy)
        remedy = "mean_field is for MLPs, give 'standard' or 'mup'"
        require(self.scaling != "mean_field", "scaling", self.scaling, remedy)

    @property
    def size(self) -> int:
        """Width of a head, E."""
        return self.head_width or self.width // self.heads


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """A multilayer perceptron with `layers` hidden layers, over tokens or features.

    h₁ = φ(Σ_t x_t W_t), h_{l+1} = φ(h_l W_l), logits = h_L W. Liu et al. 2022b (Omnigrok) take
    it deep and with ReLU on images.
    """

    kind: ClassVar[str] = "mlp"

    token_inputs: Literal["one_hot", "sum", "concatenate"] = "concatenate"
    """What the first layer sees of tokens: themselves, or the sum or list of their embeddings."""
    gated: bool = False
    """Every hidden layer is φ(x W) ⊙ (x V); with activation 'identity' that is bilinear."""
    # One choice more than other networks have, which a type checker cannot know to be harmless.
    activation: Literal["relu", "gelu", "silu", "square", "identity"] = "relu"  # type: ignore[assignment]

    def check(self) -> None:
        super().check()
        require(self.layers >= 0, "layers", self.layers, "give 0 hidden layers or more")
        remedy = "without a hidden layer tokens are one-hot, give token_inputs='one_hot'"
        linear = self.layers == 0 and self.token_inputs != "one_hot"
        require(not linear, "layers", self.layers, remedy)
        for name, value in (("gated", self.gated), ("dropout", self.dropout is not None)):
            remedy = "there is no hidden layer, leave it out"
            require(bool(self.layers) or not value, name, getattr(self, name), remedy)

    @classmethod
    def quadratic(cls, mlp_width: int = 500, **fields: Any) -> Self:
        """One-hot inputs, one hidden layer, x² (Gromov 2023), in mean-field scaling."""
        given = {"token_inputs": "one_hot", "activation": "square", "scaling": "mean_field"}
        return cls(mlp_width=mlp_width, **{**given, **fields})

    @classmethod
    def bilinear(cls, mlp_width: int = 512, **fields: Any) -> Self:
        """Hidden layers (x W) ⊙ (x V), without a nonlinearity of their own (Pearce et al. 2024)."""
        return cls(mlp_width=mlp_width, **{"gated": True, "activation": "identity", **fields})

    @classmethod
    def linear(cls, **fields: Any) -> Self:
        """No hidden layer: logits linear in one-hot tokens, or in features."""
        return cls(**{"layers": 0, "token_inputs": "one_hot", **fields})
