"""Learning without labels: policies, returns, bottlenecks and tasks in context.

The formulas of `experiments/beyond` beside other ways of writing them, and every file of it trained
for a few updates.
"""

import dataclasses
import functools
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import vocabulary
from conftest import QUICKLY, hparams
from own_words import guessed

import grokjax
from grokjax import models, tasks
from grokjax.training import loop as training
from grokjax.training import losses
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

FOLDER = Path(__file__).parents[1] / "experiments" / "beyond"


@functools.cache
def written(name):
    """What an experiment file defines, by name."""
    return runpy.run_path(str(FOLDER / f"{name}.py"), run_name=name)


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
