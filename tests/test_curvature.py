"""Hessians by products: eigenvalues, traces and densities with known answers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICKLY, hparams, in_float64, to_numpy
from jax.flatten_util import ravel_pytree

from grokjax import models, tasks
from grokjax.measures import curvature, density, vectors
from grokjax.models import attention_kernel, kernels
from grokjax.training import loop, loss_kernel, losses
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

KEY = jax.random.key(7)


def by_matrix(matrix):
    """Products with a matrix that is written down."""
    return lambda v: jnp.matmul(matrix, v, precision="highest")


def symmetric(eigenvalues, seed=0):
    """A dense matrix with these eigenvalues."""
    n = len(eigenvalues)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return jnp.asarray((turn * eigenvalues) @ turn.T)


# Compiled once for each size, dtype and number of steps: tests share them.
@partial(jax.jit, static_argnames=("order", "top"))
def extremes(matrix, order=20, top=3, start=None):
    """The largest eigenvalues of a matrix, from a random start."""
    start = vectors.normal_like(matrix[0], KEY) if start is None else start
    return curvature.extreme_eigenvalues(by_matrix(matrix), start, order, top)


@partial(jax.jit, static_argnames="order")
def pairs(matrix, order):
    """The tridiagonal matrix of a random start, and its eigenpairs."""
    found = curvature.lanczos(by_matrix(matrix), vectors.normal_like(matrix[0], KEY), order)
    return found, curvature.ritz(found)


@partial(jax.jit, static_argnames=("probes", "order"))
def spectrum(matrix, probes=4, order=30):
    """The density of a matrix."""
    return density.spectral_density(by_matrix(matrix), matrix[0], KEY, probes, order)


@partial(jax.jit, static_argnames="probes")
def trace(matrix, probes):
    """The trace of a matrix."""
    return curvature.trace(by_matrix(matrix), matrix[0], KEY, probes)


@pytest.fixture
def without_kernels(monkeypatch):
    """Kernels for GPUs have no second derivative, and are traced on every platform."""
    for module in (loss_kernel, kernels, attention_kernel):
        monkeypatch.setattr(module, "takes", lambda *_: False)


def fresh(experiment):
    """The parameters of an experiment before training."""
    spec, hp = spec_of(experiment), hparams(experiment)
    return jax.jit(lambda hp: loop.init(spec, hp).params, compiler_options=QUICKLY)(hp)


def loss_of(experiment):
    """The training loss of an experiment, as a function of parameters."""
    spec, hp = spec_of(experiment), hparams(experiment)
    rows = jax.tree.map(lambda x: x[0, 0], splits(spec, hp)[0])
    _, words = hp.at(jnp.zeros((), jnp.int32))

    def loss(params):
        dataset, layout = tasks.build(spec.task), loop.layout(spec)
        outputs = models.apply(words.model, dataset, layout, params, rows.index)
        return losses.weighted_loss(words.loss, outputs, rows.targets, rows.weights)

    return loss


def flat(trees):
    """Trees side by side as rows of numbers."""
    return np.asarray(jax.vmap(lambda tree: ravel_pytree(tree)[0])(trees))


# Vectors


def test_random_directions_have_the_shapes_and_the_independence_that_they_should():
    template = {"a": jnp.zeros((50, 40)), "b": jnp.zeros((50, 40)), "c": jnp.zeros(3)}
    signs = vectors.rademacher_like(template, KEY)
    assert jax.tree.map(jnp.shape, signs) == jax.tree.map(jnp.shape, template)
    assert set(np.unique(signs["a"])) == {-1, 1}
    normal = vectors.normal_like(template, KEY)
    for draws in (signs, normal):
        np.testing.assert_allclose(vectors.dot(draws, draws), 4003, rtol=0.1)
        assert abs(jnp.vdot(draws["a"], draws["b"])) < 4 * 2000**0.5  # a key for each leaf
    np.testing.assert_allclose(vectors.norm({"a": jnp.array([3.0]), "b": jnp.array([[4.0]])}), 5)
    total = vectors.axpy(2.0, {"a": jnp.array([1.0])}, {"a": jnp.array([5.0])})
    np.testing.assert_allclose(total["a"], [7])


@pytest.mark.drawn
def test_products_with_the_hessian_of_a_network_are_differences_of_its_gradient(
    tiny, without_kernels
):
    def differentiated(experiment):
        """The gradient and a product with the Hessian, of networks side by side."""

        def measure(params, direction):
            gradient, product = vectors.gradient_and_hvp(loss_of(experiment), params)
            return gradient, product(direction)

        return jax.jit(jax.vmap(measure), compiler_options=QUICKLY)

    with jax.enable_x64(True):
        experiment = in_float64(tiny)
        params = fresh(experiment)
        direction = vectors.normal_like(params, KEY)
        three = [vectors.axpy(s, direction, params) for s in (0, 1e-6, -1e-6)]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *three)
        along = jax.tree.map(lambda x: jnp.stack([x] * 3), direction)
        gradients, products = differentiated(experiment)(stacked, along)
        found = flat(products)[0]
        _, ahead, behind = flat(gradients)
        singly = jax.tree.map(lambda x: x.astype(jnp.float32), (stacked, along))
    wanted = (ahead - behind) / 2e-6
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7 * abs(wanted).max())
    _, single = differentiated(tiny)(*singly)
    assert {x.dtype for x in jax.tree.leaves(single)} == {jnp.dtype("float32")}
    assert np.linalg.norm(flat(single)[0] - found) < 2e-6 * np.linalg.norm(found)


@pytest.mark.slow
def test_the_largest_eigenvalues_of_a_network_are_those_of_its_whole_hessian(tiny, without_kernels):
    """The Hessian as differences of the gradient along every parameter."""
    with jax.enable_x64(True):
        params, loss = fresh(in_float64(tiny)), loss_of(in_float64(tiny))
        here, unravel = ravel_pytree(params)
        gradient = jax.jit(jax.vmap(jax.grad(lambda w: loss(unravel(w)))))
        steps = 1e-6 * jnp.eye(here.size)
        hessian = (gradient(here[None] + steps) - gradient(here[None] - steps)) / 2e-6
        start = vectors.normal_like(params, KEY)
        product = vectors.hvp(loss, params)
        found = jax.jit(lambda s: curvature.extreme_eigenvalues(product, s, 100, 4))(start)
        hessian, found = to_numpy((hessian, found))
    wanted = np.linalg.eigvalsh((hessian + hessian.T) / 2)
    np.testing.assert_allclose(found.largest, wanted[::-1][:4], rtol=1e-6)
    np.testing.assert_allclose(found.smallest, wanted[0], rtol=1e-6)


# Lanczos


def softmax_regression(rows, classes, dtype=jnp.float32):
    """Mean cross-entropy of a linear map on one-hot inputs: a function of its weights."""
    labels = jnp.arange(rows) % classes
    return lambda w: -jnp.mean(jax.nn.log_softmax(w)[jnp.arange(rows), labels])


@pytest.mark.drawn
def test_softmax_regression_at_zero_has_its_eigenvalues_and_trace():
    rows, classes = 6, 5
    product = vectors.hvp(softmax_regression(rows, classes), jnp.zeros((rows, classes)))
    start = vectors.normal_like(jnp.zeros((rows, classes)), KEY)
    found = curvature.extreme_eigenvalues(product, start, order=10, top=1)
    np.testing.assert_allclose(found.largest[0], 1 / (rows * classes), rtol=1e-5)
    np.testing.assert_allclose(found.smallest, 0, atol=1e-7)
    estimated = curvature.trace(product, jnp.zeros((rows, classes)), KEY, probes=300)
    error = abs(estimated.mean - (classes - 1) / classes)
    assert error < 4 * estimated.standard_error < 0.05


def test_the_density_of_softmax_regression_has_both_eigenvalues_with_their_multiplicities():
    rows, classes = 6, 5
    template = jnp.zeros((rows, classes))
    product = vectors.hvp(softmax_regression(rows, classes), template)
    nodes, weights = density.spectral_density(product, template, KEY, probes=400, order=5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    high = jnp.where(nodes > 0.5 / (rows * classes), weights, 0).sum(axis=1)
    error = high.std() / 400**0.5
    assert abs(high.mean() - (classes - 1) / classes) < 4 * error < 0.05


@pytest.mark.drawn
def test_least_squares_has_the_eigenvalues_of_its_inputs():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        x, y = jnp.asarray(rng.normal(size=(30, 8))), jnp.asarray(rng.normal(size=30))
        params = {"first": jnp.ones(3), "rest": jnp.ones(5)}

        def loss(p):
            w = jnp.concatenate([p["first"], p["rest"]])
            return jnp.mean(jnp.square(x @ w - y)) / 2

        start = vectors.normal_like(params, KEY)
        found = curvature.extreme_eigenvalues(vectors.hvp(loss, params), start, order=8, top=8)
        found, x = to_numpy((found, x))
    wanted = np.linalg.eigvalsh(x.T @ x / 30)
    np.testing.assert_allclose(found.largest, wanted[::-1], rtol=1e-10)
    np.testing.assert_allclose(found.smallest, wanted[0], rtol=1e-10)
    assert found.largest_residuals.max() < 1e-10


@pytest.mark.parametrize("order", [3, 20, 60])
def test_lanczos_is_exact_with_as_many_steps_as_distinct_eigenvalues(order):
    """More steps find nothing new, and more than there are dimensions find no more."""
    found, eigen = pairs(symmetric(np.repeat([-1.0, 2.0, 5.0], [10, 20, 10])), order)
    counted = np.asarray(eigen.values)[np.asarray(eigen.weights) > 1e-6]
    np.testing.assert_allclose(counted, [-1, 2, 5], rtol=1e-5)
    np.testing.assert_allclose(eigen.weights.sum(), 1, rtol=1e-5)
    assert found.steps <= 40
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((found, eigen)))


def test_a_space_that_is_complete_is_marked_and_its_missing_eigenvalues_are_none():
    matrix = jnp.diag(jnp.repeat(jnp.array([3.0, 0.0]), 20))
    found, eigen = pairs(matrix, 20)
    assert found.steps == 2 and found.last == 0
    for rest in (found.alphas[2:], found.betas[1:], eigen.values[2:], eigen.weights[2:]):
        np.testing.assert_allclose(rest, 0)
    np.testing.assert_allclose(extremes(matrix).largest, [3, 0, np.nan], atol=1e-6)


def test_a_missing_step_is_not_taken_for_an_eigenvalue_of_zero():
    found = extremes(jnp.diag(jnp.repeat(jnp.array([-3.0, -1.0]), 20)))
    np.testing.assert_allclose([found.largest[0], found.smallest], [-1, -3], rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1e8])
def test_no_eigenvalue_depends_on_the_scale_of_the_loss(scale):
    matrix = symmetric(np.geomspace(1e-3, 1, 40))
    found = extremes(scale * matrix).largest
    np.testing.assert_allclose(found, scale * extremes(matrix).largest, rtol=1e-4)


def test_a_zero_hessian_has_the_eigenvalue_zero_and_one_that_is_no_number_has_none():
    zero = extremes(jnp.zeros((40, 40)))
    assert zero.largest[0] == 0 and zero.smallest == 0
    broken = extremes(jnp.full((40, 40), jnp.nan))
    assert np.isnan([broken.largest[0], broken.smallest, broken.largest_residuals[0]]).all()
    nodes = spectrum(jnp.full((100, 100), jnp.nan))
    assert all(np.isnan(x) for x in jax.tree.leaves(density.outliers(*nodes, 100)))


def test_residuals_bound_the_errors_of_eigenvalues_and_the_vector_belongs_to_the_largest():
    with jax.enable_x64(True):
        eigenvalues = np.linspace(0, 1, 200)
        matrix = symmetric(eigenvalues)
        found = extremes(matrix, start=vectors.normal_like(matrix[0], KEY))
        again = extremes(matrix, start=found.vector)
        matrix, found, again = to_numpy((matrix, found, again))
    for value, residual in zip(found.largest, found.largest_residuals, strict=True):
        assert 1e-8 < residual < 0.2  # 20 steps do not reach them
        assert np.abs(eigenvalues - value).min() <= residual
    shortfall = matrix @ found.vector - found.largest[0] * found.vector
    np.testing.assert_allclose(np.linalg.norm(shortfall), found.largest_residuals[0])
    assert 1 - again.largest[0] < (1 - found.largest[0]) / 5


def test_float32_finds_what_float64_finds_and_none_of_it_twice():
    """Without repeated orthogonalisation it finds the largest several times in 60 steps."""
    eigenvalues = np.concatenate([[100, 30], np.geomspace(1e-3, 1, 298)])
    found, eigen = pairs(symmetric(eigenvalues), 60)
    assert eigen.values.dtype == jnp.float32
    wanted = np.sort(eigenvalues)[::-1][:4]
    np.testing.assert_allclose(eigen.values[::-1][:4], wanted, rtol=2e-4)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(60), atol=2e-6)


@pytest.mark.drawn
def test_side_by_side_equals_alone():
    matrices = jnp.stack([symmetric(np.arange(40.0) * s, seed=s) for s in (1, 2, 3)])

    def measure(matrix):
        return extremes(matrix, 6, 2), trace(matrix, 4), spectrum(matrix, 3, 6)

    together = jax.vmap(measure)(matrices)
    for i in range(3):
        alone = measure(matrices[i])
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-4)


def test_the_preconditioned_matrix_has_the_eigenvalues_of_its_quotient():
    matrix, diagonal = symmetric(np.arange(1.0, 41)), jnp.geomspace(0.01, 10, 40)
    unit = jnp.eye(40)
    columns = jax.vmap(vectors.preconditioned(by_matrix(matrix), diagonal))(unit)
    np.testing.assert_allclose(columns, columns.T, rtol=1e-3, atol=1e-2)
    wanted = np.linalg.eigvals(np.asarray(matrix) / np.asarray(diagonal)[:, None]).real.max()
    np.testing.assert_allclose(np.linalg.eigvalsh(columns)[-1], wanted, rtol=1e-4)


# Trace and density


def test_one_probe_gives_the_trace_of_a_diagonal_matrix():
    found = trace(jnp.diag(jnp.arange(1.0, 41)), 1)
    assert found.mean == 820 and np.isnan(found.standard_error)


def test_standard_errors_of_traces_are_those_of_rademacher_probes():
    matrix = symmetric(np.arange(20.0))
    found = trace(matrix, 2000)
    variance = 2 * (jnp.sum(matrix**2) - jnp.sum(jnp.diag(matrix) ** 2))
    np.testing.assert_allclose(found.standard_error, (variance / 2000) ** 0.5, rtol=0.1)
    assert abs(found.mean - 190) < 4 * found.standard_error


def test_moments_of_the_density_are_those_of_the_matrix():
    with jax.enable_x64(True):
        matrix = symmetric(np.linspace(-1, 3, 30))
        nodes, weights = spectrum(matrix, 500, 4)
        signs = vectors.rademacher_like(matrix[0], jax.random.split(KEY, 500)[9])
        found = density.moments(nodes, weights, highest=7)
        found, matrix, nodes, weights, signs = to_numpy((found, matrix, nodes, weights, signs))
    assert found.shape == (8,)
    for k in range(8):
        power, each = np.linalg.matrix_power(matrix, k), np.sum(weights * nodes**k, axis=1)
        np.testing.assert_allclose(each[9], signs @ power @ signs / 30, rtol=1e-9)
        assert abs(found[k] - np.trace(power) / 30) < 4 * each.std() / 500**0.5 + 1e-9


def test_a_broadened_density_integrates_to_one_around_its_nodes():
    nodes, weights = jnp.array([[0.0, 4.0], [1.0, 4.0]]), jnp.array([[0.75, 0.25], [0.5, 0.5]])
    grid = jnp.linspace(-3, 8, 2201)
    heights = density.broadened(nodes, weights, grid, width=0.2)
    np.testing.assert_allclose(heights.sum() * 0.005, 1, rtol=1e-3)
    np.testing.assert_allclose((heights * grid).sum() * 0.005, 1.75, rtol=1e-3)
    np.testing.assert_allclose(
        heights[jnp.abs(grid - 4).argmin()], 0.375 / (0.2 * 2.50663), rtol=1e-3
    )


def diagonal(bulk, *outliers):
    """A matrix with a hundred eigenvalues."""
    return jnp.diag(jnp.concatenate([bulk, jnp.array(outliers)]))


def test_outliers_are_counted_above_the_bulk_with_the_gap_between_them():
    nodes, weights = spectrum(diagonal(jnp.linspace(-1, 1, 97), 100.0, 150.0, 200.0))
    found = density.outliers(nodes, weights, parameters=100)
    np.testing.assert_allclose(found.edge, 0.97, atol=0.05)
    np.testing.assert_allclose([found.number, found.above_gap], 3, rtol=0.01)
    np.testing.assert_allclose(found.share, 0.03, rtol=0.01)
    np.testing.assert_allclose(found.gap, 2, atol=0.05)  # from 1 to 100


def test_a_spectrum_in_one_piece_has_no_outliers():
    found = density.outliers(*spectrum(diagonal(jnp.linspace(0, 1, 97), 1.0, 1.0, 1.0)), 100)
    assert found.number == 0 and found.gap < 0.05


def test_a_bulk_of_zeros_has_an_edge_all_the_same():
    found = density.outliers(*spectrum(diagonal(jnp.zeros(97), 5.0, 7.0, 9.0)), 100)
    np.testing.assert_allclose(found.number, 3, rtol=1e-3)
    assert 0 < found.edge < 1e-4
    rounding = jnp.array([[0.0, 1e-9, 5.0]]), jnp.array([[0.96, 0.01, 0.03]])
    np.testing.assert_allclose(density.outliers(*rounding, 100).number, 3, rtol=1e-5)


# Oracles


@pytest.mark.drawn
def test_lanczos_and_the_trace_agree_with_matfree():
    pytest.importorskip("matfree")
    from matfree import decomp, stochtrace

    with jax.enable_x64(True):
        matrix = symmetric(np.geomspace(1e-3, 10, 50))
        start = vectors.normal_like(matrix[0], KEY)
        decompose = decomp.tridiag_sym(12, materialize=False, reortho="full")
        theirs = decompose(by_matrix(matrix), start / jnp.linalg.norm(start))
        alphas, betas = theirs.J_small
        ours, _ = pairs(matrix, 12)
        np.testing.assert_allclose(ours.alphas, alphas, rtol=1e-8)
        np.testing.assert_allclose(ours.betas, jnp.abs(betas), rtol=1e-8)
        np.testing.assert_allclose(ours.last, jnp.linalg.norm(theirs.residual), rtol=1e-8)
        estimate = stochtrace.estimator_monte_carlo(
            stochtrace.monte_carlo_trace(), stochtrace.sampler_signs(start, num=4000)
        )
        found = trace(matrix, 4000)
        assert abs(found.mean - estimate(by_matrix(matrix), KEY)) < 6 * found.standard_error
