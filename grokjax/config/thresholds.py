"""What counts as memorised, grokked and so on."""

from __future__ import annotations

import dataclasses
from typing import Literal

from grokjax.config.fields import Config, require

__all__ = ["Thresholds"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds(Config):
    """What counts as memorised, grokked and so on; stored with every result.

    Accuracies are fractions of 1, `settle` counts log points, gaps are in steps.
    """

    memorised: float = 0.99
    """Train accuracy at t_mem."""
    grokked: float = 0.90
    """Test accuracy at t_grok."""
    also: tuple[float, ...] = (0.5, 0.95, 0.99)
    """Further test accuracies whose crossing times are reported."""
    settle: int = 10
    """Log points that a sustained crossing lasts, at least."""
    gap_rule: Literal["steps", "ratio"] = "steps"
    """What tells grokking from comprehension: the gap in steps or t_grok / t_mem."""
    gap_steps: int = 1000
    """Liu et al. 2022, for their learning rate."""
    gap_ratio: float = 5.0
    above_chance: float = 0.1
    """Test accuracy further than this above chance is more than chance."""
    smooth_steps: int = 100
    """Window of the moving averages behind the argmax detector and double descent."""
    collapse_drop: float = 0.2
    """A collapse is a fall of test accuracy to so much below `grokked`."""
    plateau_share: float = 0.2
    """Share of the log points, at the end of a run, over which it may be called partial."""
    plateau_spread: float = 0.1
    """Variation of test accuracy that a plateau may have."""
    descent_ratio: float = 1.2
    """Factor by which test loss falls, rises and falls in a double descent."""

    def check(self) -> None:
        for name in ("memorised", "grokked"):
            value = getattr(self, name)
            require(0 < value <= 1, name, value, "an accuracy threshold lies in (0, 1]")
        for value in self.also:
            require(0 < value <= 1, "also", value, "an accuracy threshold lies in (0, 1]")
        require(self.settle >= 1, "settle", self.settle, "give 1 log point or more")
        require(self.gap_steps >= 0, "gap_steps", self.gap_steps, "give 0 or more")
        require(self.smooth_steps >= 1, "smooth_steps", self.smooth_steps, "give 1 step or more")
        for name in ("gap_ratio", "descent_ratio"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        for name in ("above_chance", "collapse_drop", "plateau_share", "plateau_spread"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "give a share strictly between 0 and 1")
