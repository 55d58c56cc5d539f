"""The configuration of lottery tickets: which weights a run trains."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require, share
from grokjax.config.donors import Donor
from grokjax.config.fields import traced

__all__ = ["Mask"]


@dataclasses.dataclass(frozen=True)
class Mask(Donor):
    """Train only the weights that are large in a donor's snapshot, the others held at 0.

    A lottery ticket (Frankle & Carbin 2019; for grokking Minegishi et al. 2023). Biases and gains
    of norms stay as they are.
    """

    kind: ClassVar[str] = "mask"

    keep: float = traced(0.4, at_start=True)
    """Share of the weights that are trained."""
    rule: Literal["magnitude", "random", "random_by_layer"] = "magnitude"
    """Which weights are trained. magnitude: the donor's largest; random: as many at random, a
    control; random_by_layer: random ones, but in each array as many as the donor's largest are,
    another control."""
    by_layer: bool = False
    """Whether every array keeps the share `keep` of its weights, instead of all arrays together."""

    def check(self) -> None:
        super().check()
        require(0 < self.keep <= 1, "keep", self.keep, share(self.keep, "give a share in (0, 1]"))
