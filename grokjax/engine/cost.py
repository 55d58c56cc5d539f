"""The arithmetic and memory that a program needs, counted from its spec."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from grokjax import models, tasks
from grokjax.config import MLP, Model, Transformer
from grokjax.engine import programs
from grokjax.training.loop import layout
from grokjax.training.spec import Spec

PROCESSOR_FLOP_RATE, PROCESSOR_OVERHEAD = 6e10, 1e-4
"""Two cores of a common server: FLOP/s, and seconds for an update of the smallest networks."""
ACCELERATOR_FLOP_RATE, ACCELERATOR_BANDWIDTH, PASSES = 5e13, 2e12, 3
"""FLOP/s and bytes/s of an accelerator of these years, and how often an update moves what
`lane_bytes` counts: 2.2 times with one layer of width 128, 2.8 and 3.2 times with two (compiled for
an H100, 2026-11-25)."""


def forward_flops(spec: Spec, rows: int) -> int:
    """Multiplications and additions of the matrix products of a forward pass over some rows."""
    return _forward_flops(spec.words.model, spec, rows)


@functools.singledispatch
def _forward_flops(model: Model, spec: Spec, rows: int) -> int:
    """The FLOP of a user's model, counted in the program that JAX traces of it."""
    return _count(programs.flops, spec, rows)


@_forward_flops.register
def _transformer_flops(model: Transformer, spec: Spec, rows: int) -> int:
    """Every node of the layout counts once, and every row at its own positions."""
    dataset = tasks.build(spec.task)
    inside = model.heads * model.size
    project = 2 * model.width * inside
    total = rows * 2 * model.width * dataset.n_classes * len(dataset.answers or (0,))
    for here, there in itertools.pairwise(layout(spec).levels):
        inputs = len(here.position) + rows * len(here.own)
        asking = len(there.position) + rows * len(there.own)
        asking_themselves = rows * len(set(there.own) & set(here.own))
        seen = len(here.shared) + len(here.own)
        total += 2 * inputs * project + (len(here.position) + asking_themselves) * project
        hidden = (2 + model.gated) * 2 * model.width * model.mlp_width
        total += asking * (2 * 2 * seen * inside + project + hidden)
    return total


@_forward_flops.register
def _mlp_flops(model: MLP, spec: Spec, rows: int) -> int:
    """Tokens look their inputs up in a table, and the first layer costs what making that does."""
    dataset = tasks.build(spec.task)
    halves, units, features = 1 + model.gated, model.mlp_width, dataset.inputs.shape[1]
    if model.layers == 0:
        return rows * 2 * dataset.n_classes * (0 if dataset.vocabulary else features)
    first = 0
    if not dataset.vocabulary:
        first = rows * 2 * features * units
    elif model.token_inputs != "one_hot":
        copies = features if model.token_inputs == "concatenate" else 1
        first = dataset.vocabulary * 2 * copies * model.width * units
    between = (model.layers - 1) * rows * 2 * units**2
    return halves * (first + between) + rows * 2 * units * dataset.n_classes


def step_flops(spec: Spec, rows: int) -> int:
    """FLOP of an update on some rows: a gradient costs thrice the forward pass; SAM takes two."""
    gradients = max([1, *(m.gradients_per_update for m in spec.words.modifiers)])
    return 3 * gradients * forward_flops(spec, rows)


def run_step_flops(spec: Spec) -> float:
    """FLOP of an update of one run, with padding and its share of the evaluations."""
    (first, end), largest = spec.test_rows, spec.train_rows[1]
    evaluated = end - first + (0 if spec.updates_see_the_network else largest)
    return step_flops(spec, spec.step_rows) + forward_flops(spec, evaluated) / spec.log_every


def nominal_run_step_seconds(spec: Spec, backend: str) -> float:
    """Seconds that an update of one run takes on a common machine, to within a factor of a few.

    It is computed and not measured, so that a sweep is cut into the same pieces every time.
    """
    if backend == "cpu":
        return run_step_flops(spec) / PROCESSOR_FLOP_RATE + PROCESSOR_OVERHEAD
    by_products = run_step_flops(spec) / ACCELERATOR_FLOP_RATE
    return max(by_products, PASSES * lane_bytes(spec) / ACCELERATOR_BANDWIDTH)


def lane_bytes(spec: Spec) -> int:
    """Roughly the bytes that a run needs: all activations, which the backward pass reads again."""
    activations = _activations(spec.words.model, spec)
    logits = 2 * spec.tile_rows * tasks.build(spec.task).n_classes
    return (logits + activations) * np.dtype(spec.dtype).itemsize


@functools.singledispatch
def _activations(model: Model, spec: Spec) -> int:
    """How many numbers the layers make of a tile; for a user's model, all that JAX traces."""
    return _count(programs.numbers, spec, spec.tile_rows)


@_activations.register
def _mlp_activations(model: MLP, spec: Spec) -> int:
    dataset = tasks.build(spec.task)
    positions = dataset.inputs.shape[1] if dataset.vocabulary else 1
    layers = 3 * model.layers * (1 + model.gated) + positions
    return spec.tile_rows * layers * model.mlp_width


@_activations.register
def _transformer_activations(model: Transformer, spec: Spec) -> int:
    own = sum(len(level.own) for level in layout(spec).levels)
    hidden = 2 * (1 + model.gated) * model.mlp_width
    return spec.tile_rows * own * (8 * model.width + hidden)


def _count(count: Callable[..., int], spec: Spec, rows: int) -> int:
    """What `count` says of the forward pass of a spec's network over some rows."""
    with jax.enable_x64(spec.double):
        return count(*_forward(spec, rows))


def _forward(spec: Spec, rows: int) -> tuple[Callable, Any, Any, Any]:
    """The forward pass of a spec's network over some rows, and the shapes of its arguments."""
    dataset, places = tasks.build(spec.task), layout(spec)
    scalar = jax.ShapeDtypeStruct((), np.dtype(spec.dtype))
    model = jax.tree.map(lambda _: scalar, spec.words.model)
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(lambda model, key: models.init(model, dataset, places, key), model, key)

    def forward(model: Model, params: dict, rows: jax.Array) -> jax.Array:
        return models.apply(model, dataset, places, params, rows)

    return forward, model, params, jax.ShapeDtypeStruct((rows,), np.dtype("int32"))
