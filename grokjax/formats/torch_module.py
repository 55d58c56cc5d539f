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
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky_relu": functional.leaky_relu,
    "square": torch.square,
    "identity": lambda x: x,
}


class Norm(nn.Module):
    """LayerNorm or RMSNorm over the last axis, with gains and biases or without."""

    def __init__(self, width: int, *, kind: str, gains: bool, biases: bool, epsilon: float) -> None:
        super().__init__()
        self.kind, self.epsilon = kind, epsilon
        self.weight = nn.Parameter(torch.ones(width)) if gains else None
        self.bias = nn.Parameter(torch.zeros(width)) if biases else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape, normalised."""
        if self.kind == "rms":
            return functional.rms_norm(x, x.shape[-1:], self.weight, self.epsilon)
        return functional.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.epsilon)


Norms = Callable[[bool, int], nn.Module]
"""Whether there is a norm, and the width of its inputs → the norm, or what leaves them alone."""


class Attention(nn.Module):
    """Multi-head attention, `[N, T, D]` → `[N, T, D]`.

    Softmax attention has the share `softmax_share` in what a position sees, the plain mean over
    visible positions the rest. With the share 0 there are no queries and keys.
    """

    def __init__(
        self,
        norms: Norms,
        *,
        width: int,
        heads: int,
        head_width: int,
        biases: bool,
        causal: bool,
        rotary_base: float | None,
        softmax_share: float,
        qk_norm: bool,
        value_norm: bool,
    ) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.causal, self.rotary_base, self.softmax_share = causal, rotary_base, softmax_share
        inside = heads * head_width
        if softmax_share:
            self.query = nn.Linear(width, inside, bias=biases)
            self.key = nn.Linear(width, inside, bias=biases)
            self.norm_query, self.norm_key = (norms(qk_norm, head_width) for _ in range(2))
        self.value = nn.Linear(width, inside, bias=biases)
        self.norm_value = norms(value_norm, head_width)
        self.output = nn.Linear(inside, width, bias=biases)

    def forward(self, compared: torch.Tensor, valued: torch.Tensor) -> torch.Tensor:
        """What attention adds, by what queries and keys and by what values are made of."""
        value = self.norm_value(self.split(self.value(valued)))
        mixed = self.pattern(compared) @ value  # [N, H, T, E]
        return self.output(mixed.transpose(1, 2).flatten(2))

    def pattern(self, x: torch.Tensor) -> torch.Tensor:
        """How much each position takes of each other one, `[N, H, T asked, T seen]`."""
        positions = x.shape[1]
        visible = torch.ones(positions, positions, dtype=torch.bool, device=x.device)
        visible = visible.tril() if self.causal else visible
        mean = visible.to(x.dtype) / visible.sum(dim=-1, keepdim=True)
        if not self.softmax_share:
            return mean.expand(len(x), self.heads, -1, -1)
        query = self.norm_query(self.split(self.query(x)))
        key = self.norm_key(self.split(self.key(x)))
        if self.rotary_base is not None:
            query, key = rotated(query, self.rotary_base), rotated(key, self.rotary_base)
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.head_width)
        softmax = scores.masked_fill(~visible, -math.inf).softmax(dim=-1)
        return self.softmax_share * softmax + (1 - self.softmax_share) * mean

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """`[N, T, H · E]` → `[N, H, T, E]`."""
        return x.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)


def rotated(x: torch.Tensor, base: float) -> torch.Tensor:
    """Queries or keys `[N, H, T, E]`, turned by position · base^(−2i/E) (RoPE).

    Entry i of a head's first half and entry i of its second half are a pair.
    """
    half = x.shape[-1] // 2
    rates = base ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
    angles = torch.arange(x.shape[-2], device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, other = x[..., :half], x[..., half:]
    return torch.cat([one * cos - other * sin, one * sin + other * cos], dim=-1)


class Hidden(nn.Module):
    """One hidden layer beside the residual stream, `[N, T, D]` → `[N, T, D]`."""

    def __init__(
        self, *, width: int, mlp_width: int, activation: str, gated: bool, biases: bool
    ) -> None:
        super().__init__()
        self.into = nn.Linear(width, mlp_width, bias=biases)
        self.gate = nn.Linear(width, mlp_width, bias=biases) if gated else None
        self.out = nn.Linear(mlp_width, width, bias=biases)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer adds to each position."""
        hidden = self.activation(self.into(x))
        return self.out(hidden if self.gate is None else hidden * self.gate(x))


class Block(nn.Module):
    """Attention and a hidden layer, each adding to the residual stream `[N, T, D]`."""

    def __init__(self, attention: Attention, mlp: Hidden, norm: str, norms: Norms, width: int):
        super().__init__()
        self.attention, self.mlp, self.norm = attention, mlp, norm
        of_attention = norm not in ("none", "mlp")
        of_mlp = norm in ("pre", "post", "peri", "mlp", "stream")
        self.norm_attention, self.norm_mlp = norms(of_attention, width), norms(of_mlp, width)
        self.norm_attention_inside = norms(norm == "peri", width)
        self.norm_mlp_inside = norms(norm == "peri", width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The stream after the block."""
        if self.norm == "post":
            x = self.norm_attention(x + self.attention(x, x))
            return self.norm_mlp(x + self.mlp(x))
        normal = self.norm_attention(x)
        compared = x if self.norm == "values" else normal
        valued = x if self.norm == "queries_keys" else normal
        x = normal if self.norm == "stream" else x
        x = x + self.norm_attention_inside(self.attention(compared, valued))
        return x + self.norm_mlp_inside(self.mlp(self.norm_mlp(x)))


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
        gated: bool,
        norm: str,
        norm_kind: str,
        norm_gains: bool,
        norm_biases: bool,
        norm_epsilon: float,
        qk_norm: bool,
        value_norm: bool,
        final_norm: bool,
        biases: bool,
        attention_biases: bool,
        unembed_biases: bool,
        causal: bool,
        positions: str,
        rotary_base: float | None,
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
          activation: φ of the hidden units.
          gated: whether hidden layers are φ(x · W) ⊙ (x · V).
          norm: where the stream is normalised: none; pre, before each block; post, after it; peri,
            before it and what it adds; before attention or mlp alone; queries_keys or values, what
            these are made of alone; stream, as pre, but before attention in the stream itself.
          norm_kind: layer or rms.
          norm_gains: whether norms have gains.
          norm_biases: whether they have biases.
          norm_epsilon: what they add to the variance.
          qk_norm: whether queries and keys are normalised in each head.
          value_norm: whether values are.
          final_norm: whether the stream is, before the unembedding.
          biases: whether the linear maps of hidden layers have biases.
          attention_biases: whether those of attention have.
          unembed_biases: whether the unembedding has.
          causal: whether a position sees no later ones.
          positions: learned, sinusoidal (as loaded, and kept so), rotary or none.
          rotary_base: of rotary positions, or None.
          softmax_share: of attention; the rest is the plain mean.
          readout: last, mean, or the positions of the answers.
        """
        super().__init__()

        def norms(here: bool, size: int) -> nn.Module:
            if not here:
                return nn.Identity()
            return Norm(
                size, kind=norm_kind, gains=norm_gains, biases=norm_biases, epsilon=norm_epsilon
            )

        def block() -> Block:
            attention = Attention(
                norms, width=width, heads=heads, head_width=head_width, biases=attention_biases,
                causal=causal, rotary_base=rotary_base, softmax_share=softmax_share,
                qk_norm=qk_norm, value_norm=value_norm,
            )  # fmt: skip
            mlp = Hidden(
                width=width, mlp_width=mlp_width, activation=activation, gated=gated, biases=biases
            )
            return Block(attention, mlp, norm, norms, width)

        self.readout = readout if isinstance(readout, str) else list(readout)
        self.embed = nn.Embedding(vocabulary, width)
        added = nn.Parameter(torch.zeros(n_positions, width), requires_grad=positions == "learned")
        self.position = added if positions in ("learned", "sinusoidal") else None
        self.blocks = nn.Sequential(*(block() for _ in range(layers)))
        self.final_norm = norms(final_norm, width)
        self.unembed = nn.Linear(width, n_classes, bias=unembed_biases)

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
        skip_connections: bool,
        biases: bool,
        unembed_biases: bool,
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
          skip_connections: whether each but the first adds to its inputs.
          biases: whether they have biases.
          unembed_biases: whether the last linear map has.
          token_inputs: how tokens enter the first layer: one_hot, sum or concatenate.
        """
        super().__init__()
        self.vocabulary, self.token_inputs = vocabulary, token_inputs
        self.skip_connections = skip_connections
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
        self.unembed = nn.Linear(sizes[-1], n_classes, bias=unembed_biases)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The logits."""
        x = self.enter(inputs)
        for depth, layer in enumerate(self.hidden):
            y = self.activation(layer(x))
            y = y if self.gates is None else y * self.gates[depth](x)
            x = x + y if self.skip_connections and depth else y
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
