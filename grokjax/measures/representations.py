"""Group structure from characters alone, and cosets.

Legend: n elements, K irreps, J conjugacy classes, M training rows, C classes, F hidden units.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.config import Cosets, Representations, Task
from grokjax.measures.fourier import LIVE, SIMILAR
from grokjax.measures.observed import Observed, measured
from grokjax.measures.tables import (
    centred_by_product,
    cross_entropy,
    embedding,
    group_table,
    neurons_by_operands,
    train_loss_without,
    unembedding,
    weighted_mean,
)

FEW = 16
"""Number of irreps up to which each has numbers of its own."""
CONSTANT = 0.1
"""Coset concentration below which a hidden unit is taken to see cosets."""


@functools.cache
def quotients(task: Task) -> np.ndarray:
    """The conjugacy class of g h⁻¹, `[n, n]`."""
    structure = group_table(task).structure
    return structure.characters.class_of[structure.product[:, structure.inverse]]


def class_means(task: Task, by_product: jax.Array) -> jax.Array:
    """The mean over s c⁻¹ in each conjugacy class of a matrix `[n products, n classes]`, `[J]`."""
    which, sizes = quotients(task), group_table(task).structure.characters.sizes
    is_class = jnp.asarray(which.reshape(1, -1) == np.arange(len(sizes))[:, None], by_product.dtype)
    counts = jnp.asarray(len(which) * sizes, by_product.dtype)
    return is_class @ by_product.reshape(-1) / counts


def isotypic_shares(task: Task, x: jax.Array) -> jax.Array:
    """‖P_ρ X‖² / ‖X‖² of vectors over the elements `[n, D]`, for every irrep `[K]`."""
    characters = group_table(task).structure.characters
    kernels = characters.degrees[:, None] * characters.values / len(x)  # [K, J]
    # P is a projector, so ‖P X‖² = ⟨P, X Xᵀ⟩, and it depends on the class of g h⁻¹ alone.
    of_classes = class_means(task, x @ x.T) * jnp.asarray(len(x) * characters.sizes, x.dtype)
    parts = jnp.asarray(kernels, x.dtype) @ of_classes
    return parts / jnp.maximum(jnp.sum(x**2), jnp.finfo(x.dtype).tiny)


@measured.register
def representations(_: Representations, observed: Observed) -> dict[str, Any]:
    """Similarity of logits and characters, progress measures, and weights by irreps."""
    characters = group_table(observed.task).structure.characters
    outputs = observed.outputs
    similar, share, length = _of_logits(observed, outputs)
    keys = similar > SIMILAR
    found: dict[str, Any] = {
        "bi_invariant": share,
        "explained": jnp.sum(jnp.where(keys, similar, 0) ** 2),
        "keys": keys.sum(),
        **_progress(observed, outputs, jnp.where(keys, similar * length, 0)),
    }
    if observed.end is not None:
        at_end = _of_logits(observed, observed.outputs_of(observed.end))[0]
        by_end = jnp.where(at_end > SIMILAR, similar * length, 0)
        found |= {f"{n}_by_end": v for n, v in _progress(observed, outputs, by_end).items()}
    weights = {"embedding": embedding(observed), "unembedding": unembedding(observed)}
    shares = {
        name: isotypic_shares(observed.task, matrix.T if name == "unembedding" else matrix)
        for name, matrix in weights.items()
        if matrix is not None
    }
    found["key_share"] = {n: jnp.sum(jnp.where(keys, of, 0)) for n, of in shares.items()}
    grid = neurons_by_operands(observed)
    if grid is not None:
        found["key_share"]["hidden"] = _hidden_share(observed.task, grid, keys)
    if len(similar) <= FEW:
        for name, values in {"similarity": similar, **shares}.items():
            found[name] = dict(zip(characters.names, values, strict=True))
    return found


def _of_logits(observed: Observed, outputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Similarity of every irrep `[K]`, the bi-invariant share, and ‖L‖ centred over classes."""
    table = group_table(observed.task)
    characters, n = table.structure.characters, table.order
    centred, square = centred_by_product(observed, outputs)
    means = class_means(observed.task, centred)
    values, sizes = (jnp.asarray(x, means.dtype) for x in (characters.values, characters.sizes))
    lengths = n * jnp.sqrt(jnp.asarray(n * characters.norms, means.dtype))  # ‖χ(a b c⁻¹)‖
    similar = n**2 * (values @ (sizes * means)) / (lengths * jnp.sqrt(square))
    return similar, n**2 * jnp.sum(sizes * means**2) / square, jnp.sqrt(square)


def _progress(observed: Observed, outputs: jax.Array, along: jax.Array) -> dict[str, jax.Array]:
    """Restricted and excluded loss of the logits' components `[K]` along unit characters."""
    table = group_table(observed.task)
    characters, n = table.structure.characters, table.order
    lengths = n * np.sqrt(n * characters.norms)
    by_class = (along / jnp.asarray(lengths, along.dtype)) @ jnp.asarray(
        characters.values, along.dtype
    )
    matrix = by_class[quotients(observed.task)]
    return {
        "restricted": cross_entropy(matrix, jnp.arange(n)).mean(),
        "excluded": train_loss_without(observed, outputs, matrix),
    }


def _hidden_share(task: Task, grid: jax.Array, keys: jax.Array) -> jax.Array:
    """Share of the centred hidden units in key irreps of a, of b and of ab, `[n, n, F]` → one."""
    structure = group_table(task).structure
    mean = grid.mean(axis=(0, 1), keepdims=True)
    square = jnp.sum((grid - mean) ** 2)
    first = np.arange(len(grid))[:, None]
    by_product = grid[first, structure.product[structure.inverse]].mean(axis=0)
    characters = structure.characters
    kernels = characters.degrees[:, None] * characters.values / len(grid)
    kept = keys.astype(grid.dtype) @ jnp.asarray(kernels, grid.dtype)  # [J]
    projector = kept[quotients(task)]  # on all key irreps together
    parts = [part - mean[0] for part in (grid.mean(axis=1), grid.mean(axis=0), by_product)]
    explained = len(grid) * sum(jnp.sum((projector @ part) ** 2) for part in parts)
    return explained / jnp.maximum(square, jnp.finfo(grid.dtype).tiny)


@measured.register
def cosets(_: Cosets, observed: Observed) -> dict[str, Any]:
    """How constant hidden units are on cosets of subgroups."""
    grid = neurons_by_operands(observed)
    if grid is None:
        return {}
    found, alive = _concentrations(observed.task, grid)
    weights = alive.astype(grid.dtype)
    best = jnp.stack(list(found.values())).min(axis=0)
    return {
        "lowest": weighted_mean(best, weights),
        "constant": weighted_mean((best < CONSTANT).astype(grid.dtype), weights),
        "by_subgroup": {
            name: weighted_mean((of < CONSTANT).astype(grid.dtype), weights)
            for name, of in found.items()
        },
    }


def _concentrations(task: Task, grid: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
    """Subgroup → lowest concentration of each unit `[F]`; and which units are alive."""
    operands = grid.mean(axis=1), grid.mean(axis=0)
    variances = [part.var(axis=0) for part in operands]
    tiny = jnp.finfo(grid.dtype).tiny
    largest = jnp.maximum(*variances)
    found = {}
    for name, every_coset in _cosets(task).items():
        values = []
        for part, variance in zip(operands, variances, strict=True):

            def concentration(inside: jax.Array, part: jax.Array = part) -> jax.Array:
                size = inside.sum(axis=1, keepdims=True)  # inside: [cosets, n]
                means = inside @ part / size
                # Of each element from its coset's mean: squares less squares would cancel.
                return jnp.mean((part - inside.T @ means) ** 2, axis=0)

            within = jax.lax.map(concentration, jnp.asarray(every_coset, part.dtype)).min(axis=0)
            # A unit that does not see the operand is constant on anything.
            sees = variance > jnp.maximum(0.01 * largest, tiny)
            values.append(jnp.where(sees, within / jnp.maximum(variance, tiny), 1.0))
        found[name] = jnp.stack(values).min(axis=0)
    return found, largest > jnp.maximum(LIVE * largest.max(), tiny)


@functools.cache
def _cosets(task: Task) -> dict[str, np.ndarray]:
    """Subgroup → which elements are in each left and right coset of its conjugates, `[S, J, n]`."""
    product = group_table(task).structure.product
    found = {}
    for subgroup in tasks.subgroups(product):
        of_elements = [
            tasks.cosets(product, members, side)
            for members in subgroup.conjugates
            for side in ("left", "right")
        ]
        numbers = np.arange(len(product) // subgroup.order)
        found[subgroup.name] = np.stack([of[None] == numbers[:, None] for of in of_elements])
    return found
