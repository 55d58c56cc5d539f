"""Fields that the transformer and the multilayer perceptron have in common."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from grokjax.config.coercion import require, within
from grokjax.config.parts import Model

__all__ = ["Network"]


MOST_UNITS = 2**24
"""Of a layer: more than any machine holds the square of."""
MOST_LAYERS = 256
"""Each is compiled on its own, which takes a second or more."""


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
    activation: Literal[
        "relu",
        "gelu",
        "gelu_tanh",
        "silu",
        "tanh",
        "sigmoid",
        "leaky_relu",
        "square",
        "identity",
    ] = "relu"
    """Nonlinearity φ of the hidden units. gelu: the exact one (with erf); gelu_tanh: its
    approximation with tanh (GPT-2's); leaky_relu: with slope 0.01 below 0; square: x²; identity:
    none, with which a gated layer is bilinear."""
    gated: bool = False
    """Whether every hidden layer is gated, φ(x W) ⊙ (x V), a gated linear unit (GLU; Shazeer 2020):
    SwiGLU with activation='silu', GEGLU with 'gelu'."""
    biases: bool = False
    """Whether linear maps and LayerNorms have biases, where no field says otherwise of some."""
    unembed_biases: bool | None = None
    """Whether the last linear map has a bias; None: as `biases`."""
    tied: bool = False
    """Whether the unembedding is the transposed token embedding (weight tying)."""
    init: Literal[
        "normal",
        "lecun",
        "torch",
        "kaiming_normal",
        "kaiming_uniform",
        "xavier_normal",
        "xavier_uniform",
        "gpt2",
    ] = "normal"
    """Distribution of the initial weights. normal: N(0, 1/width) everywhere; lecun: truncated
    N(0, 1/fan_in); torch: U(±1/√fan_in), embeddings N(0, 1), which is PyTorch's default and
    Kaiming's with a = √5; kaiming_normal, kaiming_uniform: variance 2/fan_in (He et al. 2015);
    xavier_normal, xavier_uniform: variance 2/(fan_in + fan_out) (Glorot & Bengio 2010); gpt2:
    N(0, 0.02²), maps that add to the residual stream over √(2 layers) (Radford et al. 2019).
    Biases start at 0 but for torch's; Kaiming's and Xavier's embeddings are N(0, 1/width)."""
    embed_init: Literal["drawn", "identity", "frequencies"] = "drawn"
    """Initial token embeddings. drawn: as `init` says; identity: row t is the t-th unit vector;
    frequencies: of number t, cos and sin of 2π k t / n for each k of `frequencies`, over the root
    of their number, and zeros, n being the number of classes; signs are drawn. With one-hot inputs
    a hidden unit of the first layer has one of `frequencies` instead, in turn, and its phase at
    each position is drawn."""
    frequencies: tuple[int, ...] = ()
    """Frequencies k of embed_init='frequencies', from 1 to n // 2."""
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
            self.check_size(name)
        self.check_size("layers", least=0, most=MOST_LAYERS)
        remedy = "the unembedding is the token embedding, which has none, leave it out"
        require(not (self.tied and self.unembed_biases), "unembed_biases", True, remedy)
        remedy = "µP goes by fan_in or width, give 'normal', 'lecun', 'torch' or Kaiming's"
        by_both = self.init == "gpt2" or self.init.startswith("xavier")
        require(not (self.scaling == "mup" and by_both), "init", self.init, remedy)
        given, waves = self.frequencies, self.embed_init == "frequencies"
        remedy = "embed_init='frequencies' needs some, as in frequencies=[3, 7]"
        require(bool(given) or not waves, "frequencies", given, remedy)
        remedy = "they are those of embed_init='frequencies', give it too"
        require(waves or not given, "frequencies", given, remedy)
        remedy = "give each once, whole numbers from 1"
        once = len(set(given)) == len(given) and all(k >= 1 for k in given)
        require(once, "frequencies", given, remedy)

    def check_size(self, name: str, least: int = 1, most: int = MOST_UNITS) -> None:
        """Refuse a number of units or layers that no network has."""
        within(getattr(self, name), name, least, most)

    def derived(self) -> dict[str, Any]:
        return {"unembed_biases": self.biases and not self.tied}

    def biased(self, of: str) -> bool:
        """Whether maps or norms of some kind have biases, `unembed` say."""
        own: bool | None = getattr(self, f"{of}_biases", None)
        return self.biases if own is None else own

    @property
    def width_ratio(self) -> float:
        return self.scaled_width / self.base_width if self.scaling == "mup" else 1.0

    @property
    def scaled_width(self) -> int:
        """The width that µP compares with `base_width`."""
        return self.mlp_width
