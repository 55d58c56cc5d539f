"""A table of two operations in PyTorch alone: losses in all and by operation, fifty updates.

Once with the loss on the answer, and once as a language model has it: every next token.

It shares no code with grokjax, whose numbers a test compares with these:
PYTHONPATH=tests python -m golden.two_operations
"""

import json
import platform
from pathlib import Path

import numpy as np
from golden import data

COMMAND = "PYTHONPATH=tests python -m golden.two_operations"
FILE = Path(__file__).with_suffix(".json")
P = data.MODULUS
EQUALS, ADD, MULTIPLY = P, P + 1, P + 2
T, V, C = 4, P + 3, P
TRAINED_ON = 120
LEARNING_RATE, WEIGHT_DECAY = 1e-2, 0.1
NAMES = ("add", "mul")


def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens `a op b =` [242, T], results [242], and which operation a row is of [242]."""
    a, b = np.divmod(np.arange(P**2), P)
    rows = [
        np.stack([a, np.full_like(a, op), b, np.full_like(a, EQUALS)], axis=1)
        for op in (ADD, MULTIPLY)
    ]
    results = np.concatenate([(a + b) % P, a * b % P])
    return np.concatenate(rows), results, np.repeat([0, 1], P**2)


def training_rows() -> np.ndarray:
    """The rows that are trained on, all in every update."""
    return np.random.default_rng(1).permutation(2 * P**2)[:TRAINED_ON]


def shapes(loss_on: str) -> data.Shapes:
    """The parameters of a decoder of one layer without norms and biases."""
    ends: data.Shapes = {
        "embed": (V, data.D),
        "position": (T, data.D),
        "unembed/weight": (data.D, C if loss_on == "answer" else V),
    }
    return ends | data.block_shapes(0, biases=False)


def scored(tokens: np.ndarray, results: np.ndarray, loss_on: str) -> tuple[list[int], np.ndarray]:
    """Positions [A] whose outputs count, and what each is to give [N, A]; the answer is the last."""
    if loss_on == "answer":
        return [tokens.shape[1] - 1], results[:, None]
    return list(range(T)), np.concatenate([tokens[:, 1:], results[:, None]], axis=1)


def train(loss_on: str) -> dict[str, list[float]]:
    """Losses and accuracies before each update and after the last."""
    import torch
    from golden import networks
    from torch.nn import functional

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # sums in one order whatever the machine
    params = {
        path: torch.tensor(w, requires_grad=True)
        for path, w in data.initial(shapes(loss_on)).items()
    }
    tokens, results, operation = table()
    positions, wanted = scored(tokens, results, loss_on)
    every, targets = torch.tensor(tokens), torch.tensor(wanted)
    trained_on = torch.zeros(len(tokens), dtype=torch.bool)
    trained_on[training_rows()] = True
    optimizer = torch.optim.AdamW(
        params.values(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, **data.ADAM
    )
    found: dict[str, list[float]] = {}
    for _ in range(data.STEPS + 1):
        x = networks.stream(params, every, 1, functional.relu, causal=True)
        logits = networks.linear(params, "unembed", x[:, positions])
        losses = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)
        right = (logits[:, -1].argmax(-1) == targets[:, -1]).to(losses.dtype)
        loss = losses[trained_on].mean()
        found.setdefault("loss", []).append(loss.item())
        for at, name in enumerate(NAMES):
            for split, rows in (("train", trained_on), ("test", ~trained_on)):
                inside = rows & torch.tensor(operation == at)
                for what, values in (("loss", losses), ("accuracy", right)):
                    key = f"{name}.{split}_{what}"
                    found.setdefault(key, []).append(values[inside].mean().item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


def main() -> None:
    """Train both ways and write the file."""
    import torch

    cases = {loss_on: train(loss_on) for loss_on in ("answer", "all")}
    modules = {"torch": torch.__version__, "numpy": np.__version__}
    versions = {"python": platform.python_version(), **modules}
    lines = ",\n".join(
        f"  {json.dumps(f'{loss_on}: {name}')}: {json.dumps(values)}"
        for loss_on, found in cases.items()
        for name, values in found.items()
    )
    head = f' "command": {json.dumps(COMMAND)},\n "versions": {json.dumps(versions)}'
    FILE.write_text(f'{{\n{head},\n "cases": {{\n{lines}\n }}\n}}\n')


if __name__ == "__main__":
    main()
