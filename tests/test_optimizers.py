"""Optimisers against the formulas in float64, and optax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference

from grokjax.training.optimizers import adamw

SETTINGS = [
    {"learning_rate": 1e-3, "weight_decay": 1.0, "b1": 0.9, "b2": 0.98, "eps": 1e-8},
    {"learning_rate": 1e-2, "weight_decay": 0.0, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
    {"learning_rate": 1e-2, "weight_decay": 0.3, "b1": 0.5, "b2": 0.95, "eps": 1e-3},
]
START = np.random.default_rng(0).normal(size=50)
TARGET = np.random.default_rng(1).normal(size=50)


def gradient(weights):
    """Of Σ log cosh(w - target), so that gradients shrink as it trains."""
    return np.tanh(weights - TARGET)


def by_reference(settings, warmup):
    optimizer, weights = reference.AdamW(50, **settings, warmup_steps=warmup), START
    for _ in range(100):
        weights = optimizer.step(weights, gradient(weights))
    return weights


def by_grokjax(settings, warmup, dtype):
    numbers = {name: jnp.asarray(value, dtype) for name, value in settings.items()}
    numbers["warmup_steps"] = jnp.asarray(warmup, dtype)

    @jax.jit
    def step(numbers, weights, state):
        updates, state = adamw(numbers).update(jnp.tanh(weights - TARGET), state, weights)
        return optax.apply_updates(weights, updates), state

    weights = jnp.asarray(START, dtype)
    state = adamw(numbers).init(weights)
    for _ in range(100):
        weights, state = step(numbers, weights, state)
    assert weights.dtype == dtype
    return np.asarray(weights, np.float64)


@pytest.mark.parametrize("warmup", [0, 1, 30])
@pytest.mark.parametrize("settings", SETTINGS)
def test_hundred_steps_of_adamw_match_the_formulas_in_float64(settings, warmup):
    with jax.enable_x64(True):
        found = by_grokjax(settings, warmup, np.float64)
    np.testing.assert_allclose(found, by_reference(settings, warmup), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("settings", SETTINGS)
def test_traced_float32_numbers_cost_no_more_accuracy_than_constants(settings):
    """Compared with optax's own AdamW, whose betas are Python floats."""
    exact = by_reference(settings, 0)
    constant = optax.adamw(**settings)
    weights = jnp.asarray(START, jnp.float32)
    state = constant.init(weights)
    for _ in range(100):
        updates, state = constant.update(jnp.tanh(weights - TARGET), state, weights)
        weights = optax.apply_updates(weights, updates)
    naive = np.abs(np.asarray(weights, np.float64) - exact).max()
    traced = np.abs(by_grokjax(settings, 0, np.float32) - exact).max()
    assert traced <= max(2 * naive, 1e-6)
