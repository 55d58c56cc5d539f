"""How a sweep on workers goes, summed over what they say of themselves."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from grokjax.config import Thresholds
from grokjax.engine.plan import Run
from grokjax.engine.progress import Progress


class Counts(Progress):
    """Counters of the runs that are joined, and beside them those of shards at work.

    The rate is what was done since the start by its time, with all that workers wait for, and so
    is the time to go.
    """

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._at_work: dict[str, dict[str, Any]] = {}
        self._first: tuple[float, int] | None = None
        self._at_start = 0

    def begin(self, runs: list[Run], ended: pd.DataFrame) -> None:
        """Begin: the runs of the sweep, and those of them that have ended."""
        self.start(runs, ended, {})
        self._at_start = self.run_steps
        self.activity = "training"

    def joined(self, runs: list[Run], ended: pd.DataFrame, shards: Collection[str]) -> None:
        """Take in what shards have left.

        Args:
          runs: that they had.
          ended: `run_id`, `status`, `t_mem`, `t_grok` and `last_step` of these.
          shards: by name.
        """
        for shard in shards:
            self._at_work.pop(shard, None)
        failed = set(ended["run_id"][ended["status"] == "failed"])
        steps = dict(zip(ended["run_id"], ended["last_step"], strict=True))
        for name, column in (("memorised", "t_mem"), ("grokked", "t_grok")):
            self._seen[name] |= set(ended["run_id"][ended[column].notna()])
        self._steps |= {run_id: int(step) for run_id, step in steps.items() if run_id not in failed}
        self.end([run for run in runs if run.run_id not in failed], failed=False)
        self.end([run for run in runs if run.run_id in failed], failed=True)

    def heard(self, said: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what attempts say: shard → counters of the furthest."""
        self._at_work = {shard: dict(told) for shard, told in said.items()}
        if self._first is None and said:
            self._first = time.monotonic(), self.run_steps

    @property
    def share(self) -> float:
        """Of their budgets that runs have used which have ended."""
        return self._used / self._budgeted if self._budgeted else 1.0

    def _sum(self, name: str) -> int:
        return sum(int(told.get(name) or 0) for told in self._at_work.values())

    @property
    def run_steps(self) -> int:
        return super().run_steps + self._sum("run_steps")

    @property
    def memorised(self) -> int:
        return super().memorised + self._sum("memorised")

    @property
    def grokked(self) -> int:
        return super().grokked + self._sum("grokked")

    @property
    def rate(self) -> float | None:
        if self._first is None:
            return None
        since, steps = time.monotonic() - self._first[0], self.run_steps - self._first[1]
        return steps / since if steps > 0 and since > 0 else None

    @property
    def work(self) -> dict[str, float]:
        """What workers did since this start, as far as it is joined, and the seconds since then."""
        steps = self.run_steps - self._at_start
        return {"run_steps_needed": steps, "seconds": round(self.elapsed, 3)}
