"""The parts an experiment is put together from: task, model, optimiser."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal, get_args

from grokjax.config.fields import Config, require, traced

Operation = Literal[
    "add",
    "sub",
    "mul",
    "div",
    "x2+y2",
    "x2+xy+y2",
    "x2+xy+y2+x",
    "x3+xy",
    "x3+xy2+y",
    "div_odd_sub_even",
    "add_even_sub_odd",
    "add_even_mul_odd",
    "random",
]
OPERATIONS: tuple[str, ...] = get_args(Operation)
DIVIDING = ("div", "div_odd_sub_even")


def is_prime(n: int) -> bool:
    """Whether n is prime, by trial division: p stays small enough for a full table."""
    return n >= 2 and all(n % d for d in range(2, int(n**0.5) + 1))


@dataclasses.dataclass(frozen=True)
class ModularArithmetic(Config):
    """The table of a binary operation on integers modulo p (Power et al. 2022, appendix A.1.1)."""

    kind: ClassVar[str] = "modular_arithmetic"

    op: Operation = "add"
    """The operation on x, y. The conditional ones look at the parity of y."""
    p: int = 97
    """The modulus; prime where the operation divides."""
    format: Literal["a b", "a b =", "a op b ="] = "a b ="
    """The tokens of a row."""
    table_seed: int = 0
    """Which random table; only `op='random'` looks at it."""

    def check(self) -> None:
        require(2 <= self.p <= 1000, "p", self.p, "the modulus must lie between 2 and 1000")
        if self.op in DIVIDING:
            remedy = f"{self.op!r} divides and so needs a prime modulus"
            require(is_prime(self.p), "p", self.p, remedy)
        remedy = "give a seed between 0 and 2**32 - 1"
        require(0 <= self.table_seed < 2**32, "table_seed", self.table_seed, remedy)

    @property
    def n_rows(self) -> int:
        """Rows of the table; plain division has none with y = 0."""
        return self.p * (self.p - (self.op == "div"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transformer(Config):
    """A decoder or encoder transformer with learned positions."""

    kind: ClassVar[str] = "transformer"

    layers: int = 1
    width: int = 128
    """Residual stream, D."""
    heads: int = 4
    head_width: int | None = None
    """Width of a head; width / heads when left out."""
    mlp_width: int = 512
    """Hidden units of the MLP, F."""
    activation: Literal["relu", "gelu", "silu", "square"] = "relu"
    """`gelu` is the exact one, `square` is x²."""
    norm: Literal["none", "pre", "post", "rms"] = "none"
    """LayerNorm before or after each block, or RMSNorm before it."""
    final_norm: bool = False
    """Normalise once more before the unembedding."""
    biases: bool = False
    """Biases in every linear map and every LayerNorm."""
    causal: bool = True
    readout: Literal["last", "mean"] = "last"
    """Logits from the last position, or from the mean over positions."""
    tied: bool = False
    """Unembed with the transposed token embedding."""
    init: Literal["normal", "lecun", "torch"] = "normal"
    """normal: N(0, 1/width) everywhere; lecun: truncated N(0, 1/fan_in);
    torch: U(±1/√fan_in) with N(0, 1) embeddings."""
    init_scale: float = traced(1.0)
    """Factor on every initial weight and bias, norm gains excepted."""

    def check(self) -> None:
        for name in ("layers", "width", "heads", "mlp_width"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        if self.head_width is None:
            remedy = f"it must be divisible by heads={self.heads}, or give head_width"
            require(self.width % self.heads == 0, "width", self.width, remedy)
        else:
            require(self.head_width >= 1, "head_width", self.head_width, "give 1 or more")
        remedy = "there is no norm to repeat, give norm='pre', 'post' or 'rms'"
        require(not (self.final_norm and self.norm == "none"), "final_norm", True, remedy)
        require(self.init_scale > 0, "init_scale", self.init_scale, "give a positive number")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdamW(Config):
    """Adam with decoupled weight decay on every parameter (Loshchilov & Hutter 2019).

    Decay is multiplied by the learning rate, as in PyTorch and optax.
    """

    kind: ClassVar[str] = "adamw"

    learning_rate: float = traced(1e-3)
    weight_decay: float = traced(1.0)
    b1: float = traced(0.9)
    b2: float = traced(0.98)
    eps: float = traced(1e-8)
    warmup_steps: int = traced(0)
    """Updates over which the learning rate rises linearly; the first uses 1/warmup_steps of it."""

    def check(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "give a positive one")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "give 0 or more")
        for name in ("b1", "b2"):
            value = getattr(self, name)
            require(0 <= value < 1, name, value, "give a number in [0, 1)")
        require(self.eps > 0, "eps", self.eps, "give a positive number")
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "give 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refine(Config):
    """After the grid, further runs where the boundary of grokking is least certain.

    The lattice of candidates has the levels of the grid's two axes and midpoints between them;
    each of its cells may have every seed of the grid, and further ones up to `seeds`.
    """

    rounds: int = 4
    """Times that the boundary is fitted anew and runs are chosen."""
    runs: int = 100
    """Beyond the grid, in all rounds together."""
    halvings: int = 1
    """How often the distance between neighbouring levels is halved."""
    seeds: int = 5
    """So many seeds, 0 and up, may be used in every cell beside the grid's own."""
    band: float | None = None
    """Stop once the 95 % band of the boundary covers less than this share of the map."""

    def check(self) -> None:
        for name in ("rounds", "runs", "seeds"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        require(0 <= self.halvings <= 6, "halvings", self.halvings, "give 0 to 6")
        remedy = "a share of the map lies strictly between 0 and 1"
        require(self.band is None or 0 < self.band < 1, "band", self.band, remedy)
