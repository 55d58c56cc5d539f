"""The configuration of multilayer perceptrons."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal, Self

from grokjax.config.coercion import require
from grokjax.config.networks import Network
from grokjax.config.parts import Task

__all__ = ["MLP"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MLP(Network):
    """A multilayer perceptron with `layers` hidden layers, over tokens or features.

    h₁ = φ(Σ_t x_t W_t), h_{l+1} = φ(h_l W_l), logits = h_L W. Liu et al. 2022b (Omnigrok) take
    it deep and with ReLU on images.
    """

    kind: ClassVar[str] = "mlp"

    token_inputs: Literal["one_hot", "sum", "concatenate"] = "concatenate"
    """How tokens enter the first layer: as one-hot vectors, as the sum of their embeddings, or as
    their embeddings one after another."""
    skip_connections: bool = False
    """Whether every hidden layer but the first adds to its inputs, h_{l+1} = h_l + φ(h_l W_l)
    (He et al. 2016)."""

    def check(self) -> None:
        super().check()
        require(self.layers >= 0, "layers", self.layers, "give 0 hidden layers or more")
        remedy = "without a hidden layer tokens are one-hot, give token_inputs='one_hot'"
        linear = self.layers == 0 and self.token_inputs != "one_hot"
        require(not linear, "layers", self.layers, remedy)
        for name, value in (
            ("gated", self.gated),
            ("dropout", self.dropout is not None),
            ("tied", self.tied),
            ("embed_init", self.embed_init != "drawn"),
        ):
            remedy = "there is no hidden layer, leave it out"
            require(bool(self.layers) or not value, name, getattr(self, name), remedy)
        remedy = "the first of the hidden layers adds to nothing, give layers=2 or more"
        require(not self.skip_connections or self.layers > 1, "skip_connections", True, remedy)
        one_hot = self.token_inputs == "one_hot"
        remedy = "one-hot tokens have no embeddings, give token_inputs='concatenate' or 'sum'"
        require(not (self.tied and one_hot), "tied", True, remedy)
        require(not (self.embed_init == "identity" and one_hot), "embed_init", "identity", remedy)
        remedy = (
            f"the last hidden layer is read by embeddings, give mlp_width={self.width} or width"
        )
        require(not self.tied or self.mlp_width == self.width, "mlp_width", self.mlp_width, remedy)

    def check_task(self, task: Task) -> None:
        remedy = f"{task.kind} asks for answers at several positions, give model=Transformer(...)"
        require(task.target_kind != "sequence", "model", self.kind, remedy)
        tokens = task.encoding == "tokens"
        embeds = tokens and self.token_inputs != "one_hot"
        remedy = f"the inputs of {task.kind} are numbers, which have no embeddings, leave it out"
        for name, default in (("tied", False), ("embed_init", "drawn")):
            value = getattr(self, name)
            require(tokens or value == default, name, value, remedy)
        remedy = "µP has no rule for an MLP with embeddings here, give token_inputs='one_hot'"
        require(not (embeds and self.scaling == "mup"), "scaling", self.scaling, remedy)

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
