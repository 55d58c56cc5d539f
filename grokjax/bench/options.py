"""What the command line of the benchmark takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

Precision = Literal["highest", "high", "default"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Time training steps of the standard cases, of FILE's, or of a ladder of sizes."""

    cases: tuple[str, ...] = ()
    """Names of standard cases (1L, 2L-causal, 2L-bidirectional, narrow, mlp, mlp-quadratic), all
    when left out, or experiment files, of which the base run is timed."""
    lanes: int | None = None
    """Runs at once; the planner chooses when left out."""
    precision: Precision = "highest"
    """Precision of matrix products, as JAX names it."""
    rounds: int = 5
    """Turns that everyone takes; figures are medians over them."""
    scaling: bool = False
    """Time the ladders of p, width, layers and lanes instead."""
    peers: bool = False
    """Time PyTorch and plain JAX on the same steps; needs the extra `peers`."""
    target: str | None = None
    """Time nothing, but compile for a device that is not there and say what a step must cost on it:
    h100, h200, a100, v5e, v5p or v6e; needs the extra `targets`."""
    json: bool = False
    """Print the record as JSON."""
    out: Path | None = None
    """Also write the record into this folder, under a new name."""
