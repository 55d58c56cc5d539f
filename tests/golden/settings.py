"""Training losses under clipping, Grokfast, schedules and warmups, by PyTorch alone.

Networks, rows and first weights are those of `golden.make`. The numbers are in settings.json beside
this file, and a test compares grokjax with them: PYTHONPATH=tests python -m golden.settings
"""

import json
import math
import platform
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from golden import data, make, networks

COMMAND = "PYTHONPATH=tests python -m golden.settings"
Gradients = list[torch.Tensor]
HALVES = ("float16", "bfloat16")
Filter = Callable[[list[torch.Tensor]], None]


def slow_average(factor: float, memory: float) -> Filter:
    """g + factor · ema(g), the average beginning as the first gradient (Lee et al. 2024)."""
    average: Gradients = []

    def change(params: list[torch.Tensor]) -> None:
        gradients = [w.grad for w in params]
        before = average or gradients
        average[:] = [memory * a + (1 - memory) * g for a, g in zip(before, gradients, strict=True)]
        for w, a in zip(params, average, strict=True):
            w.grad = w.grad + factor * a

    return change


def moving_average(factor: float, window: int) -> Filter:
    """g + factor · mean of the last gradients, once there are as many as the window is long."""
    last: deque[Gradients] = deque(maxlen=window)

    def change(params: list[torch.Tensor]) -> None:
        last.append([w.grad.clone() for w in params])  # clipping works in place
        if len(last) < window:
            return
        for w, *of_w in zip(params, *last, strict=True):
            w.grad = w.grad + factor * torch.stack(of_w).mean(dim=0)

    return change


def clip_norm(limit: float) -> Filter:
    """The gradient of all parameters at most so long."""
    return lambda params: torch.nn.utils.clip_grad_norm_(params, limit)


def clip_value(limit: float) -> Filter:
    """Entries of the gradient at most so large."""
    return lambda params: torch.nn.utils.clip_grad_value_(params, limit)


class Case(NamedTuple):
    """A run: network, optimiser with its constants, what changes gradients, what changes rates."""

    network: str
    optimizer: type[torch.optim.Optimizer]
    constants: dict[str, Any]
    filters: tuple[Filter, ...] = ()
    scheduler: Callable[[torch.optim.Optimizer], Any] | None = None


ADAM = {"lr": 1e-2, "weight_decay": 1e-3, "betas": (0.9, 0.98)}
ADAMW = ADAM | {"weight_decay": 0.1}
SGD = {"lr": 0.02, "weight_decay": 1e-3, "momentum": 0.9}
rates = torch.optim.lr_scheduler
CASES = {
    "clip_norm": Case("causal", torch.optim.Adam, ADAM, (clip_norm(0.3),)),
    "clip_value": Case("quadratic", torch.optim.SGD, SGD, (clip_value(0.01),)),
    "clip_norm, grokfast_ema": Case(
        "quadratic", torch.optim.SGD, SGD, (clip_norm(0.3), slow_average(2.0, 0.9))
    ),
    "grokfast_ma, clip_norm": Case(
        "quadratic", torch.optim.SGD, SGD, (moving_average(2.0, 5), clip_norm(0.3))
    ),
    "step": Case(
        "quadratic", torch.optim.AdamW, ADAMW, (), lambda adam: rates.StepLR(adam, 10, gamma=0.5)
    ),
    "exponential": Case(
        "quadratic", torch.optim.AdamW, ADAMW, (), lambda adam: rates.ExponentialLR(adam, 0.95)
    ),
    "linear_from_start": Case(
        "quadratic",
        torch.optim.AdamW,
        ADAMW,
        (),
        lambda adam: rates.LinearLR(adam, start_factor=0.2, total_iters=8),
    ),
    "constant": Case(
        "quadratic",
        torch.optim.AdamW,
        ADAMW,
        (),
        lambda adam: rates.ConstantLR(adam, factor=0.3, total_iters=8),
    ),
    "inverse_sqrt": Case(
        "quadratic",
        torch.optim.AdamW,
        ADAMW,
        (),
        # Vaswani et al. 2017 as a multiple of the largest rate, which is that of update 8.
        lambda adam: rates.LambdaLR(adam, lambda s: min((s + 1) / 8, math.sqrt(8 / (s + 1)))),
    ),
}


def train(case: Case) -> list[float]:
    """The losses after 0, 1, … STEPS full-batch updates."""
    start = data.initial(data.SHAPES[case.network])
    params = {path: torch.tensor(w, requires_grad=True) for path, w in start.items()}
    weights = list(params.values())
    tokens, targets = (torch.tensor(x[data.training_rows()]) for x in data.table())
    optimizer = case.optimizer(weights, **case.constants)
    scheduler = case.scheduler(optimizer) if case.scheduler else None
    losses = []
    for step in range(data.STEPS + 1):
        loss = networks.LOSSES["cross_entropy"](
            networks.NETWORKS[case.network](params, tokens), targets
        )
        losses.append(loss.item())
        if step < data.STEPS:
            gradients = torch.autograd.grad(loss, weights)
            for w, gradient in zip(weights, gradients, strict=True):
                w.grad = gradient
            for change in case.filters:
                change(weights)
            optimizer.step()
            if scheduler:
                scheduler.step()
    return losses


def half(name: str) -> dict[str, Any]:
    """Cross-entropy of logits in half precision: the loss of each row, and the mean's gradient.

    Logits lie so far apart that the share of a row in the mean, 1/16, makes some gradients too
    small for float16.
    """
    logits = np.random.default_rng(0).normal(size=(16, 11)).astype(np.float32) * 8
    # The largest logit of every other row is that of its target, else the second largest.
    rows = np.arange(16)
    targets = torch.tensor(np.argsort(logits, axis=1)[rows, -1 - rows % 2])
    given = torch.tensor(logits, requires_grad=True)
    logs = torch.nn.functional.log_softmax(given.to(getattr(torch, name)), dim=-1)
    each = -logs.gather(1, targets[:, None])[:, 0]
    each.mean().backward()
    return {
        "logits": logits.astype(float).tolist(),
        "targets": targets.tolist(),
        "losses": each.tolist(),
        "gradient": given.grad.tolist(),
    }


def main() -> None:
    """Train every case and write the losses, a case a line."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # sums in one order whatever the machine
    cases = {name: train(case) for name, case in CASES.items()}
    for name, losses in cases.items():
        make.check(name, losses)
        print(f"{name:32} {losses[0]:.6f} {losses[-1]:.6f}")
    modules = {"torch": torch.__version__, "numpy": np.__version__}
    versions = {"python": platform.python_version(), **modules}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(cases[name])}" for name in cases)
    head = f' "command": {json.dumps(COMMAND)},\n "versions": {json.dumps(versions)}'
    rounded = ",\n".join(f"  {json.dumps(n)}: {json.dumps(half(n))}" for n in HALVES)
    text = f'{{\n{head},\n "cases": {{\n{lines}\n }},\n "half": {{\n{rounded}\n }}\n}}\n'
    Path(__file__).with_name("settings.json").write_text(text)


if __name__ == "__main__":
    main()
