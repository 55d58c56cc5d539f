"""One run: `init`, `step`, and `segment`, a scan of steps with a row of metrics now and then.

Legend: K log points of a segment, B snapshots that it has room for.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax

from grokjax import models, tasks
from grokjax.training import instruments, losses, masks, modifiers, update
from grokjax.training.data import INITIALISATION, MASK, NOISE, Rows, batch, splits, stream
from grokjax.training.spec import Hparams, Spec
from grokjax.training.words import Words

Sums = TypeVar("Sums")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Donors:
    """Parameters of other runs, each None where the spec wants none."""

    start: dict | None = None
    optimizer: update.OptimizerState | None = None
    mask: dict | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """What a run goes on with."""

    step: jax.Array
    params: dict
    optimizer: update.OptimizerState
    mask: dict | None
    """1 where a weight is trained; None where all are."""
    seen: dict[str, jax.Array]
    """Moments whose parameters are kept → whether they have come."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scores:
    """How the network does on some rows."""

    loss: jax.Array
    hits: jax.Array
    """Rows that are right by the labels that are trained on."""
    true_hits: jax.Array
    """Rows that are right by the true labels."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StepInfo:
    """What a step saw: the network before it, and how far the step went."""

    scores: Scores
    weight_norm: jax.Array
    grad_norm: jax.Array
    update_norm: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Metrics:
    """A row of the curves; every field describes the network of the same step.

    `grad_norm` is that of the gradient that the next update is made of, `update_norm`
    that of the update. Norms are Euclidean over all parameters.
    """

    train_loss: jax.Array
    train_accuracy: jax.Array
    test_loss: jax.Array
    test_accuracy: jax.Array
    weight_norm: jax.Array
    grad_norm: jax.Array
    update_norm: jax.Array
    train_accuracy_true: jax.Array
    """By the true labels, where `label_noise` has changed some."""

    measures: instruments.Measures
    """What the instruments measure."""

    def columns(self) -> dict[str, jax.Array]:
        """Column name → values, in the order of the curves table."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "measures"]
        return {name: getattr(self, name) for name in names}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Captured:
    """Parameters that a segment has kept, the last place being for what nobody wants."""

    step: jax.Array  # [B + 1], -1 where nothing is
    count: jax.Array
    kept: dict  # [B + 1, ...]


@functools.cache
def layout(spec: Spec) -> models.Layout:
    """What of the spec's table is computed once, and where."""
    table = tasks.build(spec.task)
    inputs = table.inputs if table.vocabulary else table.inputs.astype(spec.dtype)
    return models.layout(spec.words.model, inputs, table.answers, spec.tile_rows)


def init(spec: Spec, hp: Hparams, donors: Donors = Donors()) -> State:
    """The run before its first step."""
    step = jnp.zeros((), jnp.int32)
    _, words = hp.at(step)
    key = stream(hp.seed, INITIALISATION)
    params = donors.start
    if params is None:
        params = models.init(words.model, tasks.build(spec.task), layout(spec), key)
    mask = None
    if words.mask is not None:
        assert donors.mask is not None  # the planner finds it
        mask = masks.make_mask(words.mask, donors.mask, stream(hp.seed, MASK))
        params = masks.apply(mask, params)
    optimizer = donors.optimizer or update.init(words, params)
    seen = {moment: jnp.zeros((), bool) for moment in _thresholds(spec)}
    return State(step, params, optimizer, mask, seen)


def step(spec: Spec, hp: Hparams, train: Rows, state: State) -> tuple[State, StepInfo]:
    """One update, and what can be said of it.

    Where nobody looks at the information the compiler leaves its computation out: scores and
    norms were a third of a small MLP's update (64 hidden units, 6,586 rows, one core).

    Args:
      spec: of the program.
      hp: numbers of the run.
      train: the training rows of every stage.
      state: before the update.
    """
    stage, words = hp.at(state.step)
    train = jax.tree.map(lambda rows: rows[stage], train)
    rows = batch(spec, hp, stage, state.step, train)
    places, drops, changes = jax.random.split(stream(hp.seed, NOISE, state.step), 3)
    dropout = drops if words.model.dropout is not None else None

    def score(params: dict) -> tuple[Scores, dict]:
        def loss(params: dict, tile: Rows, key: jax.Array | None) -> tuple[jax.Array, Scores]:
            return _score(spec, words, masks.apply(state.mask, params), tile, key)

        gradient = jax.grad(loss, has_aux=True)
        grads, scores = _over_tiles(partial(gradient, params), rows, dropout)
        return scores, grads

    scores, grads = modifiers.gradient(words.modifiers, score, state.params, places)
    changed, optimizer = update.update(
        words, grads, state.optimizer, state.params, state.mask, state.step, changes
    )
    norms = (optax.tree.norm(tree) for tree in (state.params, grads, changed))
    params = optax.apply_updates(state.params, changed)
    next_state = dataclasses.replace(state, step=state.step + 1, params=params, optimizer=optimizer)
    return next_state, StepInfo(scores, *norms)


def segment(
    spec: Spec, log_points: int, hp: Hparams, state: State
) -> tuple[State, Metrics, Captured | None]:
    """`log_points · log_every` updates, with what was seen and kept on the way.

    Returns:
      The state after them, the metrics `[K]` before each `log_every` of them, and the parameters
      of the log points whose snapshots are asked for.
    """
    train, test = splits(spec, hp)

    def scan_step(state: State, _: None) -> tuple[State, None]:
        return step(spec, hp, train, state)[0], None

    def scan_row(carry: tuple, _: None) -> tuple[tuple, Metrics]:
        state, captured = carry
        stage, words = hp.at(state.step)
        evaluate = partial(_score, spec, words, state.params)

        def evaluated(rows: Rows) -> Scores:
            of_stage = jax.tree.map(lambda rows: rows[stage], rows)
            return _over_tiles(lambda tile, key: evaluate(tile, key)[1], of_stage, None)

        # The first update of a row stands alone: it is the only one that is looked at, and a
        # condition inside the loop would have a GPU ask the host at every update.
        after, info = step(spec, hp, train, state)
        if spec.log_every > 1:  # an empty loop would be traced and compiled all the same
            after, _ = jax.lax.scan(scan_step, after, None, length=spec.log_every - 1)
        on_train = info.scores if spec.updates_see_the_network else evaluated(train)
        on_test, n_train = evaluated(test), jnp.asarray(hp.n_train)[stage]
        metrics = Metrics(
            train_loss=on_train.loss,
            train_accuracy=on_train.hits / n_train,
            train_accuracy_true=on_train.true_hits / n_train,
            test_loss=on_test.loss,
            test_accuracy=on_test.hits / (spec.task.n_rows - n_train),
            weight_norm=info.weight_norm,
            grad_norm=info.grad_norm,
            update_norm=info.update_norm,
            measures=_measure(spec, words, state.params, train, stage),
        )
        if captured is not None:
            seen, captured = _capture(spec, hp, state, metrics, captured)
            after = dataclasses.replace(after, seen=seen)
        return (after, captured), metrics

    carry = (state, _nothing_captured(spec, log_points, state))
    (state, captured), metrics = jax.lax.scan(scan_row, carry, None, length=log_points)
    return state, metrics, captured


def _measure(
    spec: Spec, words: Words, params: dict, train: Rows, stage: jax.Array
) -> instruments.Measures:
    """What the instruments measure, apart from the update: they must not change its bits."""
    if not spec.instruments:
        return {}
    params, words = jax.lax.optimization_barrier((params, words))
    dataset = tasks.build(spec.task)
    index, weights = (x[stage].reshape(-1) for x in (train.index, train.weights))
    # Rows of weight zero pad the training set and may be any row, so what counts is a maximum.
    trained_on = jnp.zeros(len(dataset.targets), weights.dtype).at[index].max(weights) > 0
    observed = instruments.Observed(params, words.model, dataset, layout(spec), trained_on)
    return instruments.measure(spec.instruments, observed)


def _score(
    spec: Spec, words: Words, params: dict, tile: Rows, key: jax.Array | None
) -> tuple[jax.Array, Scores]:
    """What a tile `[N]` adds to the loss, and to the scores."""
    dataset = tasks.build(spec.task)
    outputs = models.apply(words.model, dataset, layout(spec), params, tile.index, key)
    loss = losses.weighted_loss(words.loss, outputs, tile.targets, tile.weights)
    hits = (
        losses.count_right(outputs, targets, tile.weights, dataset.tolerance)
        for targets in (tile.targets, tile.truth)
    )
    return loss, Scores(loss, *hits)


def _over_tiles(
    score: Callable[[Rows, jax.Array | None], Sums], rows: Rows, key: jax.Array | None
) -> Sums:
    """The scores of all tiles added up, each with a key of its own."""
    tiles = len(rows.index)
    keys = None if key is None else jax.random.split(key, tiles)
    (first, first_key), rest = (
        jax.tree.map(lambda x, part=part: x[part], (rows, keys)) for part in (0, slice(1, None))
    )

    def add(sums: Sums, tile: tuple[Rows, jax.Array | None]) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, sums, score(*tile)), None

    if tiles == 1:  # no empty loop, as above
        return score(first, first_key)
    return jax.lax.scan(add, score(first, first_key), rest)[0]


def _thresholds(spec: Spec) -> dict[str, tuple[str, float]]:
    """Moment whose parameters are kept → the accuracy that it is the first sight of."""
    if spec.capture is None:
        return {}
    found = {
        "t_mem": ("train_accuracy", spec.capture.memorised),
        "t_grok": ("test_accuracy", spec.capture.grokked),
    }
    return {m: (name, float(least)) for m, (name, least) in found.items() if least is not None}


def _nothing_captured(spec: Spec, log_points: int, state: State) -> Captured | None:
    if spec.capture is None:
        return None
    places = 1 + min(log_points, spec.capture.steps + len(state.seen))
    empty = jax.tree.map(lambda x: jnp.zeros((places, *x.shape), x.dtype), _snapshot(spec, state))
    return Captured(jnp.full(places, -1, jnp.int32), jnp.zeros((), jnp.int32), empty)


def _snapshot(spec: Spec, state: State) -> dict[str, Any]:
    """What a snapshot is made of."""
    assert spec.capture is not None  # asked for by captures only
    optimizer = {"optimizer": state.optimizer} if spec.capture.optimizer else {}
    return {"params": state.params, **optimizer}


def _capture(
    spec: Spec, hp: Hparams, state: State, metrics: Metrics, captured: Captured
) -> tuple[dict[str, jax.Array], Captured]:
    """Keep the parameters of this log point if its step or what is seen there asks for it."""
    wanted = jnp.any(hp.snapshot_steps == state.step)
    seen = dict(state.seen)
    for moment, (name, least) in _thresholds(spec).items():
        # In float32, as everywhere that accuracies are compared with thresholds.
        reached = getattr(metrics, name).astype(jnp.float32) >= jnp.float32(least)
        wanted |= reached & ~seen[moment]
        seen[moment] |= reached
    place = jnp.where(wanted, captured.count, len(captured.step) - 1)
    step = captured.step.at[place].set(state.step)
    both = jax.tree.map(
        lambda all, one: all.at[place].set(one), captured.kept, _snapshot(spec, state)
    )
    return seen, Captured(step, captured.count + wanted, both)
