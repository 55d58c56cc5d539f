"""The optimisers of the reference: PyTorch's own, and Muon, which PyTorch has in bfloat16 only."""

from typing import Any

import torch
from golden import data
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def matrix_shape(path: str, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Inputs and outputs of a matrix that Muon steps, None for what is left to AdamW."""
    # A query's bias has two axes as well, heads and head width, but maps nothing.
    if data.group(path) != "body" or not path.endswith("/weight"):
        return None
    if len(shape) == 2:
        return shape[0], shape[1]
    joins_heads = path.endswith("/output/weight")
    return (data.H * data.E, data.D) if joins_heads else (data.D, data.H * data.E)


def orthogonal(u: Tensor) -> Tensor:
    """Five Newton–Schulz steps X ← aX + (bA + cA²)X, A = XXᵀ, from u over its Frobenius norm."""
    a, b, c = COEFFICIENTS
    x = u / (u.norm() + 1e-8)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon:
    """Muon for matrices (Jordan 2024, kellerjordan.github.io/posts/muon), bias-corrected.

    m_t = β m_{t−1} + (1 − β) g_t; u = β m_t / (1 − β^{t+1}) + (1 − β) g_t / (1 − β^t), t from 1;
    w ← w − lr · (√max(1, outputs / inputs) · orthogonal(u) + decay · w).
    """

    def __init__(self, matrices: list[tuple[Tensor, tuple[int, int]]], constants: dict[str, Any]):
        self.matrices = matrices
        self.lr, self.decay = constants["lr"], constants["weight_decay"]
        self.beta = constants["momentum"]
        self.momenta = [torch.zeros(shape) for _, shape in matrices]
        self.t = 0

    @torch.no_grad()
    def step(self) -> None:
        self.t += 1
        beta, t = self.beta, self.t
        for (w, (inputs, outputs)), m in zip(self.matrices, self.momenta, strict=True):
            g = w.grad.reshape(inputs, outputs)
            m.copy_(beta * m + (1 - beta) * g)
            u = beta * m / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
            direction = max(1, outputs / inputs) ** 0.5 * orthogonal(u)
            w.copy_(w - self.lr * (direction.reshape(w.shape) + self.decay * w))


class MuonAndAdamW:
    """Muon for the body's matrices and AdamW with the same rate and decay for the rest."""

    def __init__(self, params: dict[str, Tensor], **constants: Any):
        shapes = {path: matrix_shape(path, tuple(w.shape)) for path, w in params.items()}
        matrices = [(params[path], shape) for path, shape in shapes.items() if shape]
        rest = [w for path, w in params.items() if not shapes[path]]
        adamw = {name: constants[name] for name in ("lr", "betas", "eps", "weight_decay")}
        self.parts = [Muon(matrices, constants), torch.optim.AdamW(rest, **adamw)]

    def step(self) -> None:
        for part in self.parts:
            part.step()


def build(case: data.Case, params: dict[str, Tensor]) -> MuonAndAdamW | torch.optim.Optimizer:
    """The optimiser of a case over its parameters."""
    if case.optimizer == "muon":
        return MuonAndAdamW(params, **case.constants)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return kinds[case.optimizer](params.values(), **case.constants)
