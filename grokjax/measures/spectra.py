"""Ranks, spectral entropy and intrinsic dimension.

Legend: N rows, d directions.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import IntrinsicDimension, Spectra
from grokjax.measures.observed import Observed, measured
from grokjax.measures.tables import unembed_weight

MOST_ROWS = 2048
"""Rows of the table, the same random ones at every step, that the covariance of hidden units is
taken over: of all 12,769 with 512 units it costs two training steps."""
EQUAL = 1e-5
"""Relative difference up to which two distances count as equal."""
MOST_TIES = 0.1
"""Share of rows with ties from which there is no dimension."""


def ranks(eigenvalues: jax.Array) -> dict[str, jax.Array]:
    """Ranks of a matrix from the squares of its singular values `[d]`.

    effective: exp H(σ/Σσ) (Roy & Vetterli 2007), of σ and not of its square; participation:
    (Σσ²)² / Σσ⁴; stable: Σσ² / σ₁².
    """
    squares = jnp.maximum(eigenvalues, 0)
    tiny = jnp.finfo(squares.dtype).tiny
    singular = jnp.sqrt(squares)
    shares = singular / jnp.maximum(singular.sum(), tiny)
    total = squares.sum()
    return {
        "effective": jnp.exp(-jax.scipy.special.xlogy(shares, shares).sum()),
        "participation": total**2 / jnp.maximum(jnp.sum(squares**2), tiny),
        "stable": total / jnp.maximum(squares.max(), tiny),
    }


def spectral_entropy(eigenvalues: jax.Array, most: int) -> jax.Array:
    """H(λ/Σλ) / ln d of a covariance's eigenvalues, of which at most d = `most` are not 0."""
    shares = jnp.maximum(eigenvalues, 0)
    shares = shares / jnp.maximum(shares.sum(), jnp.finfo(shares.dtype).tiny)
    return -jax.scipy.special.xlogy(shares, shares).sum() / np.log(max(most, 2))


def squared_singular_values(matrix: jax.Array) -> jax.Array:
    """Of a matrix, from the smaller of its two Gram matrices."""
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return jnp.linalg.eigvalsh(gram)


@functools.cache
def some_rows(n: int, most: int = MOST_ROWS) -> np.ndarray:
    """At most so many rows of n, the same every time."""
    return np.sort(np.random.default_rng(0).permutation(n)[:most])


@measured.register
def spectra(_: Spectra, observed: Observed) -> dict[str, Any]:
    """Ranks of embedding, unembedding, hidden units and readout; entropies of the last two."""
    embed = observed.params.get("embed")
    weights = {
        "embedding": None if embed is None or isinstance(embed, dict) else embed,
        "unembedding": unembed_weight(observed.params),
    }
    found: dict[str, Any] = {
        name: ranks(squared_singular_values(matrix))
        for name, matrix in weights.items()
        if matrix is not None
    }
    for name, x in (("readout", observed.looks.readout), ("neurons", observed.looks.neurons)):
        if x is not None:
            few = x[some_rows(len(x))]
            eigenvalues = squared_singular_values(few - few.mean(axis=0, keepdims=True))
            most = min(len(few) - 1, few.shape[1])
            found[name] = {**ranks(eigenvalues), "entropy": spectral_entropy(eigenvalues, most)}
    return found


def two_nn(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The TwoNN dimension of points `[N, d]`, and how many of them are ties."""
    square = jnp.sum(x**2, axis=1)

    def distances(point: jax.Array) -> jax.Array:
        return jnp.sum((x - point[None]) ** 2, axis=1)

    apart = jax.lax.map(distances, x, batch_size=64)
    nearest = -jax.lax.top_k(-(apart + jnp.diag(jnp.full(len(x), jnp.inf))), 2)[0]
    # Squared distances below the rounding of the coordinates are none.
    spot = 64 * jnp.finfo(x.dtype).eps ** 2 * square.max()
    tied = (nearest[:, 0] <= spot) | (nearest[:, 1] <= nearest[:, 0] * (1 + EQUAL) ** 2)
    ratio = jnp.log(jnp.where(tied, jnp.e**2, nearest[:, 1] / jnp.maximum(nearest[:, 0], spot))) / 2
    used = jnp.sum(~tied)
    dimension = (used - 1) / jnp.sum(jnp.where(tied, 0, ratio))
    return jnp.where(tied.mean() > MOST_TIES, jnp.nan, dimension), tied.sum()


@measured.register
def dimension(instrument: IntrinsicDimension, observed: Observed) -> dict[str, Any]:
    """TwoNN of what the logits are read from, and of the hidden units."""
    found: dict[str, Any] = {}
    for name, x in (("readout", observed.looks.readout), ("neurons", observed.looks.neurons)):
        if x is not None:
            dimension, ties = two_nn(x[some_rows(len(x), instrument.points)])
            found[name] = {"dimension": dimension, "n_ties": ties}
    return found
