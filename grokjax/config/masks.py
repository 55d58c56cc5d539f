"""Lottery tickets: which weights a run trains."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.donors import Donor
from grokjax.config.fields import require, traced

__all__ = ["Mask"]


@dataclasses.dataclass(frozen=True)
class Mask(Donor):
    """Train only the weights that are large in a donor's snapshot, the others held at 0.

    A lottery ticket (Frankle & Carbin 2019; for grokking Minegishi et al. 2023). Biases and gains
    of norms stay as they are.
    """

    kind: ClassVar[str] = "mask"

    keep: float = traced(0.4, at_start=True)
    """Share of the weights that are kept."""
    rule: Literal["magnitude", "random", "random_by_layer"] = "magnitude"
    """The donor's largest weights; as many at random (control); at random, as many in each array
    as the donor's largest are (control)."""
    by_layer: bool = False
    """Keep the share in every array, instead of in all together."""

    def check(self) -> None:
        super().check()
        require(0 < self.keep <= 1, "keep", self.keep, "a share to keep lies in (0, 1]")
