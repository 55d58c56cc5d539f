"""Optimisers, schedules and modifiers against their formulas in NumPy, in float64.

Adam, AdamW, SGD and Muon on whole networks are compared with PyTorch in `test_golden`.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference
from conftest import QUICKLY, hparams, to_numpy
from vocabulary import BASE

import grokjax
from grokjax import ParameterGroups
from grokjax.training import update
from grokjax.training.spec import hparams as numbers_of_run

STEPS = 40
RNG = np.random.default_rng(0)
START = {
    "embed": RNG.normal(size=(4, 3)),
    "hidden_0": {"weight": RNG.normal(size=(3, 5)), "bias": RNG.normal(size=5)},
    "unembed": {"weight": RNG.normal(size=(5, 2))},
}
TARGET = jax.tree.map(lambda x: RNG.normal(size=x.shape), START)


def trained(dtype="float64", steps=STEPS, **changes):
    """START after so many steps down Σ log cosh(w − target), and the updates on the way."""
    experiment = dataclasses.replace(BASE, dtype=dtype, **changes).resolved()
    hp = hparams(experiment)
    real = np.dtype(dtype)

    def step(carry, at):
        params, state = carry
        _, words = hp.at(at)
        grads = jax.tree.map(lambda w, t: jnp.tanh(w - jnp.asarray(t, real)), params, TARGET)
        key = jax.random.fold_in(jax.random.key(0), at)
        updates, state = update.update(words, grads, state, params, None, at, key)
        return (optax.apply_updates(params, updates), state), updates

    def train():
        params = jax.tree.map(lambda x: jnp.asarray(x, real), START)
        _, words = hp.at(jnp.zeros((), jnp.int32))
        state = update.init(words, params)
        return jax.lax.scan(step, (params, state), jnp.arange(steps, dtype=jnp.int32))

    with jax.enable_x64(True):
        (params, _), updates = jax.jit(train, compiler_options=QUICKLY)()
    return to_numpy(params), to_numpy(updates)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64)


def by_formula(rule, steps=STEPS):
    """START after so many steps of `rule(weights, gradient, step)`, as one vector."""
    weights, target = flat(START), flat(TARGET)
    for step in range(steps):
        weights = rule(weights, np.tanh(weights - target), step)
    return weights


def agrees(found, expected):
    np.testing.assert_allclose(flat(found), expected, rtol=1e-11, atol=1e-12)


SETTINGS = [
    {"learning_rate": 1e-3, "weight_decay": 1.0, "b1": 0.9, "b2": 0.98, "eps": 1e-8},
    {"learning_rate": 1e-2, "weight_decay": 0.0, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
    {"learning_rate": 1e-2, "weight_decay": 0.3, "b1": 0.5, "b2": 0.95, "eps": 1e-3},
]


@pytest.mark.drawn
@pytest.mark.parametrize("warmup", [0, 1, 30])
@pytest.mark.parametrize("settings", SETTINGS)
def test_adamw(settings, warmup):
    found, _ = trained(optimizer=grokjax.AdamW(**settings, warmup_steps=warmup))
    adamw = reference.AdamW(flat(START).size, **settings, warmup_steps=warmup)
    agrees(found, by_formula(lambda w, g, step: adamw.step(w, g)))


@pytest.mark.drawn
@pytest.mark.parametrize("settings", SETTINGS)
def test_traced_float32_numbers_cost_no_more_accuracy_than_constants(settings):
    """Compared with optax's own AdamW, whose betas are Python floats."""
    adamw = reference.AdamW(flat(START).size, **settings, warmup_steps=0)
    exact = by_formula(lambda w, g, step: adamw.step(w, g))
    constant = optax.adamw(**settings)
    weights = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), START)
    state = constant.init(weights)

    @jax.jit
    def step(weights, state):
        grads = jax.tree.map(lambda w, t: jnp.tanh(w - t.astype(np.float32)), weights, TARGET)
        updates, state = constant.update(grads, state, weights)
        return optax.apply_updates(weights, updates), state

    for _ in range(STEPS):
        weights, state = step(weights, state)
    naive = np.abs(flat(to_numpy(weights)) - exact).max()
    found, _ = trained(dtype="float32", optimizer=grokjax.AdamW(**settings))
    assert np.abs(flat(found) - exact).max() <= max(2 * naive, 1e-6)


@pytest.mark.parametrize(("nesterov", "decay"), [(False, "coupled"), (True, "decoupled")])
def test_sgd(nesterov, decay):
    momentum, rate, wd = 0.9, 0.05, 0.1
    velocity = np.zeros(flat(START).size)

    def rule(w, g, step):
        nonlocal velocity
        g = g + wd * w if decay == "coupled" else g
        velocity = momentum * velocity + g
        along = g + momentum * velocity if nesterov else velocity
        return w - rate * (along + (wd * w if decay == "decoupled" else 0))

    optimizer = grokjax.SGD(
        learning_rate=rate, momentum=momentum, weight_decay=wd, nesterov=nesterov, decay=decay
    )
    agrees(trained(optimizer=optimizer)[0], by_formula(rule))


def test_lion():
    m = np.zeros(flat(START).size)

    def rule(w, g, step):
        nonlocal m
        along = np.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
        return w - 1e-2 * (along + 0.3 * w)

    agrees(
        trained(optimizer=grokjax.Lion(learning_rate=1e-2, weight_decay=0.3))[0], by_formula(rule)
    )


def test_rmsprop():
    v = np.zeros(flat(START).size)

    def rule(w, g, step):
        nonlocal v
        g = g + 0.01 * w
        v = 0.9 * v + 0.1 * g**2
        return w - 1e-2 * g / (np.sqrt(v) + 1e-6)

    optimizer = grokjax.RMSProp(learning_rate=1e-2, weight_decay=0.01, b2=0.9, eps=1e-6)
    agrees(trained(optimizer=optimizer)[0], by_formula(rule))


PLAIN = grokjax.SGD(learning_rate=0.1)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_schedules(schedule):
    def rule(w, g, step):
        part = min(1, step / 25)
        left = {"constant": 1, "linear": 1 - part, "cosine": (1 + np.cos(np.pi * part)) / 2}
        share = 1 if schedule == "constant" else 0.2 + 0.8 * left[schedule]
        return w - 0.1 * min(1, (step + 1) / 5) * share * g

    optimizer = dataclasses.replace(
        PLAIN, warmup_steps=5, schedule=schedule, schedule_steps=25, final_rate=0.2
    )
    agrees(trained(optimizer=optimizer)[0], by_formula(rule))


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ("linear_from_start", lambda s: 0.2 + 0.8 * min(1, s / 5)),
        ("constant", lambda s: 0.2 if s < 5 else 1),
        ("exponential", lambda s: 0.2 ** max(0, 1 - s / 5)),
    ],
)
def test_warmups_under_a_schedule_that_has_a_floor(shape, share):
    def rule(w, g, step):
        return w - 0.1 * share(step) * max(0.3, 0.5 ** (step // 10)) * g

    optimizer = dataclasses.replace(
        PLAIN, warmup_steps=5, warmup_shape=shape, warmup_start=0.2,
        schedule="step", schedule_steps=10, schedule_factor=0.5, final_rate=0.3,
    )  # fmt: skip
    agrees(trained(optimizer=optimizer)[0], by_formula(rule))


@pytest.mark.parametrize("shape", ["linear", "linear_from_start", "constant", "exponential"])
def test_without_warmup_every_shape_of_it_is_none(shape):
    optimizer = dataclasses.replace(PLAIN, warmup_shape=shape, warmup_start=0.2)
    agrees(trained(optimizer=optimizer)[0], by_formula(lambda w, g, step: w - 0.1 * g))


def test_grokfast_ema():
    average = None

    def rule(w, g, step):
        nonlocal average
        average = g if average is None else 0.9 * average + 0.1 * g
        return w - 0.1 * (g + 2 * average)

    modifier = grokjax.GrokfastEMA(factor=2.0, memory=0.9)
    agrees(trained(optimizer=PLAIN, modifiers=(modifier,))[0], by_formula(rule))


def test_grokfast_ma():
    last = []

    def rule(w, g, step):
        last.append(g)
        slow = np.mean(last[-7:], axis=0) if len(last) >= 7 else 0
        return w - 0.1 * (g + 1.5 * slow)

    modifier = grokjax.GrokfastMA(factor=1.5, window=7)
    agrees(trained(optimizer=PLAIN, modifiers=(modifier,))[0], by_formula(rule))


def test_ortho_grad_is_across_the_weights_of_each_array_at_the_gradients_length():
    sizes = np.cumsum([leaf.size for leaf in jax.tree.leaves(START)])[:-1]

    def rule(w, g, step):
        moved = []
        for weight, gradient in zip(np.split(w, sizes), np.split(g, sizes), strict=True):
            across = gradient - (gradient @ weight) / (weight @ weight) * weight
            assert across @ weight == pytest.approx(0, abs=1e-12)
            along = across / np.linalg.norm(across) * np.linalg.norm(gradient)
            moved.append(weight - 0.1 * along)
        return np.concatenate(moved)

    agrees(trained(optimizer=PLAIN, modifiers=(grokjax.OrthoGrad(),))[0], by_formula(rule))


def test_l1_and_decay_to_start():
    first = flat(START)
    modifiers = (grokjax.L1(0.03), grokjax.DecayToStart(0.5))
    found, _ = trained(optimizer=PLAIN, modifiers=modifiers)
    agrees(
        found,
        by_formula(lambda w, g, step: w - 0.1 * (g + 0.03 * np.sign(w)) - 0.05 * (w - first)),
    )


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_the_norm_is_projected_or_clamped(ratio):
    norm = np.linalg.norm(flat(START))
    projected, _ = trained(optimizer=PLAIN, modifiers=(grokjax.NormProjection(ratio),))
    assert np.linalg.norm(flat(projected)) == pytest.approx(ratio * norm)
    clamped, _ = trained(optimizer=PLAIN, modifiers=(grokjax.NormClamp(ratio),))
    free, _ = trained(optimizer=PLAIN)
    expected = min(ratio * norm, np.linalg.norm(flat(free)))
    assert np.linalg.norm(flat(clamped)) == pytest.approx(expected, rel=0.2 if ratio < 1 else 1e-9)
    assert np.linalg.norm(flat(clamped)) <= ratio * norm * (1 + 1e-12)


def test_gradient_noise_has_its_deviation_and_no_memory():
    modifier = grokjax.GradientNoise(0.5)
    _, noisy = trained(optimizer=PLAIN, modifiers=(modifier,), steps=1)
    _, clean = trained(optimizer=PLAIN, steps=1)
    noise = (flat(noisy) - flat(clean)) / -0.1
    assert noise.std() == pytest.approx(0.5, rel=0.35)
    assert abs(noise.mean()) < 0.3


def test_groups_have_rates_and_decays_of_their_own():
    groups = ParameterGroups(embed_learning_rate=0.0, body_learning_rate=2.0, bias_decay=0.0)
    optimizer = grokjax.SGD(learning_rate=0.1, weight_decay=0.2, decay="decoupled")
    found, _ = trained(optimizer=optimizer, groups=groups)
    np.testing.assert_array_equal(found["embed"], START["embed"])
    for path, rate, decay in [
        (("hidden_0", "weight"), 0.2, 0.2),
        (("hidden_0", "bias"), 0.1, 0.0),
        (("unembed", "weight"), 0.1, 0.2),
    ]:
        weights, target, leaf = START, TARGET, found
        for name in path:
            weights, target, leaf = weights[name], target[name], leaf[name]
        for _ in range(STEPS):
            weights = weights - rate * (np.tanh(weights - target) + decay * weights)
        np.testing.assert_allclose(leaf, weights, rtol=1e-11)


def test_numbers_have_the_programs_dtype_and_a_value_for_every_stage():
    experiment = dataclasses.replace(
        BASE, changes=(grokjax.Change(10, weight_decay=0.7), grokjax.Change(20, train_fraction=0.4))
    )
    hp = numbers_of_run(experiment)
    np.testing.assert_array_equal(hp.words.optimizer.weight_decay, [0.1, 0.7, 0.7])
    np.testing.assert_array_equal(hp.n_train, [15, 15, 10])
    assert {leaf.dtype for leaf in jax.tree.leaves((hp.words, hp.label_noise))} == {
        np.dtype("float64")
    }


def test_coupled_is_said_of_those_that_are():
    coupled = [o for o in (grokjax.Adam(), grokjax.RMSProp(), PLAIN) if o.coupled]
    assert len(coupled) == 3
    for decoupled in (grokjax.AdamW(), grokjax.Lion(), grokjax.Muon()):
        assert not decoupled.coupled
