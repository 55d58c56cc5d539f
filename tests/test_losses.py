"""Losses and scores beside the ways of writing them that everybody knows."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import grokjax
from grokjax import CrossEntropy
from grokjax.training import losses

ODD = [0.0, -0.0, 1.0, -1.0, float("inf"), -float("inf"), float("nan")]
"""Few values, so that there are ties."""


def random_logits(shape, scale, seed=0):
    """Logits, and targets of all rows."""
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=shape), rng.integers(0, shape[-1], shape[:-1]).astype(np.int32)


@jax.jit
def right(outputs, targets):
    """Of each row by itself, whether `hits` counts it."""
    one = jnp.ones(1, np.float32)
    return jax.vmap(lambda z, t: losses.count_right(z[None], t[None], one, 0.0))(outputs, targets)


HALF = json.loads((Path(__file__).parent / "golden" / "settings.json").read_text())["half"]


@pytest.mark.parametrize("dtype", sorted(HALF))
def test_losses_in_half_precision_are_those_of_pytorch(dtype):
    """The program that made the numbers is `golden.settings`."""
    golden = {name: np.array(value) for name, value in HALF[dtype].items()}
    logits, targets = jnp.asarray(golden["logits"], jnp.float32), jnp.asarray(golden["targets"])
    weights = jnp.full(16, 1 / 16, jnp.float32)

    @functools.partial(jax.jit, static_argnums=1)
    def both(logits, dtype):
        def mean(logits):
            return losses.weighted_loss(CrossEntropy(), logits, targets, weights, dtype)

        return losses.in_dtype(CrossEntropy(), logits, targets, dtype), jax.grad(mean)(logits)

    each, gradient = both(logits, dtype)
    digit = float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(each, golden["losses"], rtol=digit)
    np.testing.assert_allclose(gradient, golden["gradient"], rtol=2 * digit, atol=6e-8)
    in_float32 = both(logits, "float32")
    collapsed = (each == 0) & (in_float32[0] > 0)
    assert collapsed.any()
    own = np.asarray(gradient)[np.arange(16), targets]
    np.testing.assert_array_equal(own[collapsed], 0)
    assert (np.asarray(in_float32[1])[np.arange(16), targets][collapsed] < 0).all()


def sparsemax(z):
    """The point of the simplex that is nearest to z, by trying every size of its support."""
    for size in range(1, len(z) + 1):
        largest = np.sort(z)[::-1][:size]
        threshold = (largest.sum() - 1) / size
        if largest[-1] > threshold and (size == len(z) or np.sort(z)[::-1][size] <= threshold):
            return np.maximum(z - threshold, 0)
    raise AssertionError


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_sparsemax_is_the_loss_whose_gradient_is_the_nearest_share(scale):
    """L = max_p {pᵀz − ½‖p‖²} + ½ − z_y, whose gradient is the maximal p less the target."""
    rng = np.random.default_rng(0)
    logits, targets = scale * rng.normal(size=(40, 19)) + 50, rng.integers(0, 19, 40)
    shares = np.array([sparsemax(z) for z in logits])
    wanted = (shares * logits).sum(axis=1) - np.square(shares).sum(axis=1) / 2 + 0.5
    wanted -= logits[np.arange(40), targets]

    def total(logits):
        of_rows = jnp.asarray(targets[: len(logits)])
        each = losses.per_target(grokjax.Sparsemax(), logits, of_rows)
        return each.sum(), each

    with jax.enable_x64(True):
        gradient, each = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(logits))
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(each, wanted, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, shares - np.eye(19)[targets], atol=1e-13)
    with jax.enable_x64(True):  # second derivatives: those of a mean over the support
        curved = jax.jacfwd(jax.grad(lambda z: total(z)[0]))(jnp.asarray(logits[:1]))[0, :, 0]
    support = (shares[0] > 0).astype(float)
    np.testing.assert_allclose(
        curved, np.diag(support) - np.outer(support, support) / support.sum(), atol=1e-12
    )


def test_sparsemax_of_a_right_class_that_is_far_above_is_exactly_nothing():
    logits = jnp.array([[3.0, 1.9, -50.0, 2.0], [0.0, 1e30, 5.0, 3.0]], jnp.float32)
    each = losses.per_target(grokjax.Sparsemax(), logits, jnp.array([0, 1]))
    np.testing.assert_array_equal(each, [0.0, 0.0])


# Without subnormal numbers: processors take them for zeros in one program and not in the other.
@settings(deadline=None, max_examples=100, derandomize=True)
@given(
    arrays.arrays(
        np.float32,
        (64, 4),
        elements=st.sampled_from(ODD) | st.floats(-2, 2, width=32, allow_subnormal=False),
    ),
    arrays.arrays(np.int32, 64, elements=st.integers(0, 3)),
)
def test_a_class_is_right_where_argmax_would_find_it(outputs, targets):
    found = np.asarray(right(outputs, targets))
    numbers = ~np.isnan(outputs).any(axis=1)
    expected = (np.argmax(outputs, axis=1) == targets) & numbers
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("outputs", "right_classes"),
    [
        ([1.0, 1.0, 0.0], {0}),
        ([0.0, 1.0, 1.0], {1}),
        ([0.0, -0.0, 0.0], {0}),
        ([-np.inf, -np.inf, -np.inf], {0}),
        ([0.0, np.inf, np.inf], {1}),
        ([np.nan, np.nan, np.nan], set()),
        ([2.0, np.nan, 1.0], set()),
        ([2.0, 1.0, np.nan], set()),
    ],
    ids=str,
)
def test_of_several_largest_outputs_the_first_is_right_and_no_number_never(outputs, right_classes):
    found = right(np.array([outputs] * 3, np.float32), np.arange(3, dtype=np.int32))
    assert set(np.flatnonzero(found)) == right_classes


def test_only_rows_with_a_weight_count_and_only_with_all_their_answers():
    outputs, targets = random_logits((50, 3, 2), 1.0)
    weights = (np.arange(50) % 3 > 0) / 10
    all_right = (outputs.argmax(axis=-1) == targets).all(axis=1)
    found = losses.count_right(jnp.asarray(outputs), targets, jnp.asarray(weights), 0.0)
    assert 0 < found == (all_right & (weights > 0)).sum() < all_right.sum()


def test_numbers_are_right_within_the_tolerance():
    outputs = np.array([[0.0], [0.5], [0.51], [-0.5], [np.nan]], np.float32)
    found = losses.count_right(outputs, np.zeros(5, np.float32), np.ones(5, np.float32), 0.5)
    assert found == 3


def test_picked_is_the_output_of_the_target_whatever_stands_beside_it():
    outputs, targets = random_logits((4, 5, 7), 3.0)
    expected = np.take_along_axis(outputs, targets[..., None], axis=-1)[..., 0]
    with jax.enable_x64(True):
        np.testing.assert_array_equal(losses.output_of_target(outputs, targets), expected)
        infinite = np.where(np.arange(7) == targets[..., None], outputs, -np.inf)
        np.testing.assert_array_equal(losses.output_of_target(infinite, targets), expected)
        slope = jax.grad(lambda z: (losses.output_of_target(z, targets) * expected).sum())(outputs)
    hot = np.arange(7) == targets[..., None]
    np.testing.assert_array_equal(slope, hot * expected[..., None])


def naive(logits, targets):
    """Cross-entropy by its definition."""
    shares = jnp.exp(logits) / jnp.exp(logits).sum(axis=-1, keepdims=True)
    return -jnp.log(jnp.take_along_axis(shares, targets[..., None], axis=-1)[..., 0])


def ours(logits, targets):
    return losses.per_target(CrossEntropy(), logits, targets)


optaxs = optax.softmax_cross_entropy_with_integer_labels


def mean_and_gradient(loss, logits, targets, weights):
    """Of a weighted sum of losses."""
    return jax.value_and_grad(lambda z: (weights * loss(z, targets)).sum())(logits)


@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
@pytest.mark.parametrize("shape", [(40, 97), (11, 3, 5)], ids=str)
def test_cross_entropy_and_its_gradient_are_those_of_optax(shape, scale):
    logits, targets = random_logits(shape, scale)
    weights = np.random.default_rng(1).normal(size=shape[:-1])
    with jax.enable_x64(True):
        values = [loss(jnp.asarray(logits), targets) for loss in (ours, optaxs)]
        np.testing.assert_allclose(*values, rtol=1e-12, atol=1e-12 * scale)
        pairs = [mean_and_gradient(loss, logits, targets, weights) for loss in (ours, optaxs)]
    np.testing.assert_allclose(pairs[0][1], pairs[1][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 3.0, 10.0])
def test_cross_entropy_in_float32_errs_no_more_than_the_naive_one(scale):
    logits, targets = random_logits((500, 97), scale)
    logits = logits.astype(np.float32).astype(np.float64)
    weights = np.full(500, 1 / 500)
    with jax.enable_x64(True):
        value, slope = mean_and_gradient(optaxs, logits, targets, weights)
    single = logits.astype(np.float32), targets, weights.astype(np.float32)
    errors = []
    for loss in (ours, naive):
        found, gradient = mean_and_gradient(loss, *single)
        of_gradient = np.linalg.norm(np.asarray(gradient) - np.asarray(slope))
        errors.append([abs(float(found) - float(value)), of_gradient])
    assert (np.array(errors[0]) <= 1.25 * np.array(errors[1]) + 1e-9).all()
    assert errors[0][1] < 1e-6 * np.linalg.norm(slope)


def test_cross_entropy_of_logits_that_no_power_can_be_taken_of_is_exact():
    logits = np.array([[200.0, 0.0], [0.0, 200.0], [1e30, -1e30]], np.float32)
    targets = np.zeros(3, np.int32)
    value, slope = mean_and_gradient(ours, logits, targets, np.ones(3, np.float32))
    assert value == 200
    np.testing.assert_array_equal(slope, [[0, 0], [-1, 1], [0, 0]])
    assert not np.isfinite(naive(logits, targets)).all()
