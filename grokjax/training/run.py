"""One run: `init`, `step`, and `segment`, a scan of steps with a row of metrics now and then.

Legend: K log points of a segment.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax

from grokjax import models, tasks
from grokjax.training import losses
from grokjax.training.data import INITIALISATION, Rows, split
from grokjax.training.optimizers import OPTIMIZERS
from grokjax.training.spec import Hparams, Spec

Sums = TypeVar("Sums")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What a run goes on with."""

    params: dict
    optimizer: optax.OptState


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StepInfo:
    """What a step saw: the network before it, and how far the step went."""

    train_loss: jax.Array
    train_accuracy: jax.Array
    weight_norm: jax.Array
    grad_norm: jax.Array
    update_norm: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Metrics:
    """A row of the curves; every field describes the network of the same step.

    `grad_norm` is that of the training loss there, `update_norm` that of the update
    that the optimiser takes from there. Norms are Euclidean over all parameters.
    """

    step_info: StepInfo
    test_loss: jax.Array
    test_accuracy: jax.Array

    def columns(self) -> dict[str, jax.Array]:
        """Column name → values, in the order of the curves table."""
        info = self.step_info
        return {
            "train_loss": info.train_loss,
            "train_accuracy": info.train_accuracy,
            "test_loss": self.test_loss,
            "test_accuracy": self.test_accuracy,
            "weight_norm": info.weight_norm,
            "grad_norm": info.grad_norm,
            "update_norm": info.update_norm,
        }


def network(spec: Spec) -> models.Network:
    """The network of a spec."""
    table = tasks.build(spec.task)
    return models.Network(spec.model, table.vocabulary, table.n_classes)


@functools.cache
def layout(spec: Spec) -> models.Layout:
    """What of the spec's table is computed once, and where."""
    model, tokens = spec.model, tasks.build(spec.task).tokens
    positions = range(tokens.shape[1])
    readout = positions[-1:] if model.readout == "last" else positions
    return models.factorised(tokens, model.layers, readout, model.causal, spec.tile_rows)


def init(spec: Spec, hp: Hparams) -> State:
    """The run before its first step."""
    key = jax.random.fold_in(jax.random.key(hp.seed), INITIALISATION)
    params = models.init(network(spec), key, layout(spec), hp.init_scale)
    return State(params, OPTIMIZERS[spec.optimizer.kind](hp.optimizer).init(params))


def step(
    spec: Spec, hp: Hparams, train: Rows, state: State, with_norms: jax.Array | bool = True
) -> tuple[State, StepInfo]:
    """One full-batch update; where norms are not wanted they are not computed, and zero."""
    score = jax.value_and_grad(partial(_score, spec), has_aux=True)
    (loss, hits), grads = _over_tiles(partial(score, state.params), train)
    optimizer = OPTIMIZERS[spec.optimizer.kind](hp.optimizer)
    updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
    norms = jax.lax.cond(
        with_norms,
        lambda *trees: [optax.tree.norm(tree) for tree in trees],
        lambda *trees: [jnp.zeros((), spec.dtype) for _ in trees],
        *(state.params, grads, updates),
    )
    next_state = State(optax.apply_updates(state.params, updates), optimizer_state)
    return next_state, StepInfo(loss, hits / hp.n_train, *norms)


def segment(spec: Spec, log_points: int, hp: Hparams, state: State) -> tuple[State, Metrics]:
    """`log_points · log_every` updates, and the metrics `[K]` before each `log_every` of them."""
    train, test = split(spec, hp)
    logs = jnp.arange(spec.log_every) == 0

    def scan_step(state: State, logs: jax.Array) -> tuple[State, StepInfo]:
        return step(spec, hp, train, state, logs)

    def scan_row(state: State, _: None) -> tuple[State, Metrics]:
        test_loss, hits = _over_tiles(partial(_score, spec, state.params), test)
        state, infos = jax.lax.scan(scan_step, state, logs)
        first = jax.tree.map(lambda values: values[0], infos)
        return state, Metrics(first, test_loss, hits / (spec.task.n_rows - hp.n_train))

    return jax.lax.scan(scan_row, state, None, length=log_points)


def _score(spec: Spec, params: dict, tile: Rows) -> tuple[jax.Array, jax.Array]:
    """What a tile `[N]` adds to the loss, and to the number of rows that are right."""
    logits = models.apply(network(spec), params, layout(spec), tile.index)
    loss = losses.cross_entropy(logits, tile.targets, tile.weights)
    return loss, losses.hits(logits, tile.targets, tile.weights)


def _over_tiles(score: Callable[[Rows], Sums], rows: Rows) -> Sums:
    """The scores of all tiles added up."""
    first, rest = (jax.tree.map(lambda x, part=part: x[part], rows) for part in (0, slice(1, None)))

    def add(sums: Sums, tile: Rows) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, sums, score(tile)), None

    if not len(rest.index):  # an empty loop would be traced and compiled all the same
        return score(first)
    return jax.lax.scan(add, score(first), rest)[0]
