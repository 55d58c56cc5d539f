"""What a claim is, and what a decision about it says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from grokjax.config import ConfigError, Experiment

if TYPE_CHECKING:
    import pandas as pd

    from grokjax.atlas.effects import Effect
    from grokjax.results.load import Results

CONFIRMED, NOT_DECIDED, CONTRADICTED = "confirmed", "not decided", "contradicted"
HERE_ONLY = "confirmed here only under"
"""A verdict that goes on with a condition."""
VERDICTS = (CONFIRMED, HERE_ONLY, NOT_DECIDED, CONTRADICTED)
TEXTS = ("topic", "sentence", "source", "setting", "confirms", "refutes", "unit")
"""Fields of a claim that are prose, none of which may be empty."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What the results of a claim's experiments say about it."""

    verdict: str
    """One of `VERDICTS`."""
    effect: Effect
    """The size of the effect that the verdict is about, with its 95 % interval over seeds."""
    because: str
    """One sentence with the numbers that decide it."""
    under: str = ""
    """The condition, where the verdict is `HERE_ONLY`."""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ConfigError(f"verdict={self.verdict!r}: choose from {', '.join(VERDICTS)}.")
        if bool(self.under) != (self.verdict == HERE_ONLY):
            raise ConfigError(
                f"under={self.under!r}: a condition belongs to {HERE_ONLY!r} and to no other "
                "verdict, give both or none."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A published claim, the experiments that can decide it here, and how they do.

    All of it is written before the runs. A verdict keeps the hash of the file, so that a definition
    that was changed afterwards shows.
    """

    topic: str
    """What it is about, in a few words; claims on one topic stand together."""
    sentence: str
    """The claim, as one sentence that can be wrong."""
    source: str
    """Who says so and where: paper, year, figure or section, arXiv number."""
    setting: str
    """The setting here, the smallest in which the claim can be decided, and how it differs from the
    source's; what of it was tried before, with other seeds."""
    confirms: str
    """What confirms it, with every threshold."""
    refutes: str
    """What contradicts it; anything between the two is not decided."""
    unit: str
    """What the effect is a number of."""
    experiments: Mapping[str, Experiment]
    """Name → experiment, in the order in which they are trained: donors first."""
    decide: Callable[[pd.DataFrame], Decision]
    """From the claim's table to the decision. It sees the table as it was stored, nothing else."""
    cells: tuple[str, ...] = ()
    """Columns of the table that make a cell together, beside the name of the experiment."""
    shown: str = "t_grok"
    """Column of the table that the figure shows by cell; a time is censored where it is missing."""
    columns: tuple[str, ...] = ()
    """Further columns of the runs that the decision needs."""
    measured: Callable[[str, Results], pd.DataFrame] | None = None
    """From an experiment's name and its results to columns that are read off curves or measures, a
    row a `run_id`; None: the table of runs says enough."""
    without: tuple[str, ...] = ()
    """Experiments that only give weights to others: their runs are no rows of the table."""

    def __post_init__(self) -> None:
        for name in TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ConfigError(f"{name}={value!r}: a claim says it in words, write it.")
        if not self.experiments:
            raise ConfigError("experiments={}: nothing would be trained, name one or more.")
        for name, experiment in self.experiments.items():
            if not isinstance(experiment, Experiment):
                raise ConfigError(f"experiments.{name}={experiment!r}: give an Experiment.")
        if unknown := [name for name in self.without if name not in self.experiments]:
            raise ConfigError(f"without={unknown[0]!r}: there is no such experiment, drop it.")

    def told(self) -> dict[str, Any]:
        """Its prose, for the record."""
        return {name: getattr(self, name) for name in TEXTS}
