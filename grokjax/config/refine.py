"""Adaptive refinement: further runs near the boundary of grokking."""

from __future__ import annotations

import dataclasses

from grokjax.config.coercion import require, share
from grokjax.config.fields import Config

__all__ = ["Refine"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refine(Config):
    """After the grid, further runs where the boundary of grokking is least certain.

    The lattice of candidates has the levels of the grid's two axes and midpoints between them;
    each of its cells may have every seed of the grid, and further ones up to `seeds`.
    """

    rounds: int = 4
    """Number of times that the boundary is fitted anew and runs are chosen."""
    runs: int = 100
    """Largest number of runs beyond the grid, in all rounds together."""
    halvings: int = 1
    """How often the distance between neighbouring levels of the grid's axes is halved."""
    seeds: int = 5
    """Seeds that a cell may be run with beside the grid's own: 0 … seeds − 1."""
    band: float | None = None
    """Share of the map below which the 95 % band around the boundary is narrow enough to stop;
    None: go on until all rounds are done."""

    def check(self) -> None:
        for name in ("rounds", "runs", "seeds"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        require(0 <= self.halvings <= 6, "halvings", self.halvings, "give 0 to 6")
        remedy = share(self.band or 0.0, "a share of the map lies strictly between 0 and 1")
        require(self.band is None or 0 < self.band < 1, "band", self.band, remedy)
