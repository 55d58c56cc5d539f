"""One run: `init`, `step`, and `segment`, a scan of steps with a row of metrics now and then.

Legend: K log points of a segment, N rows.
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

from grokjax import measures, models, tasks
from grokjax.training import captures, losses, masks, modifiers, observing, update
from grokjax.training.captures import Captured
from grokjax.training.data import Rows, batch, splits
from grokjax.training.spec import Hparams, Spec
from grokjax.training.streams import INITIALISATION, LOSS, MASK, NOISE, stream
from grokjax.training.words import Words

Sums = TypeVar("Sums")
Keys = tuple[jax.Array | None, jax.Array | None]
"""Of dropout, and of a loss that is random; None where there is no such thing."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Donors:
    """Arrays that come from other runs, each None where the spec asks for none."""

    start: dict | None = None
    optimizer: update.OptimizerState | None = None
    mask: dict | None = None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """The state of a run between two updates: all that it needs to go on."""

    step: jax.Array
    params: dict
    optimizer: update.OptimizerState
    mask: dict | None
    """1 where a weight is trained; None where all are."""
    seen: dict[str, jax.Array]
    """Moment at which a snapshot is taken, such as t_grok → whether it has come."""
    calm_since: jax.Array | None = None
    """Step since which the run has been above the thresholds of the stop rule, -1 where it is not;
    None where the program need not know when a run ends."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Scores:
    """Loss and number of right answers on some rows."""

    loss: jax.Array
    hits: jax.Array
    """Number of rows that are right by the labels that are trained on."""
    true_hits: jax.Array
    """Number of rows that are right by the true labels."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StepInfo:
    """Scores of the network before a step, and norms: of weights, gradient and update."""

    scores: Scores
    gradient: dict
    """What the optimiser made the update of."""
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
    """Train accuracy by the true labels, where `label_noise` has replaced some."""

    measures: measures.Measures
    """Measurements of the instruments."""

    def columns(self) -> dict[str, jax.Array]:
        """Column name → values, in the order of the curves table."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "measures"]
        return {name: getattr(self, name) for name in names}


@functools.cache
def layout(spec: Spec) -> models.Layout:
    """Which activations of the spec's table are computed once and shared by rows."""
    table = tasks.build(spec.task)
    inputs = table.inputs if table.vocabulary else table.inputs.astype(spec.dtype)
    return models.layout(spec.words.model, inputs, table.answers, spec.tile_rows)


def init(spec: Spec, hp: Hparams, donors: Donors = Donors()) -> State:
    """The state of a run before its first update.

    Args:
      spec: the program.
      hp: the numbers of the run.
      donors: arrays of other runs to start from, or to make a mask of.
    """
    step = jnp.zeros((), jnp.int32)
    _, words = hp.at(step)
    key = stream(hp.seed, INITIALISATION)
    params = donors.start
    if params is None:
        params = models.init(words.model, tasks.build(spec.task), layout(spec), key)
    mask = None
    if words.mask is not None:
        assert donors.mask is not None  # the planner has looked for it
        mask = masks.make_mask(words.mask, donors.mask, stream(hp.seed, MASK))
        params = masks.apply(mask, params)
    optimizer = donors.optimizer or update.init(words, params)
    return State(step, params, optimizer, mask, *captures.begin(spec))


def step(spec: Spec, hp: Hparams, train: Rows, state: State) -> tuple[State, StepInfo]:
    """One update, with the scores and norms that belong to it.

    Where the caller drops these the compiler leaves their computation out: scores and norms were a
    third of a small MLP's update (64 hidden units, 6,586 rows, one core).

    Args:
      spec: the program.
      hp: the numbers of the run.
      train: the training rows of every stage.
      state: the run before the update.
    """
    stage, words = hp.at(state.step)
    train = jax.tree.map(lambda rows: rows[stage], train)
    rows = batch(spec, hp, stage, state.step, train)
    keys = jax.random.split(stream(hp.seed, NOISE, state.step), 3)
    point_key, dropout_key, update_key = keys
    dropout = dropout_key if words.model.dropout is not None else None
    drawn = stream(hp.seed, LOSS, state.step) if words.loss.random else None

    def score(params: dict) -> tuple[Scores, dict]:
        def loss(params: dict, tile: Rows, keys: Keys) -> tuple[jax.Array, Scores]:
            return _score(spec, words, masks.apply(state.mask, params), tile, *keys)

        gradient = jax.grad(loss, has_aux=True)
        grads, scores = _over_tiles(partial(gradient, params), rows, (dropout, drawn))
        return scores, grads

    scores, grads = modifiers.gradient(words.modifiers, score, state.params, point_key)
    changed, optimizer = update.update(
        words, grads, state.optimizer, state.params, state.mask, state.step, update_key
    )
    norms = (optax.tree.norm(tree) for tree in (state.params, grads, changed))
    params = optax.apply_updates(state.params, changed)
    next_state = dataclasses.replace(state, step=state.step + 1, params=params, optimizer=optimizer)
    return next_state, StepInfo(scores, grads, *norms)


def segment(
    spec: Spec, log_points: int, hp: Hparams, state: State
) -> tuple[State, Metrics, Captured | None]:
    """`log_points · log_every` updates, with the curves and snapshots on the way.

    Args:
      spec: the program.
      log_points: number K of log points.
      hp: the numbers of the run.
      state: the run before these updates.

    Returns:
      The state after them, the metrics `[K]` before each `log_every` updates, and the snapshots of
      the log points that the spec's `capture` asks for.
    """
    train, test = splits(spec, hp)

    def scan_step(state: State, _: None) -> tuple[State, None]:
        return step(spec, hp, train, state)[0], None

    def scan_row(carry: tuple, _: None) -> tuple[tuple, Metrics]:
        state, captured = carry
        stage, words = hp.at(state.step)
        evaluate = partial(_score, spec, words, state.params)

        def scores_on(rows: Rows) -> Scores:
            rows_now = jax.tree.map(lambda rows: rows[stage], rows)
            return _over_tiles(lambda tile, _: evaluate(tile, None)[1], rows_now, (None, None))

        # The first update of a row of the curves stands outside of the loop: it is the only one
        # whose scores and norms are recorded, so the loop of the others is compiled without them.
        # A condition inside of one loop would have a GPU ask the host at every update.
        memories = modifiers.counted_anew(state.optimizer.modifiers)
        begun = dataclasses.replace(
            state, optimizer=dataclasses.replace(state.optimizer, modifiers=memories)
        )
        after, info = step(spec, hp, train, begun)
        if spec.log_every > 1:  # an empty loop would be traced and compiled all the same
            after, _ = jax.lax.scan(scan_step, after, None, length=spec.log_every - 1)
        on_train = info.scores if spec.updates_see_the_network else scores_on(train)
        on_test, n_train = scores_on(test), jnp.asarray(hp.n_train)[stage]
        metrics = Metrics(
            train_loss=on_train.loss,
            train_accuracy=on_train.hits / n_train,
            train_accuracy_true=on_train.true_hits / n_train,
            test_loss=on_test.loss,
            test_accuracy=on_test.hits / spec.n_test(n_train),
            weight_norm=info.weight_norm,
            grad_norm=info.grad_norm,
            update_norm=info.update_norm,
            measures=_measure(spec, words, state, train, stage),
        )
        if captured is not None:
            seen, calm_since, captured = captures.take(spec, hp, state, metrics, captured)
            after = dataclasses.replace(after, seen=seen, calm_since=calm_since)
        return (after, captured), metrics

    carry = (state, captures.nothing(spec, log_points, state))
    (state, captured), metrics = jax.lax.scan(scan_row, carry, None, length=log_points)
    return state, metrics, captured


def _measure(
    spec: Spec, words: Words, state: State, train: Rows, stage: jax.Array
) -> measures.Measures:
    """The measurements of the instruments that look at every log point."""
    if not spec.instruments:
        return {}
    # Without the barrier the compiler could merge an instrument's computation with the update's
    # and round otherwise: a run must have the same bits whatever is measured of it.
    params, words = jax.lax.optimization_barrier((state.params, words))
    rows = observing.training_rows(train, stage)
    counts = modifiers.clipped_updates(words.modifiers, state.optimizer.modifiers)
    counted = {name: jnp.where(state.step > 0, count, 0) for name, count in counts.items()}
    clipped = {name: count / spec.log_every for name, count in counted.items()}
    observed = observing.observed(spec, words, layout(spec), params, rows, clipped=clipped)
    return measures.measure(spec.instruments, observed)


def _score(
    spec: Spec,
    words: Words,
    params: dict,
    tile: Rows,
    dropout: jax.Array | None,
    drawn: jax.Array | None = None,
) -> tuple[jax.Array, Scores]:
    """What a tile of rows `[N]` adds to the loss, and to the scores; keys as in `Keys`."""
    dataset = tasks.build(spec.task)
    outputs = models.apply(words.model, dataset, layout(spec), params, tile.index, dropout)
    loss = losses.weighted_loss(
        words.loss, outputs, tile.targets, tile.weights, spec.loss_dtype, drawn
    )
    hits = (
        losses.hits(spec.task, dataset, outputs, targets, tile.weights)
        for targets in (tile.targets, tile.truth)
    )
    return loss, Scores(loss, *hits)


def _over_tiles(score: Callable[[Rows, Keys], Sums], rows: Rows, keys: Keys) -> Sums:
    """The sum of `score` over all tiles, each with keys of its own."""
    tiles = len(rows.index)
    of_tiles = jax.tree.map(lambda key: jax.random.split(key, tiles), keys)
    (first, first_keys), rest = (
        jax.tree.map(lambda x, part=part: x[part], (rows, of_tiles)) for part in (0, slice(1, None))
    )

    def add(sums: Sums, tile: tuple[Rows, Keys]) -> tuple[Sums, None]:
        return jax.tree.map(jnp.add, sums, score(*tile)), None

    if tiles == 1:  # no empty loop, as above
        return score(first, first_keys)
    return jax.lax.scan(add, score(first, first_keys), rest)[0]
