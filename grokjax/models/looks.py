"""Looking into a network while it computes, and replacing what a part of it gives.

A module calls `shown` on an activation that has a name. That is the activation itself, unless the
network is applied by `look`, which collects it, or with `ablations`, which replace it.

Legend: N rows, C classes, D what logits are read from, F hidden units, H heads, T positions.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import flax.linen as nn
import jax

LOOKS, ABLATIONS = "looks", "ablations"
"""Names of the collections of activations that are shown, and of those that are replaced."""


@dataclasses.dataclass(frozen=True)
class Looks:
    """Outputs of every row and the activations that they are made of."""

    outputs: jax.Array  # [N, C], or [N, A, C]
    readout: jax.Array | None  # [N, D], what the last linear map takes
    neurons: jax.Array | None  # [N, F], of the last layer with hidden units
    pattern: jax.Array | None  # [N, H, T], attention of the last layer at the position read
    tree: dict
    """Name of a module → name of an activation → its values, one for each call of the module."""


def looked_at(module: nn.Module) -> bool:
    """Whether anybody looks at, or replaces, the activations of a module."""
    return not module.is_initializing() and (
        module.is_mutable_collection(LOOKS) or bool(module.variables.get(ABLATIONS))
    )


def shown(module: nn.Module, name: str, x: jax.Array) -> jax.Array:
    """An activation that may be looked at, or be replaced by `keep · x + fill`."""
    if not looked_at(module):
        return x
    module.sow(LOOKS, name, x)
    if module.has_variable(ABLATIONS, name):
        replaced: Any = module.get_variable(ABLATIONS, name)
        x = replaced["keep"] * x + replaced["fill"]
    return x


def _depth(name: str) -> int:
    """The number of the layer that a name ends with, -1 without one."""
    number = name.rpartition("_")[2]
    return int(number) if number.isdigit() else -1


def looks_of(outputs: jax.Array, tree: dict) -> Looks:
    """What was shown while outputs were computed, the activations of the last layer by name."""
    n, by_depth = len(outputs), sorted(tree, key=_depth)

    def last(name: str) -> jax.Array | None:
        inside = [tree[key][name] for key in by_depth if name in tree[key]]
        beside = [tree[key] for key in by_depth if key.rpartition("_")[0] == name or key == name]
        found = [calls[-1] for calls in (*inside, *beside) if len(calls[-1]) == n]
        return found[-1] if found else None

    readout, neurons, pattern = (last(name) for name in ("readout", "neurons", "pattern"))
    return Looks(
        outputs,
        None if readout is None else readout.reshape(n, -1),
        None if neurons is None else neurons.reshape(n, -1),
        None if pattern is None else pattern[:, 0],
        tree,
    )
