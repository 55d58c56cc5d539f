"""How sharp a minimum is for the optimiser that is in it, and within a distance of it.

An optimiser is unstable along a direction whose curvature is above a threshold. What is worth
recording is the ratio of λ₁ to it: at the edge of stability it is one.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from grokjax.measures.vectors import Loss, Tree, axpy, dot, normal_like

Number = jax.Array | float


def momentum_threshold(
    rate: Number, momentum: Number = 0.0, decay: Number = 0.0, nesterov: bool = False
) -> Number:
    """Largest stable λ₁ of H under v ← μ v + g, w ← w − η v: (2 + 2μ) / η, which is 2 / η without.

    With Nesterov's momentum it is (2 + 2μ) / ((1 + 2μ) η). Decoupled decay wd, which also takes
    η wd w off each weight, multiplies by 1 − η wd / 2; coupled decay adds wd to λ₁ instead.

    On ½ h w² an update is a matrix M on (v, w). It becomes unstable where an eigenvalue passes −1,
    that is where det(M + 1) = (1 + μ)(2 − η wd) − η h is zero, h times 1 + 2μ with Nesterov's
    (Cohen et al. 2021, arXiv:2103.00065).

    Args:
      rate: learning rate η.
      momentum: μ; 0 is gradient descent.
      decay: strength wd of the decoupled weight decay.
      nesterov: whether the weight moves along g + μ v instead of v.
    """
    ahead = 1 + 2 * momentum if nesterov else 1.0
    return (2 + 2 * momentum) / (ahead * rate) * (1 - rate * decay / 2)


def average_threshold(rate: Number, b1: Number, decay: Number = 0.0) -> Number:
    """Largest stable λ₁ of P⁻¹ H under m ← β₁ m + (1 − β₁) g, w ← w − η P⁻¹ m.

    It is (2 + 2β₁) / ((1 − β₁) η), or 38 / η at β₁ = 0.9, and with decoupled decay wd that times
    1 − η wd / 2. For Adam, P is `adam_preconditioner`, which changes so slowly that it may be taken
    as constant (Cohen et al. 2022, arXiv:2207.14484).

    The condition is that of `momentum_threshold`: m is v times 1 − β₁.

    Args:
      rate: learning rate η.
      b1: share of the old average in the new one.
      decay: strength wd of the decoupled weight decay.
    """
    return momentum_threshold(rate, b1, decay) / (1 - b1)


def adam_preconditioner(
    second_moments: Tree, updates: Number, b1: Number, b2: Number, epsilon: Number
) -> Tree:
    """The diagonal P with which an update of Adam is −η P⁻¹ m.

    Adam divides m / (1 − β₁ᵗ) by √(v / (1 − β₂ᵗ)) + ε, so P = (1 − β₁ᵗ)(√(v / (1 − β₂ᵗ)) + ε).
    Before the first update it is zero, and there is no preconditioned sharpness.

    Args:
      second_moments: v, the running mean of squared gradients, a tree.
      updates: number t of updates that v has seen.
      b1: decay β₁ of the running mean of gradients.
      b2: decay β₂ of the running mean of squared gradients.
      epsilon: ε.
    """
    return jax.tree.map(
        lambda v: (1 - b1**updates) * (jnp.sqrt(v / (1 - b2**updates)) + epsilon), second_moments
    )


def sam_sharpness(
    loss: Loss, params: Tree, key: jax.Array, *, radius: Number, starts: int = 1, steps: int = 1
) -> jax.Array:
    """How much the loss rises at most within a distance: max of L(w + δ) − L(w) over ‖δ‖ ≤ ρ.

    From a random δ on the sphere, δ becomes the point of the ball that the gradient at w + δ points
    to, ρ g / ‖g‖ (Foret et al. 2021), `steps` times; the worst of all starts counts. It is a lower
    bound that depends on the number of starts, so keep that equal among networks.

    Args:
      loss: the training loss, a function of parameters.
      params: the network's parameters w.
      key: key of the random starts.
      radius: ρ.
      starts: number of random starts.
      steps: how often δ follows the gradient, one gradient each.
    """
    ones = jax.tree.map(jnp.ones_like, params)
    return _worst(loss, params, ones, key, radius, starts, steps)


def adaptive_sharpness(
    loss: Loss, params: Tree, key: jax.Array, *, radius: Number, starts: int = 1, steps: int = 1
) -> jax.Array:
    """How much the loss rises at most if weights change relative to their size: ‖δ / |w|‖ ≤ ρ.

    As `sam_sharpness`, with δ = ρ w² g / ‖|w| g‖ (Kwon et al. 2021). It does not change if weights
    of one layer are scaled up and those of the next down.

    Args:
      loss: the training loss, a function of parameters.
      params: the network's parameters w.
      key: key of the random starts.
      radius: ρ.
      starts: number of random starts.
      steps: how often δ follows the gradient, one gradient each.
    """
    sizes = jax.tree.map(jnp.abs, params)
    return _worst(loss, params, sizes, key, radius, starts, steps)


def _worst(
    loss: Loss, params: Tree, sizes: Tree, key: jax.Array, radius: Number, starts: int, steps: int
) -> jax.Array:
    """The largest rise of the loss over δ = sizes · u with ‖u‖ ≤ ρ."""

    def moved(direction: Tree) -> Tree:
        """The parameters at distance ρ along a direction of u; along none, where they are."""
        square = dot(direction, direction)
        scale = radius * jnp.where(square > 0, jax.lax.rsqrt(jnp.where(square > 0, square, 1)), 0)
        return axpy(scale, jax.tree.map(jnp.multiply, sizes, direction), params)

    def from_start(key: jax.Array) -> jax.Array:
        point = moved(normal_like(params, key))
        for _ in range(steps):
            point = moved(jax.tree.map(jnp.multiply, sizes, jax.grad(loss)(point)))
        return loss(point)

    return jax.lax.map(from_start, jax.random.split(key, starts)).max() - loss(params)
