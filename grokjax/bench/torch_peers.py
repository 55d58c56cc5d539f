"""The same training step as PyTorch users write it: eager, compiled, and vmapped over runs.

It shares no code with grokjax's network: it is the other side of a comparison.

Legend: L runs, N rows, T positions, D residual width, H heads, E head width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from grokjax.bench.contender import Contender, Problem
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

    def __init__(self, problem: Problem, attention: type[Attention]) -> None:
        super().__init__()
        model = problem.model
        self.readout = model.readout
        self.embed = nn.Embedding(problem.vocabulary, model.width)
        self.position = nn.Parameter(torch.zeros(problem.tokens.shape[1], model.width))
        self.blocks = nn.Sequential(*(Block(model, attention) for _ in range(model.layers)))
        self.unembed = nn.Linear(model.width, problem.n_classes, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """The logits at the last position, or of the mean over positions."""
        x = self.blocks(self.embed(tokens) + self.position)
        return self.unembed(x[:, -1] if self.readout == "last" else x.mean(1))


def network(problem: Problem, device: str, attention: type[Attention] = Attention) -> Network:
    """The network with the problem's initial weights."""
    net = Network(problem, attention).to(device)
    copied = {"embed.weight": problem.params["embed"], "position": problem.params["position"]}
    copied["unembed.weight"] = problem.params["unembed"]["weight"].T
    for depth in range(problem.model.layers):
        heads, mlp = problem.params[f"attention_{depth}"], problem.params[f"mlp_{depth}"]
        width, path = problem.model.width, f"blocks.{depth}"
        for name in ("query", "key", "value"):
            weight = heads[name]["weight"].reshape(width, -1).T
            copied[f"{path}.attention.{name}.weight"] = weight
        copied[f"{path}.attention.output.weight"] = heads["output"]["weight"].reshape(-1, width).T
        copied[f"{path}.into.weight"] = mlp["in"]["weight"].T
        copied[f"{path}.out.weight"] = mlp["out"]["weight"].T
    state = net.state_dict()
    state |= {k: torch.tensor(np.ascontiguousarray(v), device=device) for k, v in copied.items()}
    net.load_state_dict(state)
    return net


def adamw(problem: Problem, parameters: Any) -> torch.optim.AdamW:
    """PyTorch's AdamW with the problem's numbers."""
    o = problem.optimizer
    betas = (o.b1, o.b2)
    return torch.optim.AdamW(
        parameters, lr=o.learning_rate, betas=betas, eps=o.eps, weight_decay=o.weight_decay
    )


def one_by_one(problem: Problem, device: str, compiled: bool) -> Contender:
    """The usual loop, one run at a time, eager or through `torch.compile`."""
    net = network(problem, device)
    optimizer = adamw(problem, net.parameters())
    tokens = torch.tensor(problem.tokens, dtype=torch.long, device=device)
    targets = torch.tensor(problem.targets, dtype=torch.long, device=device)
    forward = torch.compile(net) if compiled else net

    def steps(count: int) -> list[float]:
        losses = []
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(forward(tokens), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return [float(loss) for loss in losses]

    return Contender("torch.compile" if compiled else "PyTorch eager", 1, steps)


def ensemble(problem: Problem, device: str, runs: int) -> Contender:
    """Several runs at once through `torch.func.vmap`, with an AdamW over the stacked weights."""
    net = network(problem, device, VmappableAttention)
    names = [name for name, _ in net.named_parameters()]
    stacked = [torch.stack([p.detach().clone()] * runs).requires_grad_() for p in net.parameters()]
    optimizer = adamw(problem, stacked)
    tokens = torch.tensor(problem.tokens, dtype=torch.long, device=device)
    targets = torch.tensor(problem.targets, dtype=torch.long, device=device)

    def loss(weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        named = dict(zip(names, weights, strict=True))
        return functional.cross_entropy(torch.func.functional_call(net, named, (tokens,)), targets)

    gradient = torch.func.vmap(torch.func.grad_and_value(loss))

    def steps(count: int) -> list[float]:
        losses = []
        for _ in range(count):
            grads, values = gradient(tuple(stacked))
            for weight, grad in zip(stacked, grads, strict=True):
                weight.grad = grad
            optimizer.step()
            losses.append(values[0].detach())
        return [float(value) for value in losses]

    return Contender("torch.func.vmap", runs, steps)


def contenders(problem: Problem, device: str, runs: int) -> list[Contender]:
    """All three."""
    return [
        one_by_one(problem, device, compiled=False),
        one_by_one(problem, device, compiled=True),
        ensemble(problem, device, runs),
    ]
