"""What rounding does to the loss, and what margins cost in norm.

Legend: M training rows with padding, C classes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from grokjax.config import Efficiency, Numerics
from grokjax.measures.norms import by_role, cosine
from grokjax.measures.observed import Observed, measured
from grokjax.measures.tables import cross_entropy, margins, train_and_test, weighted_mean


@measured.register
def numerics(_: Numerics, observed: Observed) -> dict[str, Any]:
    """Softmax collapse, zero gradients, naive loss minimisation, scale of the logits, margins."""
    logits, labels, weights = _training(observed)
    in_loss_dtype = logits.astype(weights.dtype)
    each = observed.row_losses(in_loss_dtype, labels)
    # With the share of a row in the mean: what is left of it in half precision may be nothing.
    by_logits = jax.grad(lambda z: jnp.sum(weights * observed.row_losses(z, labels)))(in_loss_dtype)
    exact = weighted_mean(cross_entropy(in_loss_dtype, labels), weights)
    descent = jax.tree.map(jnp.negative, observed.gradient)
    towards, roles = by_role(descent), by_role(observed.params)
    centred = logits - logits.mean(axis=1, keepdims=True)
    return {
        "softmax_collapse": weighted_mean(collapsed(in_loss_dtype, labels), weights),
        "zero_gradient": weighted_mean(_share_of(jnp.all(by_logits == 0, axis=1), each), weights),
        "zero_loss": weighted_mean(_share_of(each == 0, each), weights),
        "exact_cross_entropy": exact,
        "naive_minimisation": {
            "all": cosine(descent, observed.params),
            **{role: cosine(towards[role], roles[role]) for role in roles},
        },
        "logit_scale": jnp.sqrt(weighted_mean(jnp.square(centred).mean(axis=1), weights)),
        "margin": _margins(observed),
    }


def collapsed(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """1 for rows `[M]` where the label's share rounds to 1: Σ_{k≠y} exp(z_k − z_y) < ε/2.

    ε is that of the dtype of the logits. A sum of all classes collapses at another margin for
    another order of the classes; the sum without the label's own 1 does not depend on it.
    """
    is_label = jnp.arange(logits.shape[-1])[None] == labels[:, None]
    own = jnp.sum(jnp.where(is_label, logits, 0), axis=-1, keepdims=True)
    others = jnp.where(is_label, 0, jnp.exp(logits - own)).sum(axis=-1)
    return _share_of(others < jnp.finfo(logits.dtype).eps / 2, others)


def _share_of(true: jax.Array, like: jax.Array) -> jax.Array:
    return true.astype(like.dtype)


def _training(observed: Observed) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Logits `[M, C]`, labels and weights of the training rows."""
    train = observed.train
    return observed.outputs[train.index], train.labels, train.weights


def _margins(observed: Observed) -> dict[str, jax.Array]:
    """Mean margins of training and test rows, and the lowest hundredth of the training rows."""
    logits, labels, weights = _training(observed)
    of_train = margins(logits, labels)
    _, tested = train_and_test(observed)
    truth = jnp.asarray(observed.dataset.targets)
    count = jnp.sum(weights > 0)
    ordered = jnp.sort(jnp.where(weights > 0, of_train, jnp.inf))
    return {
        "train": weighted_mean(of_train, weights),
        "train_lowest": ordered[(count - 1) // 100],
        "test": weighted_mean(margins(observed.outputs, truth), tested),
    }


@measured.register
def efficiency(instrument: Efficiency, observed: Observed) -> dict[str, Any]:
    """Margin per squared norm, and training loss at other scales of all weights."""
    logits, labels, weights = _training(observed)
    square = optax.tree.norm(observed.params, squared=True)
    size = jnp.sqrt(weighted_mean(jnp.square(logits).mean(axis=1), weights))

    def loss_at(scale: float) -> jax.Array:
        return observed.train_loss(jax.tree.map(lambda w: scale * w, observed.params))

    return {
        "margin_per_square": weighted_mean(margins(logits, labels), weights) / square,
        "logit_per_square": size / square,
        "loss_at": {f"{scale:g}": loss_at(scale) for scale in instrument.scales},
    }
