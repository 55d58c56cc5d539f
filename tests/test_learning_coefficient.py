"""The learning coefficient where it is known, and where there is none."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grokjax.measures.learning_coefficient import estimate

CURVATURES = np.tile([0.01, 0.1, 1.0, 3.0], 5)


def quadratic(w):
    return jnp.sum(jnp.asarray(CURVATURES, w.dtype) * jnp.square(w)) / 2


@partial(jax.jit, static_argnames=("loss", "chains", "draws", "burn_in", "centred"))
def sampled(loss, params, key, **options):
    """The estimate, compiled once for each loss."""
    return estimate(loss, params, key, **options)


def with_step_bias(n_beta, localization, step_size):
    """What Langevin steps of that size find for `quadratic`."""
    pull = n_beta * CURVATURES + localization
    return np.sum(n_beta * CURVATURES / pull / (1 - step_size * pull / 4)) / 2


@pytest.mark.drawn
def test_a_quadratic_has_half_its_dimensions_with_the_known_bias_of_steps():
    options = {"n_beta": 100.0, "localization": 1.0, "step_size": 1e-3}
    wanted = with_step_bias(**options)
    np.testing.assert_allclose(wanted, 8.763438, rtol=1e-6)
    found = sampled(
        quadratic, jnp.zeros(20), jax.random.key(0), **options, chains=200, draws=1500, burn_in=2500
    )
    error = found.spread / 200**0.5
    assert error < 0.06 and abs(found.mean - wanted) < 4 * error
    assert abs(found.mean - 8.489669) > 3 * error  # what infinitely small steps would find
    np.testing.assert_allclose(found.chains.mean(), found.mean, rtol=1e-5)
    np.testing.assert_allclose(found.chains.std(ddof=1), found.spread, rtol=1e-5)
    # A straight line's rise has twelve times the variance of its mean, where draws are independent.
    assert abs(found.trend) < 4 * 12**0.5 * error
    assert 0.9 < found.acceptance < 1
    quarter = 1e-3 * (100 * CURVATURES + 1) / 4
    np.testing.assert_allclose(found.drift, np.mean(quarter / (1 - quarter)), rtol=0.02)


def test_the_acceptance_is_that_of_a_metropolis_test():
    """A first step on w⁴, beside the ratio of densities that textbooks write down."""
    n_beta, localization, step = 5.0, 3.0, 0.3
    found = sampled(
        lambda w: jnp.sum(w**4),
        jnp.zeros(1),
        jax.random.key(1),
        n_beta=n_beta,
        localization=localization,
        step_size=step,
        chains=20_000,
        draws=1,
        burn_in=0,
    )

    def log_density(w):
        return -n_beta * w**4 - localization * w**2 / 2

    def log_proposal(there, here):
        gradient = 4 * n_beta * here**3 + localization * here
        return -((there - here + step / 2 * gradient) ** 2) / (2 * step)

    noise, weights = np.polynomial.hermite_e.hermegauss(200)
    before, after = 0.0, step**0.5 * noise
    ratio = log_density(after) + log_proposal(before, after)
    ratio -= log_density(before) + log_proposal(after, before)
    wanted = weights @ np.exp(np.minimum(0, ratio)) / weights.sum()
    assert 0.3 < wanted < 0.9
    np.testing.assert_allclose(found.acceptance, wanted, atol=0.01)


def crossing(a, b):
    """The normal crossing (w₁ᵃ w₂ᵇ)² at the origin, whose coefficient is ½ / max(a, b)."""
    return lambda w: jnp.square(w[0] ** a * w[1] ** b)


def by_quadrature(loss, n_beta, localization):
    """nβ E[L] under the tempered and localised density, on a grid."""
    axis = np.linspace(-6, 6, 2401)
    losses = np.asarray(loss(jnp.asarray(np.stack(np.meshgrid(axis, axis)))), np.float64)
    squares = axis[:, None] ** 2 + axis**2
    density = np.exp(-n_beta * losses - localization / 2 * squares)
    return n_beta * np.sum(losses * density) / density.sum()


@pytest.mark.drawn
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 2), (1, 3)])
def test_normal_crossings_have_what_their_density_says(a, b):
    loss = crossing(a, b)
    options = {"n_beta": 30.0, "localization": 4.0, "step_size": 1e-3}
    sizes = {"chains": 400, "draws": 2000, "burn_in": 1000}
    found = sampled(loss, jnp.zeros(2), jax.random.key(2), **options, **sizes)
    wanted, error = by_quadrature(loss, 30.0, 4.0), found.spread / 400**0.5
    assert error < 0.04 * wanted and abs(found.mean - wanted) < 4 * error


@pytest.mark.slow
@pytest.mark.parametrize(("a", "b"), [(1, 2), (1, 3)])
def test_normal_crossings_approach_the_coefficient_of_their_singularity(a, b):
    """Unequal powers, whose estimates approach it without a logarithm: to 0.7 of it by here."""
    options = {"n_beta": 1000.0, "localization": 4.0, "step_size": 1e-5}
    sizes = {"chains": 200, "draws": 100_000, "burn_in": 100_000}
    found = sampled(crossing(a, b), jnp.zeros(2), jax.random.key(2), **options, **sizes)
    np.testing.assert_allclose(found.mean, 0.5 / max(a, b), rtol=0.35)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "h", "n", "wanted"),
    [(5, 3, 5, 6.5), (5, 4, 5, 8), (4, 3, 8, 6), (8, 3, 4, 6), (3, 8, 4, 6)],
)
def test_reduced_rank_regression_of_rank_zero_has_the_coefficient_of_aoyagi(m, h, n, wanted):
    def loss(p):
        return jnp.sum(jnp.square(p["second"] @ p["first"])) / 2

    params = {"first": jnp.zeros((h, m)), "second": jnp.zeros((n, h))}
    found = sampled(
        loss,
        params,
        jax.random.key(3),
        n_beta=1000.0,
        localization=4.0,
        step_size=5e-5,
        chains=20,
        draws=20_000,
        burn_in=20_000,
    )
    np.testing.assert_allclose(found.mean, wanted, rtol=0.4)


@pytest.mark.drawn
def test_a_slope_left_by_weight_decay_is_taken_off_where_it_is_asked_for():
    """Of a quadratic the centred loss is the same quadratic, with its minimum at w*."""
    minimum = jnp.linspace(0.1, 1, 20)
    options = {"n_beta": 100.0, "localization": 1.0, "step_size": 1e-3}
    measure = partial(
        sampled,
        lambda w: quadratic(w - minimum),
        jnp.zeros(20),
        jax.random.key(4),
        **options,
        chains=100,
        draws=500,
        burn_in=2500,
    )
    centred = measure(centred=True)
    error = centred.spread / 10
    assert error < 0.2 and abs(centred.mean - with_step_bias(**options)) < 4 * error
    assert measure().mean < -10


@pytest.mark.drawn
@pytest.mark.parametrize(
    "loss",
    [
        lambda w: 1000 * quadratic(w),
        # It grows as slowly as the loss of a network does: no draw is infinite.
        lambda w: jnp.log1p(1000 * quadratic(w)),
        lambda w: -30 * jnp.exp(-50 * quadratic(w)),
        lambda w: jnp.nan * w.sum(),
        lambda w: jnp.sqrt(jnp.sum(jnp.square(w) - 1e-3)),
    ],
    ids=[
        "unstable",
        "unstable but finite",
        "thrown to where it is flat",
        "no number",
        "no number but at the start",
    ],
)
def test_chains_that_diverge_have_no_coefficient(loss):
    found = sampled(
        loss,
        jnp.zeros(20),
        jax.random.key(5),
        n_beta=100.0,
        localization=1.0,
        step_size=1e-3,
        chains=4,
        draws=200,
        burn_in=50,
    )
    assert np.isnan([found.mean, found.trend, found.spread]).all()


def test_a_single_chain_has_no_spread_and_one_that_has_not_settled_a_trend():
    options = {"n_beta": 100.0, "localization": 0.1, "step_size": 1e-5, "draws": 400}
    found = sampled(quadratic, jnp.zeros(20), jax.random.key(6), **options, chains=1, burn_in=0)
    assert np.isfinite(found.mean) and np.isnan(found.spread)
    assert found.trend > found.mean > 0  # from nothing to twice its mean


@pytest.mark.drawn
def test_float32_estimates_what_float64_does():
    """Draws of a key differ between dtypes, so means are compared."""
    options = {"n_beta": 100.0, "localization": 1.0, "step_size": 1e-3}
    options |= {"chains": 100, "draws": 300, "burn_in": 500}
    found = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            params = jnp.zeros(20, jnp.float64 if x64 else jnp.float32)
            one = sampled(quadratic, params, jax.random.key(7), **options)
            assert one.mean.dtype == params.dtype
            found.append((float(one.mean), float(one.spread) / 50**0.5))
    (single, error), (double, other) = found
    assert abs(single - double) < 4 * np.hypot(error, other)


@pytest.mark.drawn
def test_side_by_side_equals_alone():
    keys = jax.random.split(jax.random.key(8), 3)
    centres = jnp.stack([jnp.full(20, s) for s in (0.0, 1.0, 2.0)])
    options = {"n_beta": 10.0, "localization": 1.0, "step_size": 1e-2}

    def measure(centre, key):
        loss = lambda w: quadratic(w - centre)  # noqa: E731
        return estimate(loss, centre, key, **options, chains=2, draws=50, burn_in=10)

    together = jax.jit(jax.vmap(measure))(centres, keys)
    for i in range(3):
        alone = jax.jit(measure)(centres[i], keys[i])
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-4)
    assert len(np.unique(together.mean)) == 3
