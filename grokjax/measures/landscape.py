"""The loss around a network: curvature, whether batches commute, the learning coefficient.

Legend: M training rows with padding, K pairs of batches, P parameters.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from grokjax.config import SGD, Commutator, Hessian, LearningCoefficient
from grokjax.measures import (
    commutator,
    curvature,
    density,
    learning_coefficient,
    sharpness,
    vectors,
)
from grokjax.measures.observed import Observed, measured

DENSITY_ORDER = 40
"""Products of each random vector for the spectral density."""
SAMPLES = 4
"""Random starts of the search for the steepest rise of the loss nearby."""


def _key(which: int) -> jax.Array:
    """A key that is the same for every run and step, so that these can be compared."""
    return jax.random.fold_in(jax.random.key(0), which)


@measured.register
def hessian(instrument: Hessian, observed: Observed) -> dict[str, Any]:
    """Extreme eigenvalues, trace, rise of the loss nearby; beside the threshold of stability."""
    params, loss = observed.params, observed.train_loss
    product = vectors.hvp(loss, params)
    start = vectors.normal_like(params, _key(0))
    extremes = curvature.extreme_eigenvalues(product, start, instrument.order, instrument.top)
    trace = curvature.trace(product, params, _key(1), instrument.probes)
    nearby: dict[str, Any] = {"radius": instrument.rise_within, "starts": SAMPLES}
    found: dict[str, Any] = {
        "top": {str(i + 1): extremes.largest[i] for i in range(instrument.top)},
        "top_residual": extremes.largest_residuals[0],
        "lowest": extremes.smallest,
        "trace": trace.mean,
        "trace_error": trace.standard_error,
        "sam": sharpness.sam_sharpness(loss, params, _key(2), **nearby),
        "adaptive": sharpness.adaptive_sharpness(loss, params, _key(3), **nearby),
    }
    threshold = _threshold(observed)
    if threshold is not None and observed.preconditioner is not None:
        scaled = vectors.preconditioned(product, observed.preconditioner)
        largest = curvature.extreme_eigenvalues(scaled, start, instrument.order, 1).largest[0]
        found |= {"preconditioned": largest, "preconditioned_over_threshold": largest / threshold}
    elif threshold is not None and isinstance(observed.optimizer, SGD):
        found["over_threshold"] = extremes.largest[0] / threshold
    if instrument.density:
        found |= _density(instrument, product, params)
    return found


def _threshold(observed: Observed) -> Any:
    """The largest stable eigenvalue, under the optimiser's preconditioner where it has one."""
    optimizer: Any = observed.optimizer
    decay = 0.0 if optimizer.coupled else optimizer.weight_decay
    if isinstance(optimizer, SGD):
        return sharpness.momentum_threshold(
            optimizer.learning_rate, optimizer.momentum, decay, optimizer.nesterov
        )
    if hasattr(optimizer, "b1") and observed.preconditioner is not None:
        return sharpness.average_threshold(optimizer.learning_rate, optimizer.b1, decay)
    return None


def _density(instrument: Hessian, product: Any, params: dict) -> dict[str, Any]:
    """Nodes and weights of the spectral density, and its outliers."""
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    nodes, weights = density.spectral_density(
        product, params, _key(4), instrument.density, DENSITY_ORDER
    )
    outliers = density.outliers(nodes, weights, count)
    return {
        "outliers": outliers.number,
        "bulk_edge": outliers.edge,
        "gap": outliers.gap,
        "above_gap": outliers.above_gap,
        "node": nodes,
        "weight": weights,
    }


@measured.register
def commutator_defect(instrument: Commutator, observed: Observed) -> dict[str, Any]:
    """The commutator defect of random halves of the training rows."""
    train = observed.train
    draws = jax.random.uniform(_key(5), (instrument.pairs, 2, len(train.weights)))
    # Rows of weight zero are in no half.
    chosen = jnp.where(train.weights > 0, draws, jnp.inf)
    half = jnp.sum(train.weights > 0) // 2
    ranks = jnp.argsort(jnp.argsort(chosen, axis=-1), axis=-1)
    batches = (ranks < half).astype(train.weights.dtype) / half
    found = commutator.defect(observed.train_loss, observed.params, batches)
    return {
        "median": found.median,
        "largest": found.values.max(),
        "gradient_norm": found.gradient_norms.mean(),
    }


@measured.register
def local_learning_coefficient(
    instrument: LearningCoefficient, observed: Observed
) -> dict[str, Any]:
    """The estimate, its spread over chains, and whether the chains have settled."""
    found = learning_coefficient.estimate(
        observed.train_loss,
        observed.params,
        _key(6),
        n_beta=instrument.n_beta,
        localization=instrument.localization,
        step_size=instrument.step_size,
        chains=instrument.chains,
        draws=instrument.draws,
        burn_in=instrument.burn_in,
        centred=instrument.drift == "subtracted",
    )
    return {
        "mean": found.mean,
        "spread": found.spread,
        "trend": found.trend,
        "acceptance": found.acceptance,
    }
