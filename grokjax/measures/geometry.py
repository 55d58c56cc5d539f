"""Symmetries of the logits, clock or pizza, and how alike heads are.

Legend: n elements of the group, V tokens, D width, S samples, N rows, H heads, T positions.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models, tasks
from grokjax.config import ClockOrPizza, Heads, Parallelograms, Symmetry, Task
from grokjax.measures.fourier import powers
from grokjax.measures.observed import Observed, measured
from grokjax.measures.tables import embedding, group_table

COMPONENTS = 4
"""Principal components of the embedding that circularity is a mean over."""


def centred_logits(observed: Observed) -> jax.Array:
    """Logits `[n first, n second, n classes]`, centred over the classes."""
    table = group_table(observed.task)
    logits = observed.outputs[table.grid][..., table.structure.classes]
    return logits - logits.mean(axis=-1, keepdims=True)


@measured.register
def symmetry(_: Symmetry, observed: Observed) -> dict[str, Any]:
    """Errors of exchanging the operands, where they commute, and of multiplying by an element."""
    product = group_table(observed.task).structure.product
    logits = centred_logits(observed)
    length = jnp.sqrt(jnp.sum(logits**2))
    length = jnp.maximum(length, jnp.finfo(length.dtype).tiny)

    def error(moved: jax.Array) -> jax.Array:
        return jnp.sqrt(jnp.sum((moved - logits) ** 2)) / length

    by_one = product[1]  # g a, for one element g that is not the identity
    found = {"translation": error(logits[by_one][:, :, by_one])}
    if (product == product.T).all():
        found["exchange"] = error(jnp.swapaxes(logits, 0, 1))
    return found


@measured.register
def clock_or_pizza(instrument: ClockOrPizza, observed: Observed) -> dict[str, Any]:
    """Gradient symmetricity, distance irrelevance and circularity."""
    found = {
        "gradient_symmetricity": _symmetricity(observed, instrument.samples),
        "distance_irrelevance": _irrelevance(observed),
    }
    embed = embedding(observed)
    if embed is not None:
        found["circularity"] = circularity(embed)
    return found


@functools.cache
def _samples(task: Task, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Some rows of a task, and a class for each."""
    table, draw = group_table(task), np.random.default_rng(0)
    rows = draw.permutation(table.structure.rows)[:samples]
    return rows, draw.choice(table.structure.classes, len(rows))


def _symmetricity(observed: Observed, samples: int) -> jax.Array:
    """Mean cosine of a logit's gradients by the embeddings of its two operands."""
    rows, classes = _samples(observed.task, samples)
    layout = models.plain_layout(observed.model, observed.dataset)
    shape = (len(rows), observed.dataset.inputs.shape[1], observed.params["embed"].shape[1])

    def logits(added: jax.Array) -> jax.Array:
        outputs = models.apply(
            observed.model,
            observed.dataset,
            layout,
            observed.params,
            jnp.asarray(rows),
            ablations={"embedded": {"keep": jnp.ones((), added.dtype), "fill": added}},
        )
        # Compared and not indexed: the gradient of an index is a scatter without an order.
        is_chosen = np.arange(outputs.shape[1])[None] == classes[:, None]
        return jnp.sum(jnp.where(is_chosen, outputs, 0))

    # A row's logit depends on its own embeddings alone, so the gradient of the sum has them all.
    gradient = jax.grad(logits)(jnp.zeros(shape, observed.params["embed"].dtype))
    one, other = (gradient[:, position] for position in group_table(observed.task).positions)
    lengths = jnp.linalg.norm(one, axis=1) * jnp.linalg.norm(other, axis=1)
    return jnp.mean(jnp.sum(one * other, axis=1) / jnp.maximum(lengths, jnp.finfo(one.dtype).tiny))


def _irrelevance(observed: Observed) -> jax.Array:
    """Mean over differences of the right logits' std along it, over the std of all of them."""
    table = group_table(observed.task)
    n, product = table.order, table.structure.product
    right = observed.outputs[table.grid, table.structure.classes[product]]  # [n, n]
    a = np.arange(n)
    along = right[a[None], product[a[:, None], a[None]]]  # [difference d, i]: (i, d + i)
    return along.std(axis=1).mean() / jnp.maximum(right.std(), jnp.finfo(right.dtype).tiny)


def circularity(embed: jax.Array) -> jax.Array:
    """How circular the first principal components of an embedding `[n, D]` are, from 0 to 1."""
    centred = embed - embed.mean(axis=0, keepdims=True)
    _, vectors = jnp.linalg.eigh(centred.T @ centred)
    components = centred @ vectors[:, -COMPONENTS:]
    squares = jnp.sum(components**2, axis=0)
    each = [powers(components[:, i : i + 1]).max() for i in range(components.shape[1])]
    return jnp.mean(jnp.stack(each) / jnp.maximum(squares, jnp.finfo(squares.dtype).tiny))


@functools.cache
def admissible(task: Task) -> np.ndarray:
    """Values i, j, m, n `[P, 4]` of operands with i ≤ j and m ≤ n whose answers are the same."""
    dataset = tasks.build(task)
    operands = dataset.operands
    assert operands is not None  # `Parallelograms.why_not` has looked
    pairs, answers = operands[operands[:, 0] <= operands[:, 1]], dataset.targets
    answers = answers[operands[:, 0] <= operands[:, 1]]
    one, other = np.triu_indices(len(pairs), 1)
    alike = answers[one] == answers[other]
    return np.concatenate([pairs[one[alike]], pairs[other[alike]]], axis=1)


def parallelogram_share(embed: jax.Array, quadruples: np.ndarray, tolerance: float) -> jax.Array:
    """The share of quadruples i, j, m, n with E_i + E_j = E_m + E_n, within a distance.

    Args:
      embed: embeddings of the operands' values, `[n, D]`.
      quadruples: of values, `[P, 4]`.
      tolerance: largest distance, over the root mean square of the centred embedding.
    """
    centred = embed - embed.mean(axis=0, keepdims=True)
    size = jnp.sqrt(jnp.mean(jnp.sum(centred**2, axis=1)))
    i, j, m, n = quadruples.T
    apart = jnp.linalg.norm(embed[i] + embed[j] - embed[m] - embed[n], axis=1)
    return jnp.mean((apart <= tolerance * size).astype(embed.dtype))


@measured.register
def parallelograms(instrument: Parallelograms, observed: Observed) -> jax.Array:
    """The representation quality index of the operands' embeddings."""
    quadruples = admissible(observed.task)
    operands = observed.dataset.operands
    assert operands is not None  # `why_not` has looked
    embed = observed.params["embed"][: int(operands.max()) + 1]
    return parallelogram_share(embed, quadruples, instrument.tolerance)


@measured.register
def heads(_: Heads, observed: Observed) -> dict[str, Any]:
    """Mean cosine of two heads' patterns, and how unlike their entropies are."""
    pattern = observed.looks.pattern
    if pattern is None or pattern.shape[1] < 2:
        return {}
    unit = pattern / jnp.linalg.norm(pattern, axis=-1, keepdims=True)
    cosines = jnp.einsum("nht,ngt->nhg", unit, unit).mean(axis=0)
    heads = len(cosines)
    entropies = -jax.scipy.special.xlogy(pattern, pattern).sum(axis=-1).mean(axis=0)
    return {
        "cosine": (cosines.sum() - jnp.trace(cosines)) / (heads * (heads - 1)),
        "entropy": entropies.mean(),
        "entropy_std": entropies.std(),
    }
