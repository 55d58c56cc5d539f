"""Fourier structure of cyclic tasks.

Legend: n elements, K = n // 2 frequencies 1 … K, M training rows, C classes, F hidden units.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Fourier
from grokjax.measures.observed import Observed, measured
from grokjax.measures.tables import (
    centred_by_product,
    cross_entropy,
    embedding,
    group_table,
    logit_map,
    logits_by_product,
    neurons_by_operands,
    train_loss_without,
    unembedding,
    weighted_mean,
)

SIMILAR = 0.005
"""Logit similarity from which a frequency, or an irrep, is key (Chughtai et al. 2023)."""
OF_LARGEST = 0.25
"""Share of the largest norm from which a frequency of the embedding is key."""
EXPLAINED, OF_NEURONS = 0.85, 0.02
"""Share of a hidden unit that one frequency explains, and of live units, from which it is key."""
LIVE = 1e-6
"""Share of the most varying unit's variance from which a hidden unit is alive."""
TOP = 5
"""Number of the most similar frequencies that are named."""


@functools.cache
def basis(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit cosines and sines of the frequencies 1 … K over n elements, each `[K, n]`.

    Where n is even the last is the sign (−1)ᵃ, which has no sine.
    """
    k, a = np.arange(1, n // 2 + 1)[:, None], np.arange(n)
    cos, sin = (np.sqrt(2 / n) * f(2 * np.pi * k * a / n) for f in (np.cos, np.sin))
    if n % 2 == 0:
        cos[-1] /= np.sqrt(2)
        sin[-1] = 0
    return cos, sin


def powers(x: jax.Array) -> jax.Array:
    """Σ_d (⟨cos_k, x_d⟩² + ⟨sin_k, x_d⟩²) of vectors over the elements, `[n, D]` → `[K]`."""
    cos, sin = (jnp.asarray(rows, x.dtype) for rows in basis(len(x)))
    return jnp.sum((cos @ x) ** 2 + (sin @ x) ** 2, axis=1)


def gini(x: jax.Array) -> jax.Array:
    """Σ (2i − n − 1) x_(i) / (n Σ x) of numbers that are not negative (Hurley & Rickard 2009)."""
    n = len(x)
    ranks = 2 * jnp.arange(1, n + 1, dtype=x.dtype) - n - 1
    return jnp.sum(ranks * jnp.sort(x)) / (n * jnp.maximum(x.sum(), jnp.finfo(x.dtype).tiny))


def similarities(by_product: jax.Array, square: jax.Array) -> jax.Array:
    """Cosine of the centred logits and cos 2πk(a + b − c)/n, of every frequency `[K]`.

    Args:
      by_product: mean of the logits over the rows of each product, centred over c, `[n, n]`.
      square: Σ L² of the centred logits over the whole table.
    """
    n = len(by_product)
    diagonals = circulant_means(by_product)  # over s − c
    cos, _ = basis(n)
    # Each difference has n² places in the table, so a cosine is n times as long there.
    along = n * (jnp.asarray(cos, by_product.dtype) @ diagonals)
    return along / jnp.sqrt(square)


def circulant_means(by_product: jax.Array) -> jax.Array:
    """The mean over each difference s − c of a matrix `[n products s, n classes c]`, `[n]`."""
    n = len(by_product)
    s = (np.arange(n)[:, None] + np.arange(n)) % n  # [difference, class]
    return by_product[s, np.arange(n)[None]].mean(axis=1)


@measured.register
def fourier(instrument: Fourier, observed: Observed) -> dict[str, Any]:
    """Key frequencies by three rules, progress measures, and how sparse the spectra are."""
    outputs = observed.outputs
    similar, circulant = _of_logits(observed, outputs)
    given = np.isin(np.arange(1, len(similar) + 1), instrument.keys)
    keys = (similar > SIMILAR) | given
    order = jnp.argsort(-similar)[:TOP]
    found: dict[str, Any] = {
        "circulant": circulant,
        "similarity": {str(i + 1): similar[order[i]] for i in range(min(TOP, len(similar)))},
        "frequency": {str(i + 1): order[i] + 1 for i in range(min(TOP, len(similar)))},
        "explained": jnp.sum(jnp.where(keys, similar, 0) ** 2),
        "keys": {"logits": keys.sum()},
        **_progress(observed, outputs, keys),
        "excluded_largest": _largest_excluded(observed, outputs, order),
    }
    if observed.end is not None:
        at_end, _ = _of_logits(observed, observed.outputs_of(observed.end))
        by_end = _progress(observed, outputs, (at_end > SIMILAR) | given)
        found |= {f"{name}_by_end": value for name, value in by_end.items()}
    found["neurons"], found["keys"]["neurons"] = _of_neurons(observed)
    for name, weights in (("embedding", embedding(observed)), ("unembedding", _unembed(observed))):
        if weights is not None:
            found[name] = _of_weights(weights, keys)
            if name == "embedding":
                norms = jnp.sqrt(powers(weights))
                found["keys"]["embedding"] = jnp.sum(norms > OF_LARGEST * norms.max())
    through = logit_map(observed)
    if through is not None:
        found["logit_map"] = _of_weights(through.T, keys)
    return found


def _unembed(observed: Observed) -> jax.Array | None:
    last = unembedding(observed)
    return None if last is None else last.T


def _of_logits(observed: Observed, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarity of every frequency, and the circulant share."""
    centred, square = centred_by_product(observed, outputs)
    share = len(centred) ** 2 * jnp.sum(circulant_means(centred) ** 2) / square
    return similarities(centred, square), share


def _progress(observed: Observed, outputs: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
    """Restricted loss over the table and excluded loss over the training rows, for key `[K]`."""
    table, by_product = group_table(observed.task), logits_by_product(observed, outputs)
    mean, along = by_product.mean(axis=0, keepdims=True), _along(by_product, keys)
    restricted = cross_entropy(mean + along, jnp.arange(table.order))
    return {
        "restricted": restricted.mean(),
        "excluded": train_loss_without(observed, outputs, along),
    }


def _along(by_product: jax.Array, keys: jax.Array) -> jax.Array:
    """The part of a matrix `[n products, n classes]` in key frequencies of the products."""
    cos, sin = (jnp.asarray(rows, by_product.dtype) for rows in basis(len(by_product)))
    kept = keys.astype(by_product.dtype)[:, None]
    return cos.T @ (kept * (cos @ by_product)) + sin.T @ (kept * (sin @ by_product))


def _largest_excluded(observed: Observed, outputs: jax.Array, order: jax.Array) -> jax.Array:
    """The largest excluded loss of one frequency alone, among the most similar ones."""
    by_product = logits_by_product(observed, outputs)
    numbers = jnp.arange(len(by_product) // 2)

    def without(k: jax.Array) -> jax.Array:
        return train_loss_without(observed, outputs, _along(by_product, numbers == k))

    return jax.lax.map(without, order).max()


def _of_weights(weights: jax.Array, keys: jax.Array) -> dict[str, jax.Array]:
    """How sparse a matrix `[n, D]` is in frequencies, and its share in key ones."""
    power = powers(weights)
    total = jnp.maximum(jnp.sum(weights**2), jnp.finfo(power.dtype).tiny)
    return {"gini": gini(jnp.sqrt(power)), "key_share": jnp.sum(jnp.where(keys, power, 0)) / total}


def neuron_shares(grid: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """How much of each hidden unit one frequency explains.

    The share of a centred unit's square in {1, cos_k, sin_k} of one operand times the same of the
    other, without the constant.

    Args:
      grid: hidden units over the operands, `[n, n, F]`.

    Returns:
      Shares `[K, F]`, which units are alive `[F]`, and inverse participation ratios `[F]` of the
      spectrum over the first operand.
    """
    n = len(grid)
    waves = [jnp.asarray(rows, grid.dtype) for rows in basis(n)]
    # Coefficients over a of cos_k and sin_k, then over b of 1 and the same: products of matrices
    # along the first axis are faster than Fourier transforms of a prime length, and waves sum to 0,
    # so that the mean need not be taken off.
    over_a = [(wave @ grid.reshape(n, -1)).reshape(-1, *grid.shape[1:]) for wave in waves]
    of_a = [part.sum(axis=1) / n**0.5 for part in over_a]  # [K, F]
    of_b = [wave @ grid.sum(axis=0) / n**0.5 for wave in waves]
    of_both = [jnp.einsum("kb,kbf->kf", wave, part) for wave in waves for part in over_a]
    marginal = of_a[0] ** 2 + of_a[1] ** 2
    power = marginal + sum(part**2 for part in (*of_b, *of_both))
    variance = jnp.sum((grid - grid.mean(axis=(0, 1), keepdims=True)) ** 2, axis=(0, 1))
    tiny = jnp.finfo(variance.dtype).tiny
    alive = variance > jnp.maximum(LIVE * variance.max(), tiny)
    ipr = jnp.sum(marginal**2, axis=0) / jnp.maximum(marginal.sum(axis=0), tiny) ** 2
    return power / jnp.maximum(variance, tiny)[None], alive, ipr


def _of_neurons(observed: Observed) -> tuple[dict[str, jax.Array], jax.Array]:
    """Clusters of hidden units, and the number of key frequencies by them."""
    grid = neurons_by_operands(observed)
    if grid is None:
        nothing = jnp.full((), jnp.nan)
        return {}, nothing
    shares, alive, ipr = neuron_shares(grid)
    best, value = shares.argmax(axis=0), shares.max(axis=0)
    explained = alive & (value > EXPLAINED)
    live = jnp.maximum(alive.sum(), 1)
    sizes = jnp.sum(explained[None] & (best[None] == jnp.arange(len(shares))[:, None]), axis=1)
    return {
        "explained": explained.sum() / live,
        "share": weighted_mean(value, alive.astype(value.dtype)),
        "ipr": weighted_mean(ipr, alive.astype(value.dtype)),
        "alive": alive.mean(),
    }, jnp.sum(sizes >= jnp.maximum(1, OF_NEURONS * live))
