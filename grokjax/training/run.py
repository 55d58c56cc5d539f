"""One run: `init`, `step`, and `segment`, a scan of steps with a row of metrics now and then.

Legend: K log points of a segment.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import optax

from grokjax import models, tasks
from grokjax.training import losses
from grokjax.training.data import INITIALISATION, Rows, split
from grokjax.training.optimizers import OPTIMIZERS
from grokjax.training.spec import Hparams, Spec


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


def init(spec: Spec, hp: Hparams) -> State:
    """The run before its first step."""
    key = jax.random.fold_in(jax.random.key(hp.seed), INITIALISATION)
    tokens = jnp.asarray(tasks.build(spec.task).tokens)
    params = models.init(network(spec), key, tokens, hp.init_scale)
    return State(params, OPTIMIZERS[spec.optimizer.kind](hp.optimizer).init(params))


def step(spec: Spec, hp: Hparams, train: Rows, state: State) -> tuple[State, StepInfo]:
    """One full-batch update."""

    def loss_and_accuracy(params: dict) -> tuple[jax.Array, jax.Array]:
        logits = models.apply(network(spec), params, train.tokens)
        loss = losses.cross_entropy(logits, train.targets, train.weights)
        return loss, losses.accuracy(logits, train.targets, train.weights)

    evaluate = jax.value_and_grad(loss_and_accuracy, has_aux=True)
    (loss, accuracy), grads = evaluate(state.params)
    optimizer = OPTIMIZERS[spec.optimizer.kind](hp.optimizer)
    updates, optimizer_state = optimizer.update(grads, state.optimizer, state.params)
    info = StepInfo(
        train_loss=loss,
        train_accuracy=accuracy,
        weight_norm=optax.tree.norm(state.params),
        grad_norm=optax.tree.norm(grads),
        update_norm=optax.tree.norm(updates),
    )
    return State(optax.apply_updates(state.params, updates), optimizer_state), info


def segment(spec: Spec, log_points: int, hp: Hparams, state: State) -> tuple[State, Metrics]:
    """`log_points · log_every` updates, and the metrics `[K]` before each `log_every` of them."""
    train, test = split(spec, hp)

    def scan_step(state: State, _: None) -> tuple[State, StepInfo]:
        return step(spec, hp, train, state)

    def scan_row(state: State, _: None) -> tuple[State, Metrics]:
        logits = models.apply(network(spec), state.params, test.tokens)
        test_loss = losses.cross_entropy(logits, test.targets, test.weights)
        test_accuracy = losses.accuracy(logits, test.targets, test.weights)
        state, infos = jax.lax.scan(scan_step, state, None, length=spec.log_every)
        first = jax.tree.map(lambda values: values[0], infos)
        return state, Metrics(first, test_loss, test_accuracy)

    return jax.lax.scan(scan_row, state, None, length=log_points)
