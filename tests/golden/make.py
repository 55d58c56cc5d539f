"""Training losses of small networks by PyTorch alone, written to golden.json beside this file.

It shares no code with grokjax, whose losses a test compares with these:
PYTHONPATH=tests python -m golden.make
"""

import json
import math
import platform
from pathlib import Path

import numpy as np
import torch
from golden import data, networks, optimizers

COMMAND = "PYTHONPATH=tests python -m golden.make"


def train(case: data.Case) -> list[float]:
    """The losses after 0, 1, … STEPS full-batch updates."""
    start = data.initial(data.SHAPES[case.network])
    params = {path: torch.tensor(w, requires_grad=True) for path, w in start.items()}
    inputs, answers = data.table()
    if case.network == "next_token":
        answers = data.next_tokens()
    tokens, targets = (torch.tensor(x[data.training_rows()]) for x in (inputs, answers))
    optimizer = optimizers.build(case, params)
    losses = []
    for step in range(data.STEPS + 1):
        logits = networks.NETWORKS[case.network](params, tokens)
        loss = networks.LOSSES[case.loss](logits, targets)
        losses.append(loss.item())
        if step < data.STEPS:
            gradients = torch.autograd.grad(loss, list(params.values()))
            for w, gradient in zip(params.values(), gradients, strict=True):
                w.grad = gradient
            optimizer.step()
    return losses


def check(name: str, losses: list[float]) -> None:
    """A sequence that stands still or blows up would test nothing."""
    distinct = len(set(losses)) == len(losses)
    if not (distinct and all(map(math.isfinite, losses)) and losses[-1] < losses[0]):
        raise ValueError(f"{name} is no sequence to compare with: {losses}")


def main() -> None:
    """Train every case and write the losses, a case a line."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # sums in one order whatever the machine
    cases = {name: train(case) for name, case in data.CASES.items()}
    for name, losses in cases.items():
        check(name, losses)
        print(f"{name:32} {losses[0]:.6f} {losses[-1]:.6f}")
    modules = {"torch": torch.__version__, "numpy": np.__version__}
    versions = {"python": platform.python_version(), **modules}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(cases[name])}" for name in cases)
    head = f' "command": {json.dumps(COMMAND)},\n "versions": {json.dumps(versions)}'
    text = f'{{\n{head},\n "cases": {{\n{lines}\n }}\n}}\n'
    Path(__file__).with_name("golden.json").write_text(text)


if __name__ == "__main__":
    main()
