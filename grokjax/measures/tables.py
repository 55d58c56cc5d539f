"""The logits, weights and activations of a group's table, laid out by the group's elements.

Legend: n elements of the group, N rows of the dataset, C classes, D width, F hidden units.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.config import Task, Transformer
from grokjax.measures.observed import Observed
from grokjax.tasks import Structure


@dataclasses.dataclass(frozen=True, eq=False)
class GroupTable:
    """Where the products of a group lie in a dataset."""

    structure: Structure
    grid: np.ndarray  # [n, n], row of the operands (first, second)
    by_product: np.ndarray  # [n, n], the rows of each product
    product_of_row: np.ndarray  # [N], product of each row, -1 where it is none
    positions: tuple[int, int]
    """Where the operands stand in a row."""

    @functools.cached_property
    def in_order(self) -> bool:
        """Whether the dataset's rows are the operands in their order, and nothing else."""
        rows = np.arange(len(self.product_of_row)).reshape(-1)
        return len(rows) == self.grid.size and bool((self.grid.reshape(-1) == rows).all())

    @property
    def order(self) -> int:
        """Number n of elements."""
        return len(self.structure.classes)


@functools.cache
def group_table(task: Task) -> GroupTable:
    """The table of a task that is that of a group."""
    structure, dataset = tasks.structure(task), tasks.build(task)
    assert structure is not None  # `Task.group_table` says so, and was looked at first
    n = len(structure.classes)
    grid = np.zeros((n, n), np.int32)
    grid[structure.first, structure.second] = structure.rows
    products = structure.product[structure.first, structure.second]
    order = np.argsort(products, kind="stable")
    by_product = structure.rows[order].reshape(n, n)
    of_row = np.full(len(dataset.targets), -1, np.int32)
    of_row[structure.rows] = products
    tokens = structure.tokens_first[structure.first], structure.tokens_second[structure.second]
    inputs = dataset.inputs[structure.rows]
    where = [[t for t in range(inputs.shape[1]) if (inputs[:, t] == of).all()] for of in tokens]
    return GroupTable(structure, grid, by_product, of_row, (where[0][0], where[1][-1]))


def logits_by_product(observed: Observed, outputs: jax.Array) -> jax.Array:
    """The mean of the logits over the rows of each product, `[n products, n classes]`."""
    table = group_table(observed.task)
    of_classes = outputs[:, table.structure.classes]
    return of_classes[table.by_product].mean(axis=1)


def centred_by_product(observed: Observed, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`logits_by_product` centred over the classes, and Σ L² of all logits centred so."""
    table = group_table(observed.task)
    whole = outputs[table.structure.rows][:, table.structure.classes]
    square = jnp.sum((whole - whole.mean(axis=1, keepdims=True)) ** 2)
    by_product = logits_by_product(observed, outputs)
    centred = by_product - by_product.mean(axis=1, keepdims=True)
    return centred, jnp.maximum(square, jnp.finfo(square.dtype).tiny)


def neurons_by_operands(observed: Observed) -> jax.Array | None:
    """The last hidden units over the operands, `[n, n, F]`; None where there are none."""
    neurons, table = observed.looks.neurons, group_table(observed.task)
    if neurons is None:
        return None
    if table.in_order:  # a gather would copy the largest array that there is
        return neurons.reshape(table.order, table.order, -1)
    return neurons[table.grid]


def embedding(observed: Observed) -> jax.Array | None:
    """What the network reads the first operand by, `[n, D]`; None for a network of other names."""
    table, params = group_table(observed.task), observed.params
    tokens = table.structure.tokens_first
    embed = params.get("embed")
    if isinstance(embed, dict):  # one-hot tokens: a row of the first layer's weights each
        return embed["weight"][table.positions[0]][tokens]
    return None if embed is None else embed[tokens]


def unembedding(observed: Observed) -> jax.Array | None:
    """The last linear map to the group's classes, `[D, n]`; None for a network of other names."""
    classes = group_table(observed.task).structure.classes
    weight = unembed_weight(observed.params)
    return None if weight is None else weight[:, classes]


def unembed_weight(params: dict) -> jax.Array | None:
    """The last linear map, `[D, C]`, of a network of ours; that of tied weights too."""
    if "unembed" in params:
        weight: jax.Array = params["unembed"]["weight"]
        return weight.reshape(-1, weight.shape[-1])
    embed = params.get("embed")
    return None if embed is None or isinstance(embed, dict) else embed.T


def logit_map(observed: Observed) -> jax.Array | None:
    """The linear path from the last hidden units to the group's classes, `[F, n]`."""
    last = unembedding(observed)
    if last is None or not isinstance(observed.model, Transformer):
        return last
    out = observed.params.get(f"mlp_{observed.model.layers - 1}", {}).get("out")
    return None if out is None else out["weight"] @ last


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """−log softmax(z)_y of rows `[N, C]`, exact where it is far below the dtype's ε.

    softplus(ln Σ_{k≠y} eᶻₖ − z_y) has no difference of near-equal numbers, as ln Σ eᶻ − z_y has.
    """
    is_label = jnp.arange(logits.shape[-1])[None] == labels[:, None]
    own = jnp.sum(jnp.where(is_label, logits, 0), axis=-1)
    others = jax.nn.logsumexp(jnp.where(is_label, -jnp.inf, logits), axis=-1)
    return jax.nn.softplus(others - own)


def margins(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """z_y − max_{k≠y} z_k of rows `[N, C]`."""
    is_label = jnp.arange(logits.shape[-1])[None] == labels[:, None]
    own = jnp.sum(jnp.where(is_label, logits, 0), axis=-1)
    return own - jnp.max(jnp.where(is_label, -jnp.inf, logits), axis=-1)


def weighted_mean(values: jax.Array, weights: jax.Array) -> jax.Array:
    """Σ w x / Σ w over rows; rows of weight zero may hold anything."""
    return jnp.sum(jnp.where(weights > 0, weights * values, 0)) / jnp.sum(weights)


def train_and_test(observed: Observed) -> tuple[jax.Array, jax.Array]:
    """Weights `[N]` of the training rows, and of the test rows."""
    both = observed.trained_on, observed.tested_on
    trained, tested = (rows.astype(observed.train.weights.dtype) for rows in both)
    return trained, tested


def train_loss_without(observed: Observed, outputs: jax.Array, along: jax.Array) -> jax.Array:
    """The loss on the training rows of logits less what a matrix says of their products."""
    table, train = group_table(observed.task), observed.train
    product = jnp.asarray(table.product_of_row)[train.index]
    logits = outputs[train.index][:, table.structure.classes] - along[product]
    weights = jnp.where(product >= 0, train.weights, 0)
    return weighted_mean(cross_entropy(logits, product), weights)
