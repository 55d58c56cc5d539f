"""The multilayer perceptrons as PyTorch users write them.

They share no code with grokjax's network: they are the other side of a comparison.

Legend: N rows, T positions, V tokens, D embedding width, F hidden units, C classes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from grokjax.config import MLP


class Perceptron(nn.Module):
    """Tokens `[N, T]` → logits `[N, C]`: embeddings side by side, then one layer of ReLU units."""

    def __init__(self, model: MLP, positions: int, vocabulary: int, n_classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, model.width)
        self.into = nn.Linear(positions * model.width, model.mlp_width, bias=model.biases)
        self.out = nn.Linear(model.mlp_width, n_classes, bias=model.biases)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits."""
        return self.out(functional.relu(self.into(self.embed(tokens).flatten(1))))


class Quadratic(nn.Module):
    """One-hot tokens `[N, T · V]` → outputs `[N, C]`: h = (x W / √(T · V))², h W' / F.

    As in Gromov 2023, whose inputs are one-hot vectors that a matrix multiplies.
    """

    def __init__(self, model: MLP, positions: int, vocabulary: int, n_classes: int) -> None:
        super().__init__()
        self.into = nn.Linear(positions * vocabulary, model.mlp_width, bias=False)
        self.out = nn.Linear(model.mlp_width, n_classes, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The outputs."""
        hidden = (self.into(inputs) / math.sqrt(self.into.in_features)).square()
        return self.out(hidden) / self.out.in_features


def weights(model: MLP, params: dict) -> dict[str, np.ndarray]:
    """The initial weights of grokjax, under the names and in the shapes that the networks have."""
    one_hot = model.token_inputs == "one_hot"
    first, last = params["embed" if one_hot else "hidden_0"], params["unembed"]
    copied = {"into.weight": first["weight"].reshape(-1, model.mlp_width).T}
    copied["out.weight"] = last["weight"].T
    if model.biases:
        copied |= {"into.bias": first["bias"], "out.bias": last["bias"]}
    return copied if one_hot else {**copied, "embed.weight": params["embed"]}
