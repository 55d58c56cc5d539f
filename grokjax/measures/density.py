"""How the eigenvalues of a Hessian are distributed, by stochastic Lanczos quadrature.

For a random unit vector v the eigenvalues of Lanczos' tridiagonal matrix, each weighted with the
squared first component of its eigenvector, are a Gauss quadrature of vᵀ f(A) v, whose expectation
is tr f(A) / P (Ubaru, Chen & Saad 2017; Ghorbani, Krishnan & Xiao 2019).

Legend: P parameters, S probes, m steps of Lanczos.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from grokjax.measures.curvature import lanczos, ritz
from grokjax.measures.vectors import Product, Tree, rademacher_like

BULK = 0.95
"""Share of the eigenvalues, by magnitude, that make up the bulk."""
FAR = 10
"""How many times the edge of the bulk an outlier is."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Outliers:
    """A spectrum in two clusters: a bulk around zero, and few large eigenvalues."""

    edge: jax.Array
    """The magnitude below which 95 % of the eigenvalues are."""
    share: jax.Array
    """Share of eigenvalues above 10 × the edge."""
    number: jax.Array
    """The same as a number: share × P."""
    gap: jax.Array
    """The largest step between neighbouring eigenvalues above the edge, in powers of ten."""
    above_gap: jax.Array
    """Number of eigenvalues above that step."""


def spectral_density(
    hvp: Product, template: Tree, key: jax.Array, probes: int, order: int
) -> tuple[jax.Array, jax.Array]:
    """Nodes and weights of the distribution of eigenvalues.

    Args:
      hvp: v ↦ A v for a symmetric A, such as `vectors.hvp(loss, params)`.
      template: arrays in whose shapes the vectors are.
      key: key of the random signs that Lanczos starts from.
      probes: number S of starts.
      order: number m of steps from each, and of products.

    Returns:
      Nodes `[S, m]` and weights `[S, m]`, which sum to one in every row. Where all that a start can
      reach takes fewer than m steps, the nodes left over are zero with weight zero.
    """

    def probe(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        pairs = ritz(lanczos(hvp, rademacher_like(template, key), order))
        return pairs.values, pairs.weights

    return jax.lax.map(probe, jax.random.split(key, probes))


def moments(nodes: jax.Array, weights: jax.Array, highest: int) -> jax.Array:
    """The moments tr(A^k) / P for k = 0 … highest, `[highest + 1]`.

    They are exact in expectation up to k = 2m − 1.

    Args:
      nodes: of `spectral_density`, `[S, m]`.
      weights: of `spectral_density`, `[S, m]`.
      highest: the last k.
    """
    powers = [jnp.sum(weights * nodes**k, axis=1).mean() for k in range(highest + 1)]
    return jnp.stack(powers)


def broadened(
    nodes: jax.Array, weights: jax.Array, grid: jax.Array, width: jax.Array | float
) -> jax.Array:
    """The density `[G]` with every node a Gaussian; its integral over all numbers is one.

    Args:
      nodes: of `spectral_density`, `[S, m]`.
      weights: of `spectral_density`, `[S, m]`.
      grid: where to evaluate it, `[G]`.
      width: standard deviation of the Gaussians.
    """
    distances = (grid[:, None] - nodes.reshape(1, -1)) / width
    heights = jnp.exp(-jnp.square(distances) / 2) / (width * (2 * jnp.pi) ** 0.5)
    return heights @ weights.reshape(-1) / len(nodes)


def outliers(nodes: jax.Array, weights: jax.Array, parameters: int) -> Outliers:
    """Bulk and outliers of a spectrum.

    The edge of the bulk is the magnitude below which 95 % of the eigenvalues are, but no less than
    the rounding error of the largest: a bulk of zeros has an edge all the same. Outliers are
    eigenvalues above 10 × the edge. The gap is log₁₀ of the largest ratio between neighbours among
    the edge and the eigenvalues above it; neighbours below it, which come as close to zero as
    chance has it, say nothing.

    Args:
      nodes: of `spectral_density`, `[S, m]`.
      weights: of `spectral_density`, `[S, m]`.
      parameters: number P of all eigenvalues.
    """
    nodes, weights = nodes.reshape(-1), weights.reshape(-1) / len(nodes)
    magnitudes = jnp.abs(nodes)
    order = jnp.argsort(magnitudes)
    below = jnp.cumsum(weights[order])
    percentile = magnitudes[order][jnp.argmax(below >= BULK * below[-1])]
    limits = jnp.finfo(nodes.dtype)
    edge = jnp.maximum(percentile, jnp.maximum(limits.eps * magnitudes.max(), limits.tiny))
    heights = jnp.log10(jnp.maximum(nodes, edge))
    ascending = jnp.sort(heights)
    steps = jnp.diff(ascending)
    # Those that are not below, so that what is not a number is counted, and seen.
    share = jnp.sum(jnp.where(nodes <= FAR * edge, 0, weights))
    above = jnp.sum(jnp.where(heights <= ascending[jnp.argmax(steps)], 0, weights))
    return Outliers(edge, share, parameters * share, steps.max(), parameters * above)
