"""The local learning coefficient: in how many directions, by their effect, a network is settled.

λ̂ = nβ (E[L(w)] − L(w*)), where w is drawn near the network's parameters w* with density
∝ exp(−nβ L(w) − γ ‖w − w*‖² / 2) (Lau et al. 2023, arXiv:2308.12108). A minimum that is quadratic
in d directions has λ = d / 2, a degenerate one less.

Draws are made by Langevin steps with the gradient of all rows (SGLD without its batches), so
estimates of different samplers differ, by orders of magnitude: compare within one only.

Legend: C chains, D draws, P parameters.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from grokjax.measures.vectors import Loss, Tree, axpy, dot, normal_like

RUNAWAY = 100.0
"""A chain has diverged where the square of its drift, ε/2 times the gradient, is ever this many
times that of its noise, εP. Outputs that are normalised stay finite however far weights go."""
UNSETTLED = 1.0
"""A chain has diverged where that ratio is above this on average: in a settled one it is the mean
over directions of a / (1 − a), where a = ε (nβ h + γ) / 4 is half of what is stable at most."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Estimate:
    """An estimate of the local learning coefficient, and whether to believe it."""

    mean: jax.Array
    """λ̂, over all chains; NaN where one has diverged."""
    spread: jax.Array
    """Standard deviation of the chains' estimates; NaN where there is one chain only."""
    chains: jax.Array  # [C], the estimate of each, NaN where it has diverged
    trend: jax.Array
    """How much λ̂ rises from first to last draw, by a straight line: far from zero, chains have not
    settled, and a longer burn-in is needed."""
    acceptance: jax.Array
    """Mean probability with which a Metropolis test would accept a step. It is not applied; near
    one, the size of the steps adds no bias. It falls with P at equal quality."""
    drift: jax.Array
    """Mean square of a step's drift over that of its noise: ≪ 1 where steps are small enough, and a
    chain with more than one on average has diverged."""


class _Chain(NamedTuple):
    """A chain between two steps."""

    offset: Tree
    """w − w*."""
    excess: jax.Array
    """L(w) − L(w*)."""
    gradient: Tree
    """Of the potential nβ L(w) + γ ‖w − w*‖² / 2."""


def estimate(
    loss: Loss,
    params: Tree,
    key: jax.Array,
    *,
    n_beta: jax.Array | float,
    localization: jax.Array | float,
    step_size: jax.Array | float,
    chains: int,
    draws: int,
    burn_in: int,
    centred: bool = False,
) -> Estimate:
    """The local learning coefficient at the parameters, by Langevin sampling.

    A step is w ← w − ε/2 (nβ ∇L(w) + γ (w − w*)) + √ε N(0, 1). Along a direction of curvature h it
    overestimates by 1 / (1 − ε (nβ h + γ) / 4), and diverges where ε (nβ h + γ) ≥ 4. A valley that
    is narrower than the noise of one step, √ε, is left without being seen.

    With weight decay w* is no minimum of L, and draws slide down the slope, to negative λ̂. Either
    pass the loss with its decay, or set `centred`.

    Args:
      loss: the mean training loss, a function of parameters.
      params: the network's parameters w*.
      key: key of the random numbers.
      n_beta: nβ, number of rows times inverse temperature.
      localization: γ, how strongly draws are pulled to w*.
      step_size: ε.
      chains: number of independent chains, side by side: memory is theirs together.
      draws: number of steps of each that count, a gradient each.
      burn_in: number of steps before them that do not.
      centred: whether to take L(w) − ⟨∇L(w*), w − w*⟩ for the loss, of which w* is stationary.
    """
    loss_here, slope = jax.value_and_grad(loss)(params)
    size = sum(x.size for x in jax.tree.leaves(params))

    def excess(offset: Tree) -> jax.Array:
        rise = loss(axpy(1, params, offset)) - loss_here
        return rise - dot(slope, offset) if centred else rise

    def at(offset: Tree) -> _Chain:
        value, gradient = jax.value_and_grad(excess)(offset)
        pulled = jax.tree.map(lambda g, d: n_beta * g + localization * d, gradient, offset)
        return _Chain(offset, value, pulled)

    def step(chain: _Chain, key: jax.Array) -> tuple[_Chain, tuple]:
        noise = normal_like(params, key)
        moved = jax.tree.map(
            lambda d, g, z: d - step_size / 2 * g + step_size**0.5 * z,
            chain.offset,
            chain.gradient,
            noise,
        )
        after = at(moved)
        acceptance = _acceptance(chain, after, n_beta, localization, step_size)
        drift = step_size / 4 * dot(after.gradient, after.gradient) / size
        return after, (after.excess, acceptance, drift)

    def run(key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        start = at(jax.tree.map(jnp.zeros_like, params))
        keys = jax.random.split(key, burn_in + draws)
        _, (excesses, acceptances, drifts) = jax.lax.scan(step, start, keys)
        drift = drifts[burn_in:].mean()
        sound = jnp.isfinite(excesses).all() & (drifts.max() < RUNAWAY) & (drift < UNSETTLED)
        trace = n_beta * jnp.where(sound, excesses[burn_in:], jnp.nan)
        return trace, acceptances[burn_in:].mean(), drift

    return _summary(*jax.vmap(run)(jax.random.split(key, chains)))


def _acceptance(
    before: _Chain,
    after: _Chain,
    n_beta: jax.Array | float,
    localization: jax.Array | float,
    step_size: jax.Array | float,
) -> jax.Array:
    """The probability that a Metropolis test accepts a Langevin step (Roberts & Tweedie 1996).

    Terms of the two proposals are combined before they are summed: alone, each is as large as P.
    """
    moved = axpy(-1, before.offset, after.offset)
    both_offsets = axpy(1, before.offset, after.offset)
    potential = n_beta * (after.excess - before.excess)
    potential = potential + localization / 2 * dot(moved, both_offsets)
    both_gradients = axpy(1, before.gradient, after.gradient)
    change = axpy(-1, before.gradient, after.gradient)
    proposals = dot(moved, both_gradients) / 2 - step_size / 8 * dot(change, both_gradients)
    return jnp.exp(jnp.minimum(0, proposals - potential))


def _summary(traces: jax.Array, acceptances: jax.Array, drifts: jax.Array) -> Estimate:
    """The estimate from nβ (L − L(w*)) of every draw `[C, D]`, and means over each chain `[C]`."""
    chains, draws = traces.shape
    each = traces.mean(axis=1)
    spread = each.std(ddof=1) if chains > 1 else jnp.full_like(each[0], jnp.nan)
    time = jnp.linspace(-0.5, 0.5, draws, dtype=traces.dtype)
    trend = jnp.sum(time * traces.mean(axis=0)) / jnp.sum(jnp.square(time))
    return Estimate(each.mean(), spread, each, trend, acceptances.mean(), drifts.mean())
