"""The configuration of transformers."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from grokjax.config.coercion import require, share
from grokjax.config.fields import traced
from grokjax.config.networks import Network
from grokjax.config.parts import Task

__all__ = ["Transformer"]

DROPOUT_PLACES = ("embeddings", "weights", "attention", "hidden", "mlp")
"""In the order in which activations meet them."""


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
    norm: Literal[
        "none",
        "pre",
        "post",
        "rms",
        "peri",
        "attention",
        "mlp",
        "queries_keys",
        "values",
        "stream",
    ] = "none"
    """Where the residual stream x is normalised, by N. none: nowhere; pre: before each attention
    and MLP block f, x + f(N(x)); post: after it, N(x + f(x)); peri: on both sides of f,
    x + N(f(N(x))) (Kim et al. 2025); attention, mlp: as pre, but for these blocks alone;
    queries_keys, values: as attention, but for what these are made of alone; stream: before
    attention N(x) takes the place of x, N(x) + f(N(x)), and MLP blocks are as in pre (the code of
    Lee et al. 2024, Grokfast); rms: as pre, with RMSNorm."""
    norm_kind: Literal["layer", "rms"] | None = None
    """What N is, wherever there is one. layer: LayerNorm (Ba et al. 2016); rms: RMSNorm, which has
    no bias (Zhang & Sennrich 2019); None: layer, but for norm='rms'."""
    norm_gains: bool = True
    """Whether norms have learned gains."""
    norm_biases: bool | None = None
    """Whether LayerNorms have biases; None: as `biases`."""
    norm_epsilon: float = 1e-5
    """What norms add to the variance, or to the mean square."""
    qk_norm: bool = False
    """Whether queries and keys are normalised, each head by itself (Henry et al. 2020; Dehghani et
    al. 2023)."""
    value_norm: bool = False
    """Whether values are normalised, each head by itself."""
    final_norm: bool = False
    """Whether the residual stream is normalised once more before the unembedding."""
    attention_biases: bool | None = None
    """Whether the linear maps of attention have biases; None: as `biases`."""
    attention_init: Literal["as_init", "multihead"] = "as_init"
    """Initial weights of attention's maps. as_init: as `init` says; multihead: those of PyTorch's
    nn.MultiheadAttention, queries, keys and values U(±√(6 / (width + 3 · heads · head_width))) and
    all biases 0, the output's weights as `init` says."""
    causal: bool = True
    """Whether a position attends only to itself and earlier ones (a decoder) or to all (an
    encoder)."""
    positions: Literal["learned", "rotary", "sinusoidal", "none"] = "learned"
    """How positions are told apart. learned: a learned embedding is added; rotary: queries and
    keys are rotated (RoPE, Su et al. 2021); sinusoidal: at position t, sin(t / 10,000^(2i / width))
    is added to column 2i, the cosine to column 2i + 1 (Vaswani et al. 2017); none: not at all."""
    rotary_base: float | None = traced(None)
    """Base b of RoPE, which turns pair i of a head of width E by t · b^(−2i / E); None: 10,000."""
    embed_scale: float | None = traced(None)
    """Factor on token embeddings before positions are added, √width in Vaswani et al. 2017; a tied
    unembedding is without it. None: no factor."""
    attention: Literal["softmax", "uniform"] = "softmax"
    """How attention weights positions. softmax: by queries and keys; uniform: every visible
    position counts the same, and there are no queries and keys."""
    attention_rate: float | None = traced(None)
    """Mix of softmax attention (share `attention_rate`) and uniform attention (the rest), which
    takes a network from "pizza" at 0 to "clock" at 1 (Zhong et al. 2023; their constant part is a
    sum over positions where this one is the mean). None: softmax attention alone."""
    readout: Literal["last", "mean"] = "last"
    """Where the logits are read: from the last position, or from the mean over positions."""
    dropout_places: tuple[Literal["embeddings", "weights", "attention", "hidden", "mlp"], ...] = (
        "embeddings",
        "attention",
        "mlp",
    )
    """What dropout acts on: embeddings (of tokens and positions, in their sum), the weights of
    attention, what attention adds to the residual stream, hidden units, what an MLP block adds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # In one order and once, so that equal networks are equal.
        given = self.dropout_places
        vars(self)["dropout_places"] = tuple(place for place in DROPOUT_PLACES if place in given)

    def check(self) -> None:
        super().check()
        for name in ("layers", "heads", "base_head_width"):
            self.check_size(name)
        if self.head_width is None:
            remedy = f"it must be divisible by heads={self.heads}, or give head_width"
            require(self.width % self.heads == 0, "width", self.width, remedy)
        else:
            self.check_size("head_width")
        self._check_norms()
        remedy = "positions are not rotary, give positions='rotary' too"
        base = self.rotary_base
        require(base is None or self.positions == "rotary", "rotary_base", base, remedy)
        require(base is None or base > 1, "rotary_base", base, "give a number above 1")
        scale = self.embed_scale
        require(scale is None or scale > 0, "embed_scale", scale, "give a positive number")
        places = self.dropout_places
        remedy = "give at least one place, or leave dropout out"
        require(bool(places), "dropout_places", places, remedy)
        remedy = "there is no dropout, give dropout=0.1 too"
        default = type(self).dropout_places
        require(places == default or self.dropout is not None, "dropout_places", places, remedy)
        remedy = f"positions='rotary' turns pairs, but a head of {self.size} is odd"
        require(self.positions != "rotary" or self.size % 2 == 0, "head_width", self.size, remedy)
        rate = self.attention_rate
        remedy = share(rate or 0.0, "give a share in [0, 1]")
        require(rate is None or 0 <= rate <= 1, "attention_rate", rate, remedy)
        remedy = "attention='uniform' has no softmax to mix with, leave it out"
        require(rate is None or self.attention == "softmax", "attention_rate", rate, remedy)
        remedy = "µP goes by fan_in or width, leave it out"
        plain = self.scaling == "standard" or self.attention_init == "as_init"
        require(plain, "attention_init", self.attention_init, remedy)
        remedy = "mean_field is for MLPs, give 'standard' or 'mup'"
        require(self.scaling != "mean_field", "scaling", self.scaling, remedy)

    def _check_norms(self) -> None:
        remedy = "nothing is normalised, give a norm, or leave it out"
        for name in ("norm_kind", "norm_gains", "norm_biases", "norm_epsilon"):
            value, default = getattr(self, name), getattr(type(self), name)
            says_so = name == "norm_biases" and value is False
            require(self.normalises or value == default or says_so, name, value, remedy)
        remedy = "norm='rms' is RMSNorm, give norm='pre' for LayerNorm"
        require(self.norm != "rms" or self.norm_kind != "layer", "norm_kind", "layer", remedy)
        remedy = "RMSNorm before each block is norm='rms', write that alone"
        require(self.norm != "pre" or self.norm_kind != "rms", "norm_kind", "rms", remedy)
        remedy = "RMSNorm has no bias, leave it out"
        require(not (self.rms and self.norm_biases), "norm_biases", True, remedy)
        require(self.norm_epsilon > 0, "norm_epsilon", self.norm_epsilon, "give a positive number")
        queries = self.qk_norm or self.norm == "queries_keys"
        name = "qk_norm" if self.qk_norm else "norm"
        remedy = "attention='uniform' has no queries and keys, leave it out"
        there = self.attention == "softmax" or not queries
        require(there, name, getattr(self, name), remedy)

    def derived(self) -> dict[str, Any]:
        kinds = {"norm_kind": "rms" if self.rms else "layer"} if self.normalises else {}
        return {
            **super().derived(),
            "head_width": self.width // self.heads,
            "attention_biases": self.biases,
            "norm_biases": self.normalises and self.biases and not self.rms,
            **kinds,
        }

    def check_task(self, task: Task) -> None:
        remedy = f"the inputs of {task.kind} are numbers and no tokens, give model=MLP(...)"
        require(task.encoding == "tokens", "model", self.kind, remedy)
        remedy = f"the rows of {task.kind} hold their own answers, give causal=True"
        require(self.causal or not task.teacher_forced, "causal", self.causal, remedy)
        remedy = f"{task.kind} says which positions are read, leave it out"
        mean = self.readout == "mean" and task.target_kind == "sequence"
        require(not mean, "readout", self.readout, remedy)

    @property
    def normalises(self) -> bool:
        """Whether there is a norm anywhere."""
        return self.norm != "none" or self.qk_norm or self.value_norm or self.final_norm

    @property
    def rms(self) -> bool:
        """Whether norms are RMSNorms."""
        return "rms" in (self.norm, self.norm_kind)

    @property
    def linear_readout(self) -> bool:
        """Whether logits are linear in the hidden units of the last MLP block."""
        return not self.final_norm and self.norm not in ("post", "peri")

    @property
    def scaled_width(self) -> int:
        return self.width

    @property
    def size(self) -> int:
        """Width E of a head."""
        return self.head_width or self.width // self.heads
