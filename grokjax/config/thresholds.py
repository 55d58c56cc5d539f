"""Thresholds: what counts as memorised, as grokked and so on."""

from __future__ import annotations

import dataclasses
from typing import Literal

from grokjax.config.coercion import require, share
from grokjax.config.fields import Config

__all__ = ["Thresholds"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds(Config):
    """What counts as memorised, as grokked and so on; stored with every result.

    Accuracies are shares between 0 and 1; steps are optimiser updates.
    """

    memorised: float = 0.99
    """Train accuracy from which a run counts as having memorised; it is first reached at t_mem."""
    grokked: float = 0.90
    """Test accuracy from which a run counts as having generalised; first reached at t_grok."""
    also: tuple[float, ...] = (0.5, 0.95, 0.99)
    """Further test accuracies for which the step of their first crossing is reported."""
    settle: int = 10
    """Number of log points in a row that an accuracy must stay above a threshold for the crossing
    to count as sustained."""
    gap_rule: Literal["steps", "ratio"] = "steps"
    """How grokking (late generalisation) is told from comprehension (prompt generalisation): by
    the difference t_grok - t_mem in steps, or by the ratio t_grok / t_mem."""
    gap_steps: int = 1000
    """With gap_rule='steps', the smallest t_grok - t_mem, in steps, that counts as grokking (Liu
    et al. 2022, who chose 1000 for their learning rate)."""
    gap_ratio: float = 5.0
    """With gap_rule='ratio', the smallest t_grok / t_mem that counts as grokking."""
    above_chance: float = 0.1
    """How far test accuracy must lie above chance level for a run to count as better than
    chance."""
    smooth_steps: int = 100
    """Width, in steps, of the moving averages that are used to find the steepest rise of test
    accuracy and double descent."""
    collapse_drop: float = 0.2
    """How far below `grokked` test accuracy must fall after grokking to count as a collapse."""
    plateau_share: float = 0.2
    """Last share of a run's log points in which test accuracy must be level for the run to count
    as partial generalisation."""
    plateau_spread: float = 0.1
    """Largest spread of test accuracy over the log points of such a plateau."""
    descent_ratio: float = 1.2
    """Factor by which test loss must fall, rise and fall again to count as double descent."""

    def check(self) -> None:
        for name in ("memorised", "grokked", "also"):
            for value in self.also if name == "also" else (getattr(self, name),):
                remedy = share(value, "an accuracy threshold lies in (0, 1]")
                require(0 < value <= 1, name, value, remedy)
        require(self.settle >= 1, "settle", self.settle, "give 1 log point or more")
        require(self.gap_steps >= 0, "gap_steps", self.gap_steps, "give 0 or more")
        require(self.smooth_steps >= 1, "smooth_steps", self.smooth_steps, "give 1 step or more")
        for name in ("gap_ratio", "descent_ratio"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        for name in ("above_chance", "collapse_drop", "plateau_share", "plateau_spread"):
            value = getattr(self, name)
            require(
                0 < value < 1, name, value, share(value, "give a share strictly between 0 and 1")
            )
