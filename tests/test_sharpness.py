"""Thresholds of optimisers, sharpness within a distance, and commutators with known answers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grokjax.measures import commutator, sharpness

KEY = jax.random.key(7)


# Thresholds of optimisers


def radius(update):
    """The spectral radius of an update, linear in its state of two numbers."""
    columns = [update(*unit) for unit in ((1.0, 0.0), (0.0, 1.0))]
    return np.abs(np.linalg.eigvals(np.array(columns).T)).max()


def with_average(rate, b1, decay, h):
    def update(m, w):
        m = b1 * m + (1 - b1) * h * w
        return m, w - rate * (m + decay * w)

    return update


def with_momentum(rate, momentum, decay, h, nesterov=False):
    def update(v, w):
        v = momentum * v + h * w
        along = h * w + momentum * v if nesterov else v
        return v, w - rate * (along + decay * w)

    return update


@pytest.mark.parametrize(
    ("rate", "decay", "wanted"), [(1e-3, 1, 37_981), (1e-3, 0, 38_000), (1e-2, 1, 3_781)]
)
def test_adam_is_stable_just_below_its_threshold_and_not_above(rate, decay, wanted):
    threshold = sharpness.average_threshold(rate, 0.9, decay)
    np.testing.assert_allclose(threshold, wanted, rtol=1e-9)
    radii = [radius(with_average(rate, 0.9, decay, s * threshold)) for s in (0.999, 1.001)]
    np.testing.assert_allclose(radii, [0.948, 1.030], atol=5e-3)


@pytest.mark.parametrize(
    ("momentum", "nesterov", "times_rate"),
    [(0.0, False, 2), (0.9, False, 3.8), (0.9, True, 3.8 / 2.8)],
)
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_momentum_is_stable_just_below_its_threshold_and_not_above(
    momentum, nesterov, times_rate, decay
):
    threshold = sharpness.momentum_threshold(0.01, momentum, decay, nesterov)
    np.testing.assert_allclose(threshold, times_rate / 0.01 * (1 - decay * 0.01 / 2))
    below, above = (
        radius(with_momentum(0.01, momentum, decay, s * threshold, nesterov))
        for s in (0.999, 1.001)
    )
    assert below < 1 < above


@pytest.mark.parametrize("times", [0.999, 1.001])
def test_adam_itself_with_its_preconditioner_frozen_is_as_stable_as_its_threshold_says(times):
    """Optax's Adam, its second moment and the number of its updates put back before each."""
    rate, b1, b2, epsilon, decay, updates = 1e-2, 0.9, 0.98, 1e-3, 1.0, 7
    with jax.enable_x64(True):
        moment = jnp.array([4e-6, 9e-2])
        preconditioner = sharpness.adam_preconditioner(moment, updates, b1, b2, epsilon)
        threshold = sharpness.average_threshold(rate, b1, decay)
        curvatures = times * threshold * preconditioner
        optimizer = optax.scale_by_adam(b1=b1, b2=b2, eps=epsilon)
        frozen = optimizer.init(moment)._replace(count=jnp.asarray(updates - 1))

        def advance(carry, _):
            w, m = carry
            gradient = curvatures * w
            # The v that becomes `moment` when this gradient's square is averaged in.
            before = (moment - (1 - b2) * jnp.square(gradient)) / b2
            direction, after = optimizer.update(gradient, frozen._replace(mu=m, nu=before))
            return (w - rate * (direction + decay * w), after.mu), jnp.abs(w)

        start = jnp.full(2, 1e-9), jnp.zeros(2)
        _, sizes = jax.jit(lambda s: jax.lax.scan(advance, s, None, length=400))(start)
        sizes = np.asarray(sizes)
    grows = sizes[-20:].max(axis=0) > sizes[:20].max(axis=0)
    assert (grows == (times > 1)).all()


# Sharpness within a distance


def test_sharpness_of_a_slope_is_its_length():
    slope, params = jnp.array([3.0, -4.0, 0.0]), jnp.array([2.0, 1.0, 7.0])
    plain = sharpness.sam_sharpness(lambda w: slope @ w, params, KEY, radius=0.1)
    np.testing.assert_allclose(plain, 0.1 * 5, rtol=1e-5)
    adaptive = sharpness.adaptive_sharpness(lambda w: slope @ w, params, KEY, radius=0.1)
    np.testing.assert_allclose(adaptive, 0.1 * np.hypot(6, 4), rtol=1e-5)


@pytest.mark.drawn
def test_sharpness_of_a_minimum_is_that_of_its_largest_curvature():
    curvatures = jnp.array([5.0, 1.0, 0.1, 0.0])
    loss = lambda w: jnp.sum(curvatures * jnp.square(w - 1)) / 2  # noqa: E731
    measure = partial(sharpness.sam_sharpness, loss, jnp.ones(4), KEY, radius=0.2)
    wanted = 5 * 0.2**2 / 2
    np.testing.assert_allclose(measure(steps=20), wanted, rtol=1e-5)
    one, worst = measure(), measure(starts=30)
    assert 0 < one <= worst <= wanted * 1.0001 and worst > 0.99 * wanted
    assert measure(steps=0) < one


@pytest.mark.drawn
def test_adaptive_sharpness_is_that_of_a_network_whatever_the_scale_of_its_layers():
    x, y = jax.random.normal(KEY, (20, 3)), jnp.arange(20.0) / 20

    def loss(p):
        return jnp.mean(jnp.square(jax.nn.relu(x @ p["in"]) @ p["out"] - y))

    params = {"in": jax.random.normal(jax.random.key(1), (3, 8)), "out": jnp.linspace(-1, 1, 8)}
    scaled = {"in": 10 * params["in"], "out": params["out"] / 10}
    found = {}
    for measure in (sharpness.sam_sharpness, sharpness.adaptive_sharpness):
        found[measure] = [
            measure(loss, p, KEY, radius=0.05, starts=4, steps=10) for p in (params, scaled)
        ]
    np.testing.assert_allclose(*found[sharpness.adaptive_sharpness], rtol=1e-3)
    plain, of_scaled = found[sharpness.sam_sharpness]
    assert of_scaled > 2 * plain


def test_a_flat_loss_has_no_sharpness_and_one_that_is_no_number_has_none_either():
    measure = partial(sharpness.sam_sharpness, params=jnp.ones(3), key=KEY, radius=1.0)
    assert measure(lambda w: jnp.float32(2.0)) == 0
    assert np.isnan(measure(lambda w: jnp.nan * w.sum()))


# Commutators


def test_the_defect_of_quadratics_is_that_of_their_matrices():
    with jax.enable_x64(True):
        a, b = np.random.default_rng(1).normal(size=(2, 6, 6))
        a, b = jnp.asarray(a + a.T), jnp.asarray(b @ b.T)
        w = jnp.arange(1.0, 7)
        losses_of = [lambda w, m=m: w @ m @ w / 2 for m in (a, b)]
        found, norms = commutator.commutator(*losses_of, w)
        lengths = np.linalg.norm(a @ w), np.linalg.norm(b @ w)
        wanted = np.linalg.norm((b @ a - a @ b) @ w) / np.prod(lengths)
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
        np.testing.assert_allclose(norms, lengths, rtol=1e-10)
        assert wanted > 0.05
        for rate in (1e-3, 0.3):  # quadratics have it at every rate
            np.testing.assert_allclose(by_steps(*losses_of, w, rate), wanted, rtol=1e-6)


def by_steps(loss_a, loss_b, params, rate):
    """The published form: two steps in either order, and how far apart they end."""
    gradients = [jax.grad(loss) for loss in (loss_a, loss_b)]

    def after(first, second):
        there = params - rate * first(params)
        return there - rate * second(there)

    a, b = gradients
    lengths = [jnp.linalg.norm(rate * gradient(params)) for gradient in gradients]
    return jnp.linalg.norm(after(a, b) - after(b, a)) / lengths[0] / lengths[1]


def test_losses_that_commute_have_no_defect_where_the_published_form_reads_far_above_one():
    """Two valleys with one bottom and curvatures along the same axes."""
    rng = np.random.default_rng(0)
    params, bottom = (27 * x / np.linalg.norm(x) for x in rng.normal(size=(2, 290_000)))
    curvatures = rng.uniform(0.5, 1.5, size=(2, 290_000))
    published = []
    for length in (0.1, 0.03, 0.01):
        scaled = [h * length / np.linalg.norm(h * (params - bottom)) for h in curvatures]
        w, centre, *both = (jnp.asarray(x, jnp.float32) for x in (params, bottom, *scaled))
        pair = [lambda w, h=h, c=centre: jnp.sum(h * jnp.square(w - c)) / 2 for h in both]
        found, norms = commutator.commutator(*pair, w)
        np.testing.assert_allclose(norms, length, rtol=1e-4)
        assert found < 1e-6
        published.append(by_steps(*pair, w, 1e-3))
    assert max(published) > 10


@pytest.mark.drawn
def test_the_median_over_pairs_of_batches_stands_beside_the_norms_of_gradients():
    x, y = jax.random.normal(KEY, (12, 4)), jnp.linspace(-1, 1, 12)
    params = jnp.arange(4.0)

    def loss_of_rows(w, weights):
        return jnp.sum(weights * jnp.square(jnp.tanh(x @ w) - y))

    batches = jax.random.uniform(jax.random.key(3), (3, 2, 12))
    found = jax.jit(partial(commutator.defect, loss_of_rows))(params, batches)
    for pair, value, norms in zip(batches, found.values, found.gradient_norms, strict=True):
        both = [lambda w, row=row: loss_of_rows(w, row) for row in pair]
        np.testing.assert_allclose(value, by_steps(*both, params, 1e-2), rtol=0.1)
        wanted = [jnp.linalg.norm(jax.grad(loss)(params)) for loss in both]
        np.testing.assert_allclose(norms, wanted, rtol=1e-4)
    assert found.median == sorted(found.values)[1]
    same = commutator.defect(loss_of_rows, params, batches.at[:, 1].set(batches[:, 0]))
    assert same.median < 1e-6
