"""Eigenvalues and trace of a symmetric matrix of which only products with vectors are at hand.

The matrix is usually the Hessian of the training loss without decay (`vectors.hvp`). Coupled L2
decay adds its strength to every eigenvalue, decoupled decay is no part of any loss.

Legend: P parameters, m steps of Lanczos.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from grokjax.measures.vectors import Product, Tree, dot, rademacher_like

NOISE = 10
"""A new direction shorter than this many rounding errors of the largest product is none."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tridiagonal:
    """The matrix on the space that Lanczos has explored: Q A Qᵀ = T, tridiagonal.

    Where the space is complete after fewer than m steps, the rest is zero.
    """

    alphas: jax.Array  # [m], the diagonal of T
    betas: jax.Array  # [m − 1], beside the diagonal
    last: jax.Array
    """The next number beside the diagonal: how strongly A leads out of the space."""
    steps: jax.Array
    """Dimension of the space, int32; less than m where it is complete."""
    basis: jax.Array  # [m, P], Q, whose rows are orthonormal


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Ritz:
    """Eigenpairs of T, the matrix on the explored space, in ascending order.

    The first `steps` of them count; the others are zero.
    """

    values: jax.Array  # [m], estimates of eigenvalues of A
    residuals: jax.Array  # [m], ‖A u − θ u‖; A has an eigenvalue that close to θ
    weights: jax.Array  # [m], share of the start's square in each pair; they sum to one
    vectors: jax.Array  # [m, m], columns are coordinates in the basis


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Extremes:
    """Largest and smallest eigenvalues with their residuals."""

    largest: jax.Array  # [top], descending; NaN where the space has fewer dimensions
    largest_residuals: jax.Array  # [top]
    smallest: jax.Array
    smallest_residual: jax.Array
    vector: Tree
    """The unit vector of the largest: a start from which a later network needs fewer steps."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over independent draws with its standard error, NaN where there is one draw only."""

    mean: jax.Array
    standard_error: jax.Array


def lanczos(hvp: Product, start: Tree, order: int) -> Tridiagonal:
    """Lanczos' method from a start vector (Golub & Van Loan 2013, § 10.1).

    Every new direction is made orthogonal to all earlier ones, twice: without, float32 finds
    eigenvalues several times. Memory is m · P numbers, beside those that a product needs.

    Args:
      hvp: v ↦ A v for a symmetric A, such as `vectors.hvp(loss, params)`.
      start: the vector to start from, of any length; zero explores nothing.
      order: number of steps m, and of products.
    """
    flat, unravel = ravel_pytree(start)
    noise = NOISE * jnp.finfo(flat.dtype).eps

    def advance(carry: tuple, row: jax.Array) -> tuple[tuple, tuple]:
        basis, direction, largest, exploring = carry
        basis = basis.at[row].set(direction)
        image, _ = ravel_pytree(hvp(unravel(direction)))
        image = jnp.where(exploring, image, 0)
        alpha = _inner(direction, image)
        largest = jnp.maximum(largest, jnp.linalg.norm(image))
        for _ in range(2):
            image = image - _inner(_inner(basis, image), basis)
        beta = jnp.linalg.norm(image)
        goes_on = beta > noise * largest
        beta = jnp.where(goes_on, beta, 0)
        direction = jnp.where(goes_on, image / jnp.where(goes_on, beta, 1), 0)
        return (basis, direction, largest, goes_on), (alpha, beta, exploring)

    length = jnp.linalg.norm(flat)
    # Not `> 0`: what is not a number must be carried on, to be seen in the end.
    exploring = length != 0
    direction = flat / jnp.where(exploring, length, 1)
    carry = jnp.zeros((order, flat.size), flat.dtype), direction, jnp.zeros_like(length), exploring
    (basis, *_), (alphas, betas, explored) = jax.lax.scan(advance, carry, jnp.arange(order))
    return Tridiagonal(alphas, betas[:-1], betas[-1], explored.sum(dtype=jnp.int32), basis)


def _inner(a: jax.Array, b: jax.Array) -> jax.Array:
    """The product a @ b in full precision."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def ritz(found: Tridiagonal) -> Ritz:
    """Eigenpairs of the tridiagonal matrix that Lanczos has found."""
    order = found.alphas.size
    explored = jnp.arange(order) < found.steps
    # The rest of the diagonal is put above every eigenvalue (Gershgorin), so that it comes last and
    # mixes with none: a zero would hide among the eigenvalues that are zero.
    bound = jnp.abs(found.alphas).max() + 2 * jnp.max(found.betas, initial=0)
    diagonal = jnp.where(explored, found.alphas, jnp.where(bound > 0, 2 * bound, 1))
    matrix = jnp.diag(diagonal) + jnp.diag(found.betas, 1) + jnp.diag(found.betas, -1)
    values, vectors = jnp.linalg.eigh(matrix)
    # Of a matrix that is not a number, some platforms give vectors that are.
    vectors = jnp.where(jnp.isfinite(matrix).all(), vectors, jnp.nan)
    return Ritz(
        values=jnp.where(explored, values, 0),
        residuals=jnp.where(explored, jnp.abs(found.last * vectors[-1]), 0),
        weights=jnp.where(explored, jnp.square(vectors[0]), 0),
        vectors=jnp.where(explored[None, :], vectors, 0),
    )


def extreme_eigenvalues(hvp: Product, start: Tree, order: int, top: int) -> Extremes:
    """The largest eigenvalues and the smallest, by Lanczos.

    An eigenvalue that occurs several times is found once, and one whose vectors are orthogonal to
    the start not at all, so start from a random vector. Residuals do not know of the rounding of
    the products themselves.

    Args:
      hvp: v ↦ A v for a symmetric A.
      start: a random vector, or the `vector` of a network shortly before.
      order: number of steps, and of products; 20 to 30 for a handful of eigenvalues.
      top: how many of the largest to return.
    """
    found = lanczos(hvp, start, order)
    pairs = ritz(found)
    index = found.steps - 1 - jnp.arange(top)

    def of_largest(x: jax.Array) -> jax.Array:
        return jnp.where(index >= 0, x[jnp.maximum(index, 0)], jnp.nan)

    _, unravel = ravel_pytree(start)
    vector = unravel(_inner(pairs.vectors[:, found.steps - 1], found.basis))
    largest, residuals = of_largest(pairs.values), of_largest(pairs.residuals)
    return Extremes(largest, residuals, pairs.values[0], pairs.residuals[0], vector)


def trace(hvp: Product, template: Tree, key: jax.Array, probes: int) -> Estimate:
    """The trace of a symmetric A as the mean of zᵀ A z over random signs z (Hutchinson 1990).

    Its variance is 2 (‖A‖²_F − Σ A_ii²) / probes: one probe is exact for a diagonal matrix.

    Args:
      hvp: v ↦ A v for a symmetric A.
      template: arrays in whose shapes the vectors are.
      key: key of the random signs.
      probes: number of sign vectors, and of products.
    """

    def probe(key: jax.Array) -> jax.Array:
        signs = rademacher_like(template, key)
        return dot(signs, hvp(signs))

    # One after another: each needs the memory of a whole product.
    draws = jax.lax.map(probe, jax.random.split(key, probes))
    if probes == 1:
        return Estimate(draws[0], jnp.full_like(draws[0], jnp.nan))
    return Estimate(draws.mean(), draws.std(ddof=1) / probes**0.5)
