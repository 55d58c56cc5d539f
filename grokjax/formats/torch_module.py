"""The networks of grokjax as PyTorch modules, in a file that needs nothing but PyTorch.

Copy it beside a file of weights to use these without grokjax:

    module = Transformer(**settings)
    module.load_state_dict(safetensors.torch.load_file("net.safetensors"))

Settings are in the file's metadata, under `settings`. There is no dropout: a module computes what a
network does when it is tested. Factors of other parametrisations are multiplied into the weights.

Legend: N rows, T positions, I features, V tokens, C classes, A answers of a row, D residual width,
H heads, E head width, F hidden units.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,  # the exact one, with erf
    "silu": functional.silu,
    "square": torch.square,
    "identity": lambda x: x,
}
NORM_EPSILON = 1e-5


class Attention(nn.Module):
    """Multi-head attention, `[N, T, D]` → `[N, T, D]`.

    Softmax attention has the share `softmax_share` in what a position sees, the plain mean over
    visible positions the rest. With the share 0 there are no queries and keys.
    """

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        head_width: int,
        biases: bool,
        causal: bool,
        rotary: bool,
        softmax_share: float,
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.causal, self.rotary, self.softmax_share = causal, rotary, softmax_share
        inside = heads * head_width
        if softmax_share:
            self.query = nn.Linear(width, inside, bias=biases)
            self.key = nn.Linear(width, inside, bias=biases)
        self.value = nn.Linear(width, inside, bias=biases)
        self.output = nn.Linear(inside, width, bias=biases)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What attention adds to each position."""
        mixed = self.pattern(x) @ self.split(self.value(x))  # [N, H, T, E]
        return self.output(mixed.transpose(1, 2).flatten(2))

    def pattern(self, x: torch.Tensor) -> torch.Tensor:
        """How much each position takes of each other one, `[N, H, T asked, T seen]`."""
        positions = x.shape[1]
        visible = torch.ones(positions, positions, dtype=torch.bool, device=x.device)
        visible = visible.tril() if self.causal else visible
        mean = visible.to(x.dtype) / visible.sum(dim=-1, keepdim=True)
        if not self.softmax_share:
            return mean.expand(len(x), self.heads, -1, -1)
        query, key = self.split(self.query(x)), self.split(self.key(x))
        if self.rotary:
            query, key = rotated(query), rotated(key)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_width)
        softmax = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        return self.softmax_share * softmax + (1 - self.softmax_share) * mean

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """`[N, T, H · E]` → `[N, H, T, E]`."""
        return x.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)


def rotated(x: torch.Tensor) -> torch.Tensor:
    """Queries or keys `[N, H, T, E]`, turned by position · 10000^(−2i/E) (RoPE).

    Entry i of a head's first half and entry i of its second half are a pair.
    """
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
    angles = torch.arange(x.shape[-2], device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, other = x[..., :half], x[..., half:]
    return torch.cat([one * cos - other * sin, one * sin + other * cos], dim=-1)


class Hidden(nn.Module):
    """One hidden layer beside the residual stream, `[N, T, D]` → `[N, T, D]`."""

    def __init__(self, *, width: int, mlp_width: int, activation: str, biases: bool) -> None:
        super().__init__()
        self.into = nn.Linear(width, mlp_width, bias=biases)
        self.out = nn.Linear(mlp_width, width, bias=biases)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer adds to each position."""
        return self.out(self.activation(self.into(x)))


class Block(nn.Module):
    """Attention and a hidden layer, each adding to the residual stream `[N, T, D]`."""

    def __init__(
        self, attention: Attention, mlp: Hidden, norms: Sequence[nn.Module], post: bool
    ) -> None:
        super().__init__()
        self.attention, self.mlp = attention, mlp
        self.norm_attention, self.norm_mlp = norms
        self.post = post

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The stream after the block."""
        if self.post:
            x = self.norm_attention(x + self.attention(x))
            return self.norm_mlp(x + self.mlp(x))
        x = x + self.attention(self.norm_attention(x))
        return x + self.mlp(self.norm_mlp(x))


class Transformer(nn.Module):
    """Tokens `[N, T]` → logits `[N, C]`, or `[N, A, C]` where rows have several answers."""

    def __init__(
        self,
        *,
        vocabulary: int,
        n_positions: int,
        n_classes: int,
        width: int,
        heads: int,
        head_width: int,
        mlp_width: int,
        layers: int,
        activation: str,
        norm: str,
        final_norm: bool,
        biases: bool,
        causal: bool,
        positions: str,
        softmax_share: float,
        readout: str | Sequence[int],
    ) -> None:
        """Sizes and options.

        Args:
          vocabulary: V.
          n_positions: T.
          n_classes: C.
          width: D.
          heads: H.
          head_width: E.
          mlp_width: F.
          layers: number of blocks.
          activation: of the hidden units.
          norm: none, pre, post or rms.
          final_norm: whether the stream is normalised before the unembedding.
          biases: whether linear maps and LayerNorms have biases.
          causal: whether a position sees no later ones.
          positions: learned, rotary or none.
          softmax_share: of attention; the rest is the plain mean.
          readout: last, mean, or the positions of the answers.
        """
        super().__init__()
        self.readout = readout if isinstance(readout, str) else list(readout)
        self.embed = nn.Embedding(vocabulary, width)
        learned = nn.Parameter(torch.zeros(n_positions, width)) if positions == "learned" else None
        self.register_parameter("position", learned)
        self.blocks = nn.Sequential(
            *(
                Block(
                    Attention(
                        width=width,
                        heads=heads,
                        head_width=head_width,
                        biases=biases,
                        causal=causal,
                        rotary=positions == "rotary",
                        softmax_share=softmax_share,
                    ),
                    Hidden(width=width, mlp_width=mlp_width, activation=activation, biases=biases),
                    [normalisation(norm, width, biases) for _ in range(2)],
                    post=norm == "post",
                )
                for _ in range(layers)
            )
        )
        self.final_norm = normalisation(norm if final_norm else "none", width, biases)
        self.unembed = nn.Linear(width, n_classes, bias=biases)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits where they are read."""
        x = self.embed(tokens)
        x = x if self.position is None else x + self.position
        x = self.final_norm(self.blocks(x))
        if self.readout == "mean":
            x = x.mean(dim=1)
        else:
            x = x[:, -1 if self.readout == "last" else self.readout]
        return self.unembed(x)


def normalisation(norm: str, width: int, biases: bool) -> nn.Module:
    """A LayerNorm, an RMSNorm, or nothing."""
    if norm == "none":
        return nn.Identity()
    if norm == "rms":
        return nn.RMSNorm(width, eps=NORM_EPSILON)
    return nn.LayerNorm(width, eps=NORM_EPSILON, bias=biases)


class MLP(nn.Module):
    """Tokens `[N, T]` or features `[N, I]` → logits `[N, C]`."""

    def __init__(
        self,
        *,
        vocabulary: int,
        n_inputs: int,
        n_classes: int,
        width: int,
        mlp_width: int,
        layers: int,
        activation: str,
        gated: bool,
        biases: bool,
        token_inputs: str,
    ) -> None:
        """Sizes and options.

        Args:
          vocabulary: V; 0 where inputs are features.
          n_inputs: T or I.
          n_classes: C.
          width: of the embeddings, if there are any.
          mlp_width: F.
          layers: number of hidden layers.
          activation: of the hidden units.
          gated: whether hidden layers are φ(x · W) ⊙ (x · V).
          biases: whether linear maps have biases.
          token_inputs: how tokens enter the first layer: one_hot, sum or concatenate.
        """
        super().__init__()
        self.vocabulary, self.token_inputs = vocabulary, token_inputs
        self.activation = ACTIVATIONS[activation]
        embeds = vocabulary > 0 and token_inputs != "one_hot"
        if embeds:
            self.embed = nn.Embedding(vocabulary, width)
        entering = n_inputs * (width if embeds else max(vocabulary, 1))
        entering = width if embeds and token_inputs == "sum" else entering
        sizes = [entering, *[mlp_width] * layers]

        def hidden() -> nn.ModuleList:
            return nn.ModuleList(nn.Linear(of, mlp_width, bias=biases) for of in sizes[:-1])

        self.hidden = hidden()
        self.gates = hidden() if gated else None
        self.unembed = nn.Linear(sizes[-1], n_classes, bias=biases)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The logits."""
        x = self.enter(inputs)
        for depth, layer in enumerate(self.hidden):
            y = self.activation(layer(x))
            x = y if self.gates is None else y * self.gates[depth](x)
        return self.unembed(x)

    def enter(self, inputs: torch.Tensor) -> torch.Tensor:
        """What the first layer takes: features, one-hot tokens, or embeddings."""
        if not self.vocabulary:
            return inputs
        if self.token_inputs == "one_hot":
            hot = functional.one_hot(inputs, self.vocabulary)
            return hot.flatten(1).to(self.unembed.weight.dtype)
        embedded = self.embed(inputs)  # [N, T, D]
        return embedded.sum(dim=1) if self.token_inputs == "sum" else embedded.flatten(1)
