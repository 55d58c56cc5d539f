"""The same training step as PyTorch users write it: eager, compiled, and vmapped over runs.

Legend: N rows, T positions, V tokens, C classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.peers import torch_mlp, torch_transformer
from grokjax.bench.contender import Contender, Workload
from grokjax.config import MeanSquaredError, Transformer

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Outputs, targets → the mean loss."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What a training loop is written around."""

    network: nn.Module
    inputs: torch.Tensor
    """Tokens `[N, T]`, or one-hot `[N, T · V]` where the network takes those."""
    targets: torch.Tensor
    """Classes `[N]`, or one-hot `[N, C]` where the loss takes those."""
    loss: Loss


def training(workload: Workload, device: str, vmappable: bool = False) -> Training:
    """Network, data and loss of a workload, with its initial weights."""
    inputs = torch.tensor(workload.tokens, dtype=torch.long, device=device)
    targets = torch.tensor(workload.targets, dtype=torch.long, device=device)
    sizes = (inputs.shape[1], workload.vocabulary, workload.n_classes)
    model = workload.model
    network: nn.Module
    loss: Loss = functional.cross_entropy
    if isinstance(model, Transformer):
        fused, written_out = torch_transformer.Attention, torch_transformer.VmappableAttention
        attention = written_out if vmappable else fused
        network = torch_transformer.Network(model, *sizes, attention)
        copied = torch_transformer.weights(model, workload.params)
    else:
        copied = torch_mlp.weights(model, workload.params)
        if model.token_inputs == "one_hot":
            network = torch_mlp.Quadratic(model, *sizes)
            inputs = functional.one_hot(inputs, workload.vocabulary).flatten(1).float()
        else:
            network = torch_mlp.Perceptron(model, *sizes)
    if isinstance(workload.loss, MeanSquaredError):
        loss, targets = functional.mse_loss, functional.one_hot(targets, workload.n_classes).float()
    state = {name: torch.tensor(np.ascontiguousarray(value)) for name, value in copied.items()}
    network.load_state_dict(network.state_dict() | state)
    return Training(network.to(device), inputs, targets, loss)


def adamw(workload: Workload, parameters: Any) -> torch.optim.AdamW:
    """PyTorch's AdamW with the workload's numbers."""
    o = workload.optimizer
    betas = (o.b1, o.b2)
    return torch.optim.AdamW(
        parameters, lr=o.learning_rate, betas=betas, eps=o.eps, weight_decay=o.weight_decay
    )


def one_by_one(workload: Workload, device: str, compiled: bool) -> Contender:
    """The usual loop, one run at a time, eager or through `torch.compile`."""
    given = training(workload, device)
    optimizer = adamw(workload, given.network.parameters())
    forward = torch.compile(given.network) if compiled else given.network

    def steps(count: int) -> list[float]:
        losses = []
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            loss = given.loss(forward(given.inputs), given.targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return [float(loss) for loss in losses]

    return Contender("torch.compile" if compiled else "PyTorch eager", 1, steps)


def ensemble(workload: Workload, device: str, runs: int) -> Contender:
    """Several runs at once through `torch.func.vmap`, with an AdamW over the stacked weights."""
    given = training(workload, device, vmappable=True)
    net = given.network
    names = [name for name, _ in net.named_parameters()]
    stacked = [torch.stack([p.detach().clone()] * runs).requires_grad_() for p in net.parameters()]
    optimizer = adamw(workload, stacked)

    def loss(weights: tuple[torch.Tensor, ...]) -> torch.Tensor:
        named = dict(zip(names, weights, strict=True))
        return given.loss(torch.func.functional_call(net, named, (given.inputs,)), given.targets)

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


def contenders(workload: Workload, device: str, runs: int) -> list[Contender]:
    """All three."""
    return [
        one_by_one(workload, device, compiled=False),
        one_by_one(workload, device, compiled=True),
        ensemble(workload, device, runs),
    ]
