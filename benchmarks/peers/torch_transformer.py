"""The transformer as PyTorch users write it.

It shares no code with grokjax's network: it is the other side of a comparison.

Legend: N rows, T positions, D residual width, H heads, E head width, C classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from grokjax.config import Transformer


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.heads, self.causal = model.heads, model.causal
        inside = model.heads * (model.head_width or model.width // model.heads)
        self.query = nn.Linear(model.width, inside, bias=False)
        self.key = nn.Linear(model.width, inside, bias=False)
        self.value = nn.Linear(model.width, inside, bias=False)
        self.output = nn.Linear(inside, model.width, bias=False)

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Each `[N, H, T, E]`."""
        return functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs `[N, T, D]` → `[N, T, D]`."""
        n, t, _ = x.shape
        query, key, value = (
            project(x).view(n, t, self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = self.attend(query, key, value)
        return self.output(mixed.transpose(1, 2).reshape(n, t, -1))


class VmappableAttention(Attention):
    """The same written out: PyTorch's fused attention falls back to a loop under vmap."""

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Each `[N, H, T, E]`."""
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        if self.causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return scores.softmax(-1) @ value


class Block(nn.Module):
    """Attention and MLP, with LayerNorm before each or none."""

    def __init__(self, model: Transformer, attention: type[Attention]) -> None:
        super().__init__()
        self.attention = attention(model)
        self.into = nn.Linear(model.width, model.mlp_width, bias=False)
        self.out = nn.Linear(model.mlp_width, model.width, bias=False)
        self.norms = nn.ModuleList(
            nn.LayerNorm(model.width, bias=False) if model.norm == "pre" else nn.Identity()
            for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs `[N, T, D]` → `[N, T, D]`."""
        x = x + self.attention(self.norms[0](x))
        return x + self.out(functional.relu(self.into(self.norms[1](x))))


class Network(nn.Module):
    """Tokens `[N, T]` → logits `[N, C]`."""

    def __init__(
        self,
        model: Transformer,
        positions: int,
        vocabulary: int,
        n_classes: int,
        attention: type[Attention] = Attention,
    ) -> None:
        super().__init__()
        self.readout = model.readout
        self.embed = nn.Embedding(vocabulary, model.width)
        self.position = nn.Parameter(torch.zeros(positions, model.width))
        self.blocks = nn.Sequential(*(Block(model, attention) for _ in range(model.layers)))
        self.unembed = nn.Linear(model.width, n_classes, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits at the last position, or of the mean over positions."""
        x = self.blocks(self.embed(tokens) + self.position)
        return self.unembed(x[:, -1] if self.readout == "last" else x.mean(1))


def weights(model: Transformer, params: dict) -> dict[str, np.ndarray]:
    """The initial weights of grokjax, under the names and in the shapes that `Network` has."""
    copied = {"embed.weight": params["embed"], "position": params["position"]}
    copied["unembed.weight"] = params["unembed"]["weight"].T
    for depth in range(model.layers):
        heads, mlp = params[f"attention_{depth}"], params[f"mlp_{depth}"]
        width, path = model.width, f"blocks.{depth}"
        for name in ("query", "key", "value"):
            weight = heads[name]["weight"].reshape(width, -1).T
            copied[f"{path}.attention.{name}.weight"] = weight
        copied[f"{path}.attention.output.weight"] = heads["output"]["weight"].reshape(-1, width).T
        copied[f"{path}.into.weight"] = mlp["in"]["weight"].T
        copied[f"{path}.out.weight"] = mlp["out"]["weight"].T
    return copied
