"""What the network cannot do without.

Legend: N rows, C classes, F hidden units of the last layer, H heads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models
from grokjax.config import MLP, Ablations, Transformer
from grokjax.measures.fourier import EXPLAINED, neuron_shares
from grokjax.measures.observed import Observed, measured
from grokjax.measures.spectra import some_rows
from grokjax.measures.tables import group_table, train_and_test, unembed_weight, weighted_mean

KEEPS = 0.95
"""Share of the accuracy that the smallest sub-network keeps."""
GROUPS = 5
"""Number of the largest groups of hidden units of one frequency that are ablated."""
Score = Callable[[jax.Array], dict[str, jax.Array]]


class Scores(NamedTuple):
    """Losses and accuracies of logits on training and test rows."""

    train_loss: jax.Array
    test_loss: jax.Array
    train_accuracy: jax.Array
    test_accuracy: jax.Array


def score(observed: Observed, logits: jax.Array, rows: np.ndarray | None = None) -> Scores:
    """The scores of logits `[N, …, C]`, of all rows of the table or of some.

    Both are by the true answers, also where some training labels are noise.
    """
    some: Any = slice(None) if rows is None else rows
    targets = jnp.asarray(observed.dataset.targets)[some]
    weights = [of[some] for of in train_and_test(observed)]
    losses = observed.row_losses(logits.astype(observed.train.weights.dtype), targets)
    right = (logits.argmax(axis=-1) == targets).reshape(len(targets), -1).all(axis=1)
    return Scores(
        *(weighted_mean(losses, of) for of in weights),
        *(weighted_mean(right.astype(losses.dtype), of) for of in weights),
    )


@measured.register
def ablations(_: Ablations, observed: Observed) -> dict[str, Any]:
    """Change of scores without layers, heads, groups of hidden units, and single ones."""
    layout = models.plain_layout(observed.model, observed.dataset)
    plain = dataclasses.replace(observed, layout=layout)
    whole = score(plain, plain.outputs)
    found: dict[str, Any] = {}
    if isinstance(observed.model, Transformer):
        found["layers"] = _parts(plain, whole, "added", _whole)
        found["heads"] = _parts(plain, whole, "heads", _each_head)
    if isinstance(observed.model, (MLP, Transformer)) and plain.looks.neurons is not None:
        found["neurons"] = _neurons(plain)
        if observed.task.group_table == "cyclic":
            found["frequencies"] = _frequencies(plain, whole)
    return found


def _parts(observed: Observed, whole: Scores, name: str, masks: Callable) -> dict[str, Any]:
    """Changes without each part of the activations of a name, replaced by mean and by zero."""
    train, _ = train_and_test(observed)
    found: dict[str, Any] = {}
    for module, activations in observed.looks.tree.items():
        if not isinstance(activations, dict) or name not in activations:
            continue
        x = activations[name][-1]
        share = (train / train.sum()).reshape(-1, *[1] * (x.ndim - 1))
        mean = jnp.sum(share * x, axis=0, keepdims=True)
        for part, mask in masks(module, x).items():
            found[part] = {
                how: _change(whole, _without(observed, module, name, 1 - mask, mask * filling))
                for how, filling in (("mean", mean), ("zero", jnp.zeros_like(mean)))
            }
    return found


def _whole(module: str, x: jax.Array) -> dict[str, jax.Array]:
    """A mask of all of an activation."""
    return {module: jnp.ones([1] * x.ndim, x.dtype)}


def _each_head(module: str, x: jax.Array) -> dict[str, jax.Array]:
    """A mask of each head of `[N, Q, H, E]`."""
    depth = module.rpartition("_")[2]
    one_hot = jnp.eye(x.shape[2], dtype=x.dtype)
    return {f"{depth}.{head}": one_hot[head][None, None, :, None] for head in range(x.shape[2])}


def _without(
    observed: Observed, module: str, name: str, keep: jax.Array, fill: jax.Array
) -> Scores:
    """Scores with an activation x of a module replaced by keep · x + fill."""
    rows = jnp.arange(len(observed.dataset.targets), dtype=jnp.int32)
    of_name = {name: {"keep": keep, "fill": fill}}
    logits = models.apply(
        observed.model,
        observed.dataset,
        observed.layout,
        observed.params,
        rows,
        ablations={module: of_name} if module else of_name,
    )
    return score(observed, logits)


def _change(whole: Scores, without: Scores) -> dict[str, jax.Array]:
    return {
        name: after - before
        for name, before, after in zip(Scores._fields, whole, without, strict=True)
    }


def _last(observed: Observed) -> tuple[str, str]:
    """Module and name of the last hidden units."""
    if isinstance(observed.model, Transformer):
        return f"mlp_{observed.model.layers - 1}", "neurons"
    return "", f"neurons_{observed.model.layers - 1}"  # type: ignore[attr-defined]


def _shaped(observed: Observed, units: jax.Array) -> jax.Array:
    """Numbers of the last hidden units `[F]`, in the shape of the activation."""
    module, name = _last(observed)
    tree = observed.looks.tree
    x = (tree[module] if module else tree)[name][-1]
    return units.reshape(1, *x.shape[1:])


def _frequencies(observed: Observed, whole: Scores) -> dict[str, Any]:
    """Changes without the largest groups of hidden units that one frequency explains."""
    assert observed.looks.neurons is not None  # looked at before
    grid = observed.looks.neurons[group_table(observed.task).grid]
    shares, alive, _ = neuron_shares(grid)
    best = jnp.where(alive & (shares.max(axis=0) > EXPLAINED), shares.argmax(axis=0), -1)
    sizes = jnp.sum(best[None] == jnp.arange(len(shares))[:, None], axis=1)
    order = jnp.argsort(-sizes)[:GROUPS]
    mean = _train_mean(observed)
    found: dict[str, Any] = {}
    for place in range(min(GROUPS, len(shares))):
        group = (best == order[place]).astype(grid.dtype)
        keep, fill = (_shaped(observed, x) for x in (1 - group, group * mean))
        found[str(place + 1)] = {
            "frequency": order[place] + 1,
            "units": sizes[order[place]],
            **_change(whole, _without(observed, *_last(observed), keep, fill)),
        }
    return found


def _train_mean(observed: Observed) -> jax.Array:
    """The mean of the last hidden units over the training rows, `[F]`."""
    assert observed.looks.neurons is not None  # looked at before
    train, _ = train_and_test(observed)
    return jnp.sum((train / train.sum())[:, None] * observed.looks.neurons, axis=0)


def _neurons(observed: Observed) -> dict[str, Any]:
    """Single hidden units, replaced by their means: damage, its spread, and how few are enough."""
    neurons, mean = observed.looks.neurons, _train_mean(observed)
    assert neurons is not None  # looked at before
    rows = some_rows(len(neurons))
    own = score(observed, observed.outputs[rows], rows)
    few = _logits_without(observed, rows, mean)

    def damage(unit: jax.Array) -> tuple[jax.Array, jax.Array]:
        one = (jnp.arange(len(mean)) == unit).astype(mean.dtype)
        by_mean, by_zero = (score(observed, few(one, fill), rows) for fill in (mean, 0 * mean))
        return by_mean.train_loss - own.train_loss, by_zero.train_loss - own.train_loss

    by_mean, by_zero = jax.lax.map(damage, jnp.arange(len(mean)), batch_size=8)
    harm = jnp.maximum(by_mean, 0)
    ordered = jnp.sort(harm)[::-1]
    half = jnp.sum(jnp.cumsum(ordered) < harm.sum() / 2) + 1
    rank = jnp.argsort(jnp.argsort(-by_mean))

    def accuracy(kept: jax.Array) -> jax.Array:
        scores = score(observed, few((rank >= kept).astype(mean.dtype), mean), rows)
        return scores.test_accuracy

    needed = _smallest(accuracy, len(mean), KEEPS * own.test_accuracy)
    return {
        "largest": by_mean.max(),
        "mean": by_mean.mean(),
        "mean_by_zero": by_zero.mean(),
        "half_of_damage": half / len(mean),
        "needed": needed / len(mean),
    }


def _logits_without(
    observed: Observed, rows: np.ndarray, mean: jax.Array
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A function of ablated units (a mask `[F]`) and their filling `[F]` to logits of some rows.

    Where logits are linear in the last hidden units one product is enough for a set of them.
    """
    model, neurons = observed.model, observed.looks.neurons
    assert neurons is not None  # looked at before
    elsewhere = isinstance(model, Transformer) and model.readout != "last"
    if elsewhere or not getattr(model, "linear_readout", True):
        module, name = _last(observed)

        def again(mask: jax.Array, filling: jax.Array) -> jax.Array:
            keep, fill = (_shaped(observed, x) for x in (1 - mask, mask * filling))
            of_name = {name: {"keep": keep, "fill": fill}}
            return models.apply(
                model,
                observed.dataset,
                observed.layout,
                observed.params,
                jnp.asarray(rows),
                ablations={module: of_name} if module else of_name,
            )

        return again
    # Measured and not written down: factors of µP and the like are in it.
    through = _through(observed, len(mean))
    few, outputs = neurons[rows], observed.outputs[rows]

    def at_once(mask: jax.Array, filling: jax.Array) -> jax.Array:
        return outputs - (mask[None] * (few - filling[None])) @ through

    return at_once


def _through(observed: Observed, count: int) -> jax.Array:
    """The derivative of the logits by the last hidden units, `[F, C]`, where it is a constant."""
    module, name = _last(observed)
    row = jnp.zeros(1, jnp.int32)

    def logits(added: jax.Array) -> jax.Array:
        fill = _shaped(observed, added)
        of_name = {name: {"keep": jnp.ones_like(fill), "fill": fill}}
        return models.apply(
            observed.model,
            observed.dataset,
            observed.layout,
            observed.params,
            row,
            ablations={module: of_name} if module else of_name,
        )[0]

    weight = unembed_weight(observed.params)
    assert weight is not None  # networks of ours have one
    return jax.jacrev(logits)(jnp.zeros(count, weight.dtype)).T


def _smallest(accuracy: Callable[[jax.Array], jax.Array], most: int, wanted: jax.Array) -> Any:
    """The smallest number of kept units with the wanted accuracy, by bisection."""

    def halve(_: int, between: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = between
        middle = (low + high) // 2
        enough = accuracy(middle) >= wanted
        return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

    between = jnp.zeros((), jnp.int32), jnp.full((), most, jnp.int32)
    steps = int(np.ceil(np.log2(most + 1))) + 1
    return jax.lax.fori_loop(0, steps, halve, between)[1]
