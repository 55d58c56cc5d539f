"""The transformer."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.fields import require, traced
from grokjax.config.networks import Network
from grokjax.config.parts import Task

__all__ = ["Transformer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Network):
    """A decoder or encoder transformer (Vaswani et al. 2017; options as in Nanda et al. 2023)."""

    kind: ClassVar[str] = "transformer"
    residual: ClassVar[bool] = True

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

    def derived(self) -> dict[str, int]:
        return {"head_width": self.width // self.heads}

    def check_task(self, task: Task) -> None:
        remedy = f"the inputs of {task.kind} are numbers and no tokens, give model=MLP(...)"
        require(task.encoding == "tokens", "model", self.kind, remedy)
        remedy = f"the rows of {task.kind} hold their own answers, give causal=True"
        require(self.causal or not task.teacher_forced, "causal", self.causal, remedy)
        remedy = f"{task.kind} says which positions are read, leave it out"
        mean = self.readout == "mean" and task.target_kind == "sequence"
        require(not mean, "readout", self.readout, remedy)

    @property
    def scaled_width(self) -> int:
        return self.width

    @property
    def size(self) -> int:
        """Width of a head, E."""
        return self.head_width or self.width // self.heads
