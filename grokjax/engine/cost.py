"""What a program must compute and hold, counted from its spec.

Legend: N rows, R positions of their own, M nodes, Q positions that ask, T positions seen,
D width, E head width times heads, F hidden units, C classes.
"""

from __future__ import annotations

import itertools

import numpy as np

from grokjax.training.run import layout
from grokjax.training.spec import Spec

NOMINAL_FLOP_RATE, NOMINAL_FLOP_RATE_ELSEWHERE = {"cpu": 6e10}, 5e12
RUN_STEP_OVERHEAD = {"cpu": 1e-4}
"""Seconds that the smallest networks take an update, on two cores of a common server."""


def forward_flops(spec: Spec, rows: int) -> int:
    """Multiplications and additions of the matrix products of a forward pass over some rows.

    Counted after factorisation: each node of the layout once, each row its own positions.
    """
    model = spec.model
    inside = model.heads * (model.head_width or model.width // model.heads)
    project = 2 * model.width * inside
    total = rows * 2 * model.width * spec.task.p
    for here, there in itertools.pairwise(layout(spec).levels):
        inputs = len(here.position) + rows * len(here.own)
        asking = len(there.position) + rows * len(there.own)
        asking_themselves = rows * len(set(there.own) & set(here.own))
        seen = len(here.shared) + len(here.own)
        total += 2 * inputs * project + (len(here.position) + asking_themselves) * project
        total += asking * (2 * 2 * seen * inside + project + 2 * 2 * model.width * model.mlp_width)
    return total


def step_flops(spec: Spec, rows: int) -> int:
    """Of one update on so many rows: gradients cost twice the forward pass."""
    return 3 * forward_flops(spec, rows)


def run_step_flops(spec: Spec) -> float:
    """Of one update of one run as its program pads it, a share of the test evaluation included."""
    smallest, largest = spec.train_rows
    test = forward_flops(spec, spec.task.n_rows - smallest)
    return step_flops(spec, largest) + test / spec.log_every


def nominal_run_step_seconds(spec: Spec, backend: str) -> float:
    """What an update of one run takes on a common machine, to within a factor of a few.

    A constant and not a timing, so that the same sweep is cut in the same places every time.
    """
    rate = NOMINAL_FLOP_RATE.get(backend, NOMINAL_FLOP_RATE_ELSEWHERE)
    return run_step_flops(spec) / rate + RUN_STEP_OVERHEAD.get(backend, 0.0)


def lane_bytes(spec: Spec) -> int:
    """Roughly what a lane needs: every layer's activations, kept for the backward pass."""
    model = spec.model
    own = sum(len(level.own) for level in layout(spec).levels)
    numbers = own * (8 * model.width + 2 * model.mlp_width) + 2 * spec.task.p
    return spec.tile_rows * numbers * np.dtype(spec.dtype).itemsize
