"""One run of an MLP as a plain PyTorch loop, with accuracies at its log points.

Legend: N rows, T positions.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from benchmarks.peers.torch_mlp import Perceptron
from grokjax import tasks
from grokjax.config import MLP, AdamW, Experiment


def train(run: Experiment) -> list[tuple[float, float]]:
    """Train a run; train and test accuracy before every `log_every` updates."""
    model, o, table = run.model, run.optimizer, tasks.build(run.task)
    assert isinstance(model, MLP)  # torch_map.check refuses others
    assert isinstance(o, AdamW)
    torch.manual_seed(run.seed)
    order = torch.randperm(len(table.targets))
    tokens, targets = torch.tensor(table.inputs).long(), torch.tensor(table.targets).long()
    train, test = order[: run.n_train], order[run.n_train :]
    train_tokens, train_targets = tokens[train], targets[train]
    test_tokens, test_targets = tokens[test], targets[test]
    network = Perceptron(model, tokens.shape[1], table.vocabulary, table.n_classes)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=o.learning_rate,
        betas=(o.b1, o.b2),
        eps=o.eps,
        weight_decay=o.weight_decay,
    )
    curve = []
    for step in range(run.steps):
        optimizer.zero_grad()
        logits = network(train_tokens)
        loss = functional.cross_entropy(logits, train_targets)
        if step % run.log_every == 0:
            with torch.no_grad():
                test_logits = network(test_tokens)
            curve.append((accuracy(logits, train_targets), accuracy(test_logits, test_targets)))
        loss.backward()
        optimizer.step()
    return curve


def accuracy(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The share of rows whose largest logit is that of their class."""
    return (logits.argmax(1) == targets).float().mean().item()
