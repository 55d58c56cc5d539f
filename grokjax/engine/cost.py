"""What a program must compute and hold, counted from its spec.

Legend: N rows, R positions of their own, M nodes, Q positions that ask, T positions seen,
D width, E head width times heads, F hidden units, C classes.
"""

from __future__ import annotations

import itertools

import numpy as np

from grokjax import tasks
from grokjax.config import MLP, Transformer
from grokjax.training.run import layout
from grokjax.training.spec import Spec

PROCESSOR_FLOP_RATE, PROCESSOR_OVERHEAD = 6e10, 1e-4
"""Two cores of a common server: FLOP/s, and seconds that the smallest networks take an update."""
ACCELERATOR_FLOP_RATE, ACCELERATOR_BANDWIDTH, PASSES = 5e13, 2e12, 3
"""FLOP/s and bytes/s of an accelerator of these years, and how often an update moves what
`lane_bytes` counts: 2.2 times with one layer of width 128, 2.8 and 3.2 times with two (compiled for
an H100, 2026-11-25)."""


def forward_flops(spec: Spec, rows: int) -> int:
    """Multiplications and additions of the matrix products of a forward pass over some rows."""
    if isinstance(spec.model, MLP):
        return _mlp_flops(spec, spec.model, rows)
    assert isinstance(spec.model, Transformer)
    return _transformer_flops(spec, spec.model, rows)


def _transformer_flops(spec: Spec, model: Transformer, rows: int) -> int:
    """Counted after factorisation: each node of the layout once, each row its own positions."""
    table = tasks.build(spec.task)
    inside = model.heads * model.size
    project = 2 * model.width * inside
    total = rows * 2 * model.width * table.n_classes * len(table.answers or (0,))
    for here, there in itertools.pairwise(layout(spec).levels):
        inputs = len(here.position) + rows * len(here.own)
        asking = len(there.position) + rows * len(there.own)
        asking_themselves = rows * len(set(there.own) & set(here.own))
        seen = len(here.shared) + len(here.own)
        total += 2 * inputs * project + (len(here.position) + asking_themselves) * project
        total += asking * (2 * 2 * seen * inside + project + 2 * 2 * model.width * model.mlp_width)
    return total


def _mlp_flops(spec: Spec, model: MLP, rows: int) -> int:
    """Tokens go through a table, whose making is what the first layer costs."""
    table = tasks.build(spec.task)
    halves, units = 1 + model.gated, model.mlp_width
    if model.layers == 0:
        return rows * 2 * table.n_classes * (0 if table.vocabulary else table.inputs.shape[1])
    first = 0
    if not table.vocabulary:
        first = rows * 2 * table.inputs.shape[1] * units
    elif model.token_inputs != "one_hot":
        copies = table.inputs.shape[1] if model.token_inputs == "concatenate" else 1
        first = table.vocabulary * 2 * copies * model.width * units
    between = (model.layers - 1) * rows * 2 * units**2
    return halves * (first + between) + rows * 2 * units * table.n_classes


def step_flops(spec: Spec, rows: int) -> int:
    """Of one update on so many rows: gradients cost twice the forward pass, SAM takes two."""
    gradients = 1 + any(modifier.kind == "sam" for modifier in spec.modifiers)
    return 3 * gradients * forward_flops(spec, rows)


def run_step_flops(spec: Spec) -> float:
    """Of one update of one run as its program pads it, a share of the test evaluation included."""
    smallest, largest = spec.train_rows
    evaluated = spec.task.n_rows - smallest + (0 if spec.updates_see_the_network else largest)
    return step_flops(spec, spec.step_rows) + forward_flops(spec, evaluated) / spec.log_every


def nominal_run_step_seconds(spec: Spec, backend: str) -> float:
    """What an update of one run takes on a common machine, to within a factor of a few.

    A constant and not a timing, so that the same sweep is cut in the same places every time.
    """
    if backend == "cpu":
        return run_step_flops(spec) / PROCESSOR_FLOP_RATE + PROCESSOR_OVERHEAD
    by_products = run_step_flops(spec) / ACCELERATOR_FLOP_RATE
    return max(by_products, PASSES * lane_bytes(spec) / ACCELERATOR_BANDWIDTH)


def lane_bytes(spec: Spec) -> int:
    """Roughly what a lane needs: every layer's activations, kept for the backward pass."""
    model, table = spec.model, tasks.build(spec.task)
    numbers = 2 * table.n_classes
    if isinstance(model, MLP):
        positions = table.inputs.shape[1] if table.vocabulary else 1
        numbers += (3 * model.layers * (1 + model.gated) + positions) * model.mlp_width
    if isinstance(model, Transformer):
        own = sum(len(level.own) for level in layout(spec).levels)
        numbers += own * (8 * model.width + 2 * model.mlp_width)
    return spec.tile_rows * numbers * np.dtype(spec.dtype).itemsize
