"""Whether it matters in which order two batches are trained on.

Legend: K pairs of batches, N rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from grokjax.measures.vectors import Loss, Tree, axpy, gradient_and_hvp, norm


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Defect:
    """The commutator defect, and what it must be read beside."""

    median: jax.Array
    """Over the pairs."""
    values: jax.Array  # [K], of each pair
    gradient_norms: jax.Array  # [K, 2], of both batches; where small, the defect says little


def commutator(loss_a: Loss, loss_b: Loss, params: Tree) -> tuple[jax.Array, jax.Array]:
    """The defect of one pair of losses, and the norms `[2]` of their gradients.

    D = ‖H_B g_A − H_A g_B‖ / (‖g_A‖ ‖g_B‖). It is the limit for small steps η of
    ‖θ_AB − θ_BA‖ / (‖η g_A‖ ‖η g_B‖), where θ_AB is the network after a step on A and then one on B
    (arXiv:2602.16746). That difference itself is rounding in float32: losses that commute read 75
    where the gradients are 0.01 long. A gradient that is zero makes D NaN.

    Args:
      loss_a: the loss on batch A, a function of parameters.
      loss_b: the loss on batch B.
      params: the network's parameters.
    """
    gradient_a, times_h_a = gradient_and_hvp(loss_a, params)
    gradient_b, times_h_b = gradient_and_hvp(loss_b, params)
    apart = axpy(-1, times_h_a(gradient_b), times_h_b(gradient_a))
    norms = jnp.stack([norm(gradient_a), norm(gradient_b)])
    return norm(apart) / norms[0] / norms[1], norms


def defect(
    loss_of_rows: Callable[[Tree, jax.Array], jax.Array], params: Tree, batches: jax.Array
) -> Defect:
    """The median of the commutator defect over pairs of batches.

    Args:
      loss_of_rows: parameters and the weight of each row in the loss `[N]` → the loss.
      params: the network's parameters.
      batches: the weights of the rows in both batches of every pair, `[K, 2, N]`.
    """

    def of_pair(pair: jax.Array) -> tuple[jax.Array, jax.Array]:
        first, second = pair
        return commutator(
            lambda p: loss_of_rows(p, first), lambda p: loss_of_rows(p, second), params
        )

    values, norms = jax.lax.map(of_pair, batches)
    return Defect(jnp.median(values), values, norms)
