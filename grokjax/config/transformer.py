"""The configuration of transformers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require, share
from grokjax.config.fields import traced
from grokjax.config.networks import Network
from grokjax.config.parts import Task

__all__ = ["Transformer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Network):
    """A decoder or encoder transformer (Vaswani et al. 2017; options as in Nanda et al. 2023)."""

    kind: ClassVar[str] = "transformer"
    residual: ClassVar[bool] = True

    heads: int = 4
    """Number of attention heads in each block."""
    head_width: int | None = None
    """Width E of the queries, keys and values of a head; None: width / heads."""
    base_head_width: int = 16
    """With scaling='mup', the head width at which attention scores are those of the standard
    parametrisation; they are divided by head_width / √base_head_width."""
    norm: Literal["none", "pre", "post", "rms"] = "none"
    """Normalisation. none: there is none; pre: LayerNorm before each attention and MLP block;
    post: LayerNorm after it; rms: RMSNorm before it."""
    final_norm: bool = False
    """Whether the residual stream is normalised once more before the unembedding."""
    causal: bool = True
    """Whether a position attends only to itself and earlier ones (a decoder) or to all (an
    encoder)."""
    positions: Literal["learned", "rotary", "none"] = "learned"
    """How positions are told apart. learned: a learned embedding is added; rotary: queries and
    keys are rotated (RoPE, Su et al. 2021, base 10,000); none: not at all."""
    attention: Literal["softmax", "uniform"] = "softmax"
    """How attention weights positions. softmax: by queries and keys; uniform: every visible
    position counts the same, and there are no queries and keys."""
    attention_rate: float | None = traced(None)
    """Mix of softmax attention (share `attention_rate`) and uniform attention (the rest), which
    takes a network from "pizza" at 0 to "clock" at 1 (Zhong et al. 2023; their constant part is a
    sum over positions where this one is the mean). None: softmax attention alone."""
    readout: Literal["last", "mean"] = "last"
    """Where the logits are read: from the last position, or from the mean over positions."""
    tied: bool = False
    """Whether the unembedding is the transposed token embedding (weight tying)."""

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
        remedy = share(rate or 0.0, "give a share in [0, 1]")
        require(rate is None or 0 <= rate <= 1, "attention_rate", rate, remedy)
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
        """Width E of a head."""
        return self.head_width or self.width // self.heads
