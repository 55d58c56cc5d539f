"""Linear readouts of activations, and how alike two sets of activations are.

Legend: N rows, D width, C classes, T positions.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models
from grokjax.config import Probes, Similarity
from grokjax.measures.fourier import basis
from grokjax.measures.observed import Observed, measured
from grokjax.measures.spectra import some_rows
from grokjax.measures.tables import group_table, train_and_test, weighted_mean


def ridge(x: jax.Array, y: jax.Array, weights: jax.Array, penalty: float) -> jax.Array:
    """The ridge regression of targets on activations and a constant, `[D + 1, C]`.

    Args:
      x: activations `[N, D]`.
      y: targets `[N, C]`.
      weights: of the rows that it is fitted on `[N]`; 0 for the others.
      penalty: over the mean eigenvalue of the activations' covariance.
    """
    share = (weights / weights.sum())[:, None]
    x_mean, y_mean = (jnp.sum(share * z, axis=0, keepdims=True) for z in (x, y))
    centred = x - x_mean
    covariance = centred.T @ (share * centred)
    size = jnp.trace(covariance) / len(covariance)
    tiny = jnp.finfo(x.dtype).tiny
    damped = covariance + jnp.maximum(penalty * size, tiny) * jnp.eye(
        len(covariance), dtype=x.dtype
    )
    slopes = jax.scipy.linalg.solve(damped, centred.T @ (share * (y - y_mean)), assume_a="pos")
    return jnp.concatenate([slopes, y_mean - x_mean @ slopes])


def predicted(x: jax.Array, fit: jax.Array) -> jax.Array:
    """What a `ridge` says of activations `[N, D]`."""
    return x @ fit[:-1] + fit[-1:]


def accuracy(scores: jax.Array, labels: jax.Array, weights: jax.Array) -> jax.Array:
    """Share of rows whose largest score is their label's."""
    right = (scores.argmax(axis=-1) == labels).astype(weights.dtype)
    return weighted_mean(right, weights)


@measured.register
def probes(instrument: Probes, observed: Observed) -> dict[str, Any]:
    """Accuracy of a readout fitted anew, of the operands, and of frequencies of the answer."""
    x, train = observed.looks.readout, observed.train
    if x is None:
        return {}
    fitted_on, some = x[train.index], some_rows(len(x))
    on_train, on_test = (weights[some] for weights in train_and_test(observed))

    def scores_of(values: np.ndarray, count: int) -> jax.Array:
        """What a probe of a number that every row has says of some rows."""
        wanted = jax.nn.one_hot(jnp.asarray(values)[train.index], count, dtype=x.dtype)
        return predicted(x[some], ridge(fitted_on, wanted, train.weights, instrument.ridge))

    targets = observed.dataset.targets
    scores = scores_of(targets, observed.dataset.n_classes)
    found: dict[str, Any] = {
        "readout": accuracy(scores, jnp.asarray(targets[some]), on_test),
        "readout_train": accuracy(scores, jnp.asarray(targets[some]), on_train),
        "own": accuracy(observed.outputs[some], jnp.asarray(targets[some]), on_test),
    }
    operands = observed.dataset.operands
    if operands is not None:
        for name, operand in zip(("first", "second"), np.transpose(operands), strict=True):
            of_operand = scores_of(operand, int(operand.max()) + 1)
            found[name] = accuracy(of_operand, jnp.asarray(operand[some]), on_test)
    if observed.task.group_table == "cyclic":
        found["frequencies"] = _frequencies(observed, scores, some, on_test)
    return found


def _frequencies(
    observed: Observed, scores: jax.Array, some: np.ndarray, test: jax.Array
) -> dict[str, jax.Array]:
    """R² on some test rows of the cosine and sine of the answer at each frequency: largest, number.

    They are linear in the one-hot answer, and so are their regressions.
    """
    table = group_table(observed.task)
    waves = np.concatenate(basis(table.order))  # [2K, n]
    waves = waves[np.any(waves != 0, axis=1)]
    product = jnp.asarray(table.product_of_row[some])
    weights = jnp.where(product >= 0, test, 0)
    truth = jnp.asarray(waves.T, scores.dtype)[jnp.maximum(product, 0)]
    told = scores[:, table.structure.classes] @ jnp.asarray(waves.T, scores.dtype)
    share = (weights / weights.sum())[:, None]
    mean = jnp.sum(share * truth, axis=0, keepdims=True)
    errors, spread = (jnp.sum(share * (truth - z) ** 2, axis=0) for z in (told, mean))
    r2 = 1 - errors / spread
    return {"largest": r2.max(), "above_half": jnp.sum(r2 > 0.5)}


def cka(x: jax.Array, y: jax.Array) -> jax.Array:
    """Linear CKA of activations `[N, D]` and `[N, E]`, with the unbiased estimate of HSIC.

    Song et al. 2012: with K and L without their diagonals, HSIC = (tr KL + 1ᵀK1 1ᵀL1 / ((N−1)(N−2))
    − 2 · 1ᵀKL1 / (N−2)) / (N(N−3)). Nothing of the size N × N is made.
    """
    x, y = (z - z.mean(axis=0, keepdims=True) for z in (x, y))
    lengths = jnp.maximum(_hsic(x, x) * _hsic(y, y), jnp.finfo(x.dtype).tiny)
    return _hsic(x, y) / jnp.sqrt(lengths)


def _hsic(x: jax.Array, y: jax.Array) -> jax.Array:
    n = len(x)
    # Lengths of one, so that sums over the rows stay in range.
    tiny = jnp.finfo(x.dtype).tiny
    x, y = (z / jnp.sqrt(jnp.maximum(jnp.sum(z**2) / n, tiny)) for z in (x, y))
    own_k, own_l = (jnp.sum(z**2, axis=1) for z in (x, y))  # the diagonals of K and L
    # Rows of centred activations sum to 0, so those of K without its diagonal are its negative.
    both = jnp.sum(own_k * own_l)
    trace = jnp.sum((x.T @ y) ** 2) - both
    sums = own_k.sum() * own_l.sum() / ((n - 1) * (n - 2))
    return (trace + sums - 2 * both / (n - 2)) / (n * (n - 3))


@measured.register
def similarity(instrument: Similarity, observed: Observed) -> dict[str, Any]:
    """CKA with the run's end, and between positions with probes carried from one to the other."""
    found: dict[str, Any] = {}
    if observed.end is not None:
        end = observed.looks_of(observed.end)
        for name in ("readout", "neurons"):
            here, there = getattr(observed.looks, name), getattr(end, name)
            if here is not None and there is not None:
                found[f"{name}_to_end"] = cka(here, there)
    if observed.task.group_table and hasattr(observed.model, "readout"):
        found["positions"] = _positions(instrument, observed)
    return found


def _positions(instrument: Similarity, observed: Observed) -> dict[str, Any]:
    """The last layer's output where the operands stand: whether both are told in one way."""
    count = observed.dataset.inputs.shape[1]
    everywhere = dataclasses.replace(observed.dataset, answers=tuple(range(count)))
    layout = models.plain_layout(observed.model, observed.dataset, all_positions=True)
    looks = models.look(observed.model, everywhere, layout, observed.params)
    assert looks.readout is not None  # a transformer shows it
    x = looks.readout.reshape(len(observed.dataset.targets), count, -1)
    table = group_table(observed.task)
    rows = table.structure.rows
    first, second = (x[rows][:, position] for position in table.positions)
    operands = (table.structure.first, table.structure.second)
    values = [jax.nn.one_hot(operand, table.order, dtype=x.dtype) for operand in operands]
    train, test = (weights[rows] for weights in train_and_test(observed))
    fit_first = ridge(first, values[0], train, instrument.ridge)
    fit_second = ridge(second, values[1], train, instrument.ridge)
    answers = [jnp.asarray(operand) for operand in operands]
    return {
        "cka": cka(first, second),
        "first_at_first": accuracy(predicted(first, fit_first), answers[0], test),
        "second_at_second": accuracy(predicted(second, fit_second), answers[1], test),
        "second_by_probe_of_first": accuracy(predicted(second, fit_first), answers[1], test),
    }
