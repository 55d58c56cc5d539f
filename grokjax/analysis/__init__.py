"""What a sweep's tables say: times, cells, boundaries, laws. No JAX, no files, no figures.

Functions take `runs` first, the runs table with its onset columns, which `onset.table(results)`
makes of `grokjax.load(...)`. Runs that have not grokked are censored, never dropped, and intervals
resample seeds. What is refused because the runs are too few is an `errors.NotEnoughRunsError`.

| module | what it says |
|---|---|
| `onset`, `events` | when a run memorises, groks, collapses; its phase; the stop rule |
| `fits` | how sharp each run's transition is |
| `times`, `survival` | shares and medians over runs that may be censored |
| `cells` | how many runs of a cell grok, and when; how much seeds and splits vary |
| `boundary`, `isotonic`, `zone` | where half of the runs grok, two ways; the Goldilocks zone |
| `laws`, `law_checks` | t_grok as a law of a hyperparameter, and whether to believe it |
| `compare` | two sets of runs |
| `refine` | which runs to train next |
| `progress`, `trajectory`, `spikes` | what measures say of a run: phases, path, instabilities |
| `row_groups` | when each group of rows groks, and which is the first |
| `forecast`, `understood` | what foretells grokking, and tells understood from memorised |
| `summary` | all of it over two axes, each computed once |
"""

import importlib
from typing import Any

__all__ = [
    "boundary",
    "cells",
    "compare",
    "errors",
    "events",
    "fits",
    "forecast",
    "isotonic",
    "law_checks",
    "laws",
    "onset",
    "progress",
    "refine",
    "row_groups",
    "spikes",
    "summary",
    "survival",
    "trajectory",
    "understood",
    "zone",
]


def __getattr__(name: str) -> Any:
    """Import a module when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
