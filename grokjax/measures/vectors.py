"""Parameters as vectors: inner products, random directions, and products with the Hessian.

A vector is a pytree of arrays in the shapes of the parameters. A loss is a function from
parameters to a number, and its Hessian H is never written down: a product H v costs about two
gradients. All of this works under `jax.jit` and `jax.vmap`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

Tree: TypeAlias = Any
Loss: TypeAlias = Callable[[Tree], jax.Array]
"""Parameters → the loss, a number."""
Product: TypeAlias = Callable[[Tree], Tree]
"""A vector → a symmetric matrix times it."""


def dot(a: Tree, b: Tree) -> jax.Array:
    """The inner product ⟨a, b⟩, in full precision on devices that would round its factors."""
    products = jax.tree.map(lambda x, y: jnp.vdot(x, y, precision=jax.lax.Precision.HIGHEST), a, b)
    return functools.reduce(jnp.add, jax.tree.leaves(products))


def norm(a: Tree) -> jax.Array:
    """The Euclidean norm ‖a‖."""
    return jnp.sqrt(dot(a, a))


def axpy(scale: jax.Array | float, x: Tree, y: Tree) -> Tree:
    """The sum scale · x + y.

    Args:
      scale: a number.
      x: the vector that it multiplies.
      y: the vector that is added.
    """
    return jax.tree.map(lambda a, b: scale * a + b, x, y)


def normal_like(template: Tree, key: jax.Array) -> Tree:
    """Independent standard normal numbers in the shapes and dtypes of a tree."""
    return _drawn(jax.random.normal, template, key)


def rademacher_like(template: Tree, key: jax.Array) -> Tree:
    """Independent signs ±1 in the shapes and dtypes of a tree."""
    return _drawn(jax.random.rademacher, template, key)


def _drawn(draw: Callable, template: Tree, key: jax.Array) -> Tree:
    leaves, structure = jax.tree.flatten(template)
    keys = jax.random.split(key, len(leaves))
    draws = [draw(key, x.shape, x.dtype) for key, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, draws)


def hvp(loss: Loss, params: Tree) -> Product:
    """The function v ↦ H v, H being the Hessian of the loss at the parameters."""
    return gradient_and_hvp(loss, params)[1]


def gradient_and_hvp(loss: Loss, params: Tree) -> tuple[Tree, Product]:
    """The gradient of the loss, and the function v ↦ H v with its Hessian H.

    H v is the derivative of the gradient along v (Pearlmutter 1994). The gradient is linearised
    once, so that many products share its forward and backward pass. (`jax.jvp` instead would fail
    under `jax.vmap` where a loss has a gradient that is written out.)
    """
    return jax.linearize(jax.grad(loss), params)


def preconditioned(product: Product, preconditioner: Tree) -> Product:
    """The function v ↦ P^(−1/2) A P^(−1/2) v of v ↦ A v and the positive diagonal P.

    Its matrix is symmetric and has the eigenvalues of P⁻¹ A.
    """
    roots = jax.tree.map(jax.lax.rsqrt, preconditioner)

    def between_roots(v: Tree) -> Tree:
        image = product(jax.tree.map(jnp.multiply, roots, v))
        return jax.tree.map(jnp.multiply, roots, image)

    return between_roots
