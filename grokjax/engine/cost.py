"""What a program must compute and hold, counted from its spec.

Legend: N rows, T positions, Q positions that ask, L lanes, D width, E head width times
heads, F hidden units, C classes.
"""

from __future__ import annotations

import time

import numpy as np

from grokjax.config import Transformer
from grokjax.training.spec import Spec

NOMINAL_FLOP_RATE, NOMINAL_FLOP_RATE_ELSEWHERE = {"cpu": 4e10}, 5e12
RUN_STEP_OVERHEAD = {"cpu": 1e-4}
"""Seconds that the smallest networks take an update, on two cores of a common server."""


def forward_flops(model: Transformer, positions: int, n_classes: int) -> int:
    """Multiplications and additions of the matrix products of one row's forward pass."""
    heads = model.heads * (model.head_width or model.width // model.heads)
    total = 2 * model.width * n_classes
    for layer in range(model.layers):
        asks = 1 if layer == model.layers - 1 and model.readout == "last" else positions
        keys_values = 2 * 2 * positions * model.width * heads
        query_output = 2 * 2 * asks * model.width * heads
        attention = 2 * 2 * asks * positions * heads
        mlp = 2 * 2 * asks * model.width * model.mlp_width
        total += keys_values + query_output + attention + mlp
    return total


def run_step_flops(spec: Spec) -> float:
    """Of one update of one run, its share of the test evaluation included."""
    forward = forward_flops(spec.model, positions(spec), spec.task.p)
    smallest, largest = spec.train_rows
    test_rows = spec.task.n_rows - smallest
    return forward * (3 * largest + test_rows / spec.log_every)


def nominal_run_step_seconds(spec: Spec, backend: str) -> float:
    """What an update of one run takes on a common machine, to within a factor of a few.

    A constant and not a timing, so that the same sweep is cut in the same places every time.
    """
    rate = NOMINAL_FLOP_RATE.get(backend, NOMINAL_FLOP_RATE_ELSEWHERE)
    return run_step_flops(spec) / rate + RUN_STEP_OVERHEAD.get(backend, 0.0)


def activations(spec: Spec) -> int:
    """Numbers that the widest layer of one run holds in the forward pass of a step."""
    return spec.train_rows[1] * positions(spec) * max(spec.model.mlp_width, spec.task.p)


def lane_bytes(spec: Spec) -> int:
    """Roughly what a lane needs: every layer's activations, kept for the backward pass."""
    model = spec.model
    per_position = model.layers * (8 * model.width + 2 * model.mlp_width) + 2 * spec.task.p
    numbers = spec.train_rows[1] * positions(spec) * per_position
    return numbers * np.dtype(spec.dtype).itemsize


def positions(spec: Spec) -> int:
    """Tokens of a row."""
    return len(spec.task.format.split())


def measured_matmul_rate(seconds: float = 0.2) -> float:
    """FLOP/s of float32 matrix products of this machine's processor, right now."""
    size = 512
    a = np.ones((size, size), np.float32)
    a @ a
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        a @ a
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)
