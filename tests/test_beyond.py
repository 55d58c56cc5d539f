"""Learning without labels: policies, returns, bottlenecks and tasks in context.

The formulas of `experiments/beyond` beside other ways of writing them, and every file of it trained
for a few updates.
"""

import dataclasses
import functools
import itertools
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import vocabulary
from conftest import QUICKLY, hparams
from own_words import guessed
from sklearn.metrics import mutual_info_score

import grokjax
from grokjax import ConfigError, experiment_file, measures, models, tasks
from grokjax.training import loop as training
from grokjax.training import losses, observing
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

FOLDER = Path(__file__).parents[1] / "experiments" / "beyond"


@functools.cache
def written(name):
    """What an experiment file defines, by name."""
    path = FOLDER / f"{name}.py"
    experiment_file.read(path)
    return vars([m for m in sys.modules.values() if getattr(m, "__file__", "") == str(path)][-1])


def numbers(shape, scale=1.0, seed=0):
    return scale * np.random.default_rng(seed).normal(size=shape)


def compiled(function):
    return jax.jit(function, compiler_options=QUICKLY)


def test_the_policy_gradient_is_that_of_the_expected_reward_and_the_entropy():
    loss = written("bandit")["policy_gradient"](entropy=0.3)
    logits, targets = numbers((6, 5), 2.0), np.arange(6) % 5
    policy = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rewards = np.eye(5)[targets]
    value = (policy * rewards).sum(axis=1, keepdims=True)
    entropy = -(policy * np.log(policy)).sum(axis=1, keepdims=True)
    # dJ/dz_a = π_a (r_a − J) and dH/dz_a = −π_a (log π_a + H)
    by_hand = -policy * (rewards - value) + 0.3 * policy * (np.log(policy) + entropy)
    with jax.enable_x64(True):
        found = losses.per_target(loss, jnp.asarray(logits), jnp.asarray(targets))
        gradient = jax.grad(lambda z: losses.per_target(loss, z, jnp.asarray(targets)).sum())(
            jnp.asarray(logits)
        )
    np.testing.assert_allclose(found, -(value + 0.3 * entropy)[:, 0], rtol=1e-12)
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("samples", [1, 3])
def test_reinforce_is_the_policy_gradient_on_average(samples):
    file, draws = written("bandit"), 40_000
    exact = file["policy_gradient"](entropy=0.2)
    sampled = file["reinforce"](samples=samples, entropy=0.2)
    logits, targets = jnp.asarray(numbers((3, 4)), jnp.float32), jnp.arange(3)

    def gradient(loss, *key):
        return jax.grad(lambda z: losses.per_target(loss, z, targets, *key).sum())(logits)

    keys = jax.random.split(jax.random.key(0), draws)
    each = np.asarray(compiled(jax.vmap(lambda key: gradient(sampled, key)))(keys))
    error = each.std(axis=0) / draws**0.5
    assert (np.abs(each.mean(axis=0) - np.asarray(gradient(exact))) < 4.5 * error).all()
    assert (error > 0).all()
    recorded = losses.per_target(sampled, logits, targets)  # without a key: the expectation
    np.testing.assert_array_equal(recorded, losses.per_target(exact, logits, targets))


@pytest.mark.drawn
def test_a_random_loss_draws_anew_at_every_update_and_is_recorded_as_its_expectation():
    run = dataclasses.replace(
        vocabulary.BASE, loss=guessed(), dtype="float32", log_every=1, optimizer=grokjax.SGD()
    ).resolved()
    spec, hp = spec_of(run), hparams(run)
    dataset = tasks.build(run.task)

    @compiled
    def begun():
        state, rows = training.init(spec, hp), splits(spec, hp)[0]
        looks = models.look(run.model, dataset, training.layout(spec), state.params)
        return state, rows, jax.nn.softmax(looks.outputs)

    state, rows, policy = begun()
    _, curve, _ = compiled(functools.partial(training.segment, spec, 1, hp))(state)
    value = np.take_along_axis(np.asarray(policy), dataset.targets[:, None], axis=1)[:, 0]
    expected = np.asarray(rows.weights[0, 0]) @ value[np.asarray(rows.index[0, 0])]
    assert float(curve.train_loss[0]) == pytest.approx(-expected, rel=1e-5)
    step = compiled(functools.partial(training.step, spec, hp, rows))
    norms = [step(dataclasses.replace(state, step=jnp.int32(at)))[1].grad_norm for at in (0, 0, 1)]
    assert norms[0] == norms[1] == curve.grad_norm[0] and norms[1] != norms[2]


def walked(plan, start, goal, after):
    """Probability that each move is the first to reach the goal, over all 4^H lists of actions."""
    found = np.zeros(len(plan))
    for actions in itertools.product(range(4), repeat=len(plan)):
        here, chance = start, np.prod([plan[move, action] for move, action in enumerate(actions)])
        for move, action in enumerate(actions):
            here = after[here, action]
            if here == goal:
                found[move] += chance
                break
    return found


@pytest.mark.parametrize("world", [("../.#/..", False), (".../...", True)])
def test_a_return_is_that_of_all_walks_and_the_fewest_moves_are_right(world):
    file = written("gridworld")
    task = file["Gridworld"](world=world[0], torus=world[1])
    loss = file["ExpectedReturn"](world=world[0], torus=world[1], discount=0.7, entropy=0.2)
    table, after = task.dataset(), file["successors"](*world)
    cells, moves = task.cells, len(table.answers)
    assert len(table.targets) == cells * (cells - 1) == task.n_rows
    rows = [0, 7, len(table.targets) - 1]
    logits = numbers((len(rows), moves, 4), 1.5)
    plan = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    entropy = -(plan * np.log(plan)).sum(axis=-1).mean(axis=1)
    greedy = np.eye(4)[logits.argmax(axis=-1)]
    value, right = [], []
    for row, by_chance, surely in zip(rows, plan, greedy, strict=True):
        start, goal = table.inputs[row, :2]
        value.append(walked(by_chance, start, goal, after) @ 0.7 ** np.arange(moves))
        # No list of fewer moves gets there.
        most = np.flatnonzero(walked(np.full((moves, 4), 0.25), start, goal, after))[0]
        right.append(walked(surely, start, goal, after)[most] == 1)
    # A plan that is known to be good: the shortest walk of every row.
    best = []
    for start, goal in table.inputs[:, :2]:
        reached = {}
        for walk in itertools.product(range(4), repeat=moves):
            here = start
            for length, action in enumerate(walk):
                here = after[here, action]
                if here == goal:
                    reached.setdefault(length, walk)
                    break
        best.append(reached[min(reached)])

    @compiled
    def found(logits, targets, good, every):
        return (
            losses.per_target(loss, logits, targets).mean(axis=1),
            task.right(logits, targets),
            task.right(good, every),
        )

    with jax.enable_x64(True):
        good = np.eye(4)[np.array(best)]
        returns, is_right, all_right = found(logits, table.targets[rows], good, table.targets)
    np.testing.assert_allclose(returns, -(np.array(value) + 0.2 * entropy), rtol=1e-10)
    assert np.asarray(is_right).tolist() == right
    assert np.asarray(all_right).all()


def test_a_return_is_of_the_tasks_own_world():
    experiment, file = written("gridworld")["experiment"], written("gridworld")
    with pytest.raises(ConfigError, match="of the same one"):
        dataclasses.replace(
            experiment, task=file["Gridworld"](torus=False), sweep=grokjax.grid(seed=[0])
        )
    with pytest.raises(ConfigError, match="open a way"):
        file["Gridworld"](world="...#.", torus=False)


def test_the_gap_of_a_code_is_that_of_scikit_learns_mutual_information():
    file, task = written("autoencoder"), written("autoencoder")["Factors"](factors=2, levels=4)
    values = task.combinations()
    code = np.stack([values[:, 0] + 0.1 * numbers(16), values.sum(axis=1), numbers(16, seed=1)], 1)
    found = compiled(lambda code: file["shared_bits"](code, jnp.asarray(values), 4))(code)
    bins = [np.histogram_bin_edges(unit, 20) for unit in code.T]
    binned = [np.digitize(unit, edges[1:-1]) for unit, edges in zip(code.T, bins, strict=True)]
    expected = [[mutual_info_score(unit, factor) for factor in values.T] for unit in binned]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    observed = types.SimpleNamespace(
        task=task, looks=types.SimpleNamespace(neurons=jnp.asarray(code))
    )
    first, second = np.sort(expected, axis=0)[[-1, -2]]
    gap = file["mutual_information_gap"]().measure(observed)
    assert float(gap) == pytest.approx(np.mean(first - second) / np.log(4), rel=1e-4)


def test_no_row_of_an_unseen_function_is_in_the_table():
    file = written("in_context")
    for operands, examples in ((1, 1), (2, 1)):
        task = file["InContext"](p=5 if operands == 1 else 3, operands=operands, examples=examples)
        seen, unseen = task.functions(seen=True), task.functions(seen=False)
        assert sorted([*seen, *unseen]) == list(range(task.vectors))
        tables = [task.dataset(), task.rows(unseen, None)]
        for table in tables:
            # Every row holds the same function in its example and in what it asks for.
            x, z, asked = np.split(table.inputs[:, :-1], [operands, operands + 1], axis=1)
            fits = [
                {
                    a
                    for a in np.ndindex(*[task.p] * operands)
                    if any(a)
                    and (x[row] @ a - z[row, 0]) % task.p == 0
                    and (asked[row] @ a - table.targets[row]) % task.p == 0
                }
                for row in range(len(table.targets))
            ]
            assert all(fits)
        if operands == 1:  # one example says which function it is
            functions = [
                set(map(tuple, np.unique(table.inputs[:, :2], axis=0))) for table in tables
            ]
            assert not functions[0] & functions[1]
        drawn = dataclasses.replace(task, samples=20).dataset().inputs
        assert len(np.unique(drawn, axis=0)) == 20
        assert set(map(tuple, drawn)) <= set(map(tuple, tables[0].inputs))


def small(name):
    """An experiment of a file, its words as small as they can be."""
    file = written(name)
    perceptron = {"model": grokjax.MLP(width=6, mlp_width=12)}
    if name == "bandit":
        task = grokjax.ModularArithmetic("sub", p=5, format="a b")
        return {**perceptron, "task": task, "loss": file["reinforce"](samples=2, entropy=0.1)}
    if name == "gridworld":
        world = {"world": ".../...", "torus": True}
        model = file["planner"](width=4, hidden=8)
        loss = file["ExpectedReturn"](**world, entropy=0.1)
        return {"task": file["Gridworld"](**world), "model": model, "loss": loss, "changes": ()}
    if name == "autoencoder":
        task = file["Factors"](factors=2, levels=3, observed=4)
        return {"task": task, "model": file["autoencoder"](code=2, hidden=8)}
    return {**perceptron, "task": file["InContext"](p=5)}


@pytest.mark.parametrize(
    "name",
    ["autoencoder", "bandit", "in_context", pytest.param("gridworld", marks=pytest.mark.slow)],
)
def test_a_file_learns_and_is_measured(name):
    experiment = dataclasses.replace(
        written(name)["experiment"],
        **small(name),
        optimizer=grokjax.AdamW(learning_rate=1e-2),
        train_fraction=0.6,
        log_every=20,
        sweep=grokjax.grid(seed=[0]),
    )
    (run,) = experiment.runs()
    spec, hp = spec_of(run), hparams(run)

    @compiled
    def trained(hp):
        state, curve, _ = training.segment(spec, 3, hp, training.init(spec, hp))
        stage, words = hp.at(state.step)
        rows = observing.training_rows(splits(spec, hp)[0], stage)
        seen = observing.observed(spec, words, training.layout(spec), state.params, rows)
        return curve.columns(), measures.measure(run.instruments, seen)

    curve, measured = jax.tree.map(np.asarray, trained(hp))
    assert curve["train_loss"][-1] < curve["train_loss"][0]
    assert all(np.isfinite(column).all() for column in curve.values())
    shares = [*curve["train_accuracy"], *curve["test_accuracy"], *jax.tree.leaves(measured)]
    assert all(0 <= share <= 1 for share in shares)
    assert len(measured) == (name in ("autoencoder", "in_context"))
