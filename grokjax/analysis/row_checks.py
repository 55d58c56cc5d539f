"""What a reader should know of the rows that a sweep was trained and tested on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from grokjax.analysis.cells import finished, untested
from grokjax.config import ConfigError

if TYPE_CHECKING:
    from grokjax.analysis.summary import Summary

NO_TEST_SET = (
    "no run has a test set (train_fraction=1), so that none can grok or fail to; `results.curves` "
    "and the columns t_mem and final_train_loss of `results.runs` say how they train"
)


def none_tested(runs: pd.DataFrame) -> bool:
    """Whether there are runs, and none of them has a test set."""
    return bool(untested(runs).any()) and finished(runs).empty


def check_tested(runs: pd.DataFrame) -> None:
    """Refuse to speak of grokking where no run has a test set."""
    if none_tested(runs):
        raise ConfigError(f"{NO_TEST_SET}.")


def untested_runs(summary: Summary) -> str | None:
    """How many runs have no test set."""
    n = int(untested(summary.results.runs).sum())
    return f"{n} runs have no test set and are left out of all shares and times" if n else None


def of_the_table(summary: Summary) -> str | None:
    """What the sweep has found about its tables: rows that are there twice."""
    return "; ".join(summary.results.manifest.get("warnings", [])) or None
