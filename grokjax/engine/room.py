"""Whether a machine has the memory that a program needs, by count and before it is compiled."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from grokjax.config import ConfigError
from grokjax.engine import cost, donors
from grokjax.training.spec import Spec

UNSURE = 2
"""A count may be wrong by this factor; what is refused is what is larger all the same."""
GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much a container may take."""


def check(spec: Spec, lanes: int, backend: str, memory: float | None) -> None:
    """Refuse a program that cannot fit.

    Args:
      spec: of the program.
      lanes: on each device; those of a processor share its memory.
      backend: JAX's name of the platform.
      memory: bytes of each device, where an accelerator says so.

    Raises:
      ConfigError: parameters, gradients, optimiser state and activations take more than twice the
        memory that there is.
    """
    there = machine_memory() if backend == "cpu" else memory
    if there is None:
        return
    state = donors.state_shapes(spec)
    fixed = _bytes(state) + _bytes(state.params)
    # An accelerator that runs out of memory is given the rows of an update in smaller pieces.
    moving = cost.lane_bytes(spec)
    pieces = 1 if backend == "cpu" else spec.tile_rows
    each = fixed + moving / pieces
    if lanes * each <= UNSURE * there:
        return
    kind, has = spec.words.model.kind, f"where the memory is {_size(there)}"
    if each <= UNSURE * there:
        raise ConfigError(
            f"lanes={lanes}: each takes about {_size(each)}, {has}, give fewer with --lanes."
        )
    if fixed <= UNSURE * there:
        raise ConfigError(
            f"model={kind!r}: the activations of an update take about {_size(moving)}, {has}, give "
            "a smaller batch_size or network."
        )
    raise ConfigError(
        f"model={kind!r}: parameters, gradients and the optimiser's state take about "
        f"{_size(fixed)}, {has}, give a smaller width or fewer layers."
    )


def machine_memory() -> float | None:
    """Bytes of this machine, or of the container that we are in; None where nothing says so."""
    found: list[float] = []
    try:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        found.append(float(GROUP_LIMIT.read_text()))
    except (OSError, ValueError, AttributeError):  # no such file, "max", no such system
        pass
    return min(found, default=None)


def _bytes(tree: object) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _size(count: float) -> str:
    """Bytes in words: 3 GiB."""
    for unit in ("MiB", "GiB", "TiB", "PiB"):
        count /= 1024 if unit != "MiB" else 2**20
        if count < 1024:
            return f"{count:.3g} {unit}"
    return f"{count:.3g} PiB"
