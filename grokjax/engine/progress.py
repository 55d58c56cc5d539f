"""What a sweep tells its display; no printing here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import pandas as pd

from grokjax.config import Thresholds
from grokjax.display import describe
from grokjax.engine.lanes import SegmentRows
from grokjax.engine.plan import Run
from grokjax.training import orders


class Progress:
    """Counters of a running sweep. Runs that ended in an earlier start count as finished."""

    def __init__(self, thresholds: Thresholds, activity: str = "starting") -> None:
        self._levels = {
            "memorised": ("train_accuracy", thresholds.memorised),
            "grokked": ("test_accuracy", thresholds.grokked),
        }
        self._seen: dict[str, set[str]] = {name: set() for name in self._levels}
        self._steps: dict[str, int] = {}
        self._began = time.monotonic()
        self._trained_steps, self._trained_seconds = 0, 0.0
        self._used, self._budgeted = 0, 0
        self.executed_run_steps, self.idle_seconds = 0, 0.0
        self.activity = activity
        self.runs = self.finished = self.failed = 0
        self.tested = True
        self.total_run_steps = 0

    def start(self, runs: list[Run], ended: pd.DataFrame, running: Mapping[str, int]) -> None:
        """Begin.

        Args:
          runs: of the sweep.
          ended: `run_id`, `status`, `t_mem` and `t_grok` of those that have ended.
          running: run id → step, of those that an earlier start has begun.
        """
        known = {run.run_id: run.config.steps for run in runs}
        self.tested = any(orders.sizes(run.config)[1] for run in runs) or not runs
        ended = ended[ended["run_id"].isin(list(known))]
        self.runs, self.total_run_steps = len(known), sum(known.values())
        self.finished, self.failed = len(ended), int((ended["status"] == "failed").sum())
        self._steps = {run_id: known[run_id] for run_id in ended["run_id"]}
        self._steps |= {run_id: step for run_id, step in running.items() if run_id in known}
        for name, column in (("memorised", "t_mem"), ("grokked", "t_grok")):
            self._seen[name] = set(ended["run_id"][ended[column].notna()])

    def observe(self, rows: list[SegmentRows], seconds: float) -> None:
        """Take in a tick: its rows, and how long it took."""
        before = self.run_steps
        for of_run in rows:
            run_id = of_run.occupant.run.run_id
            self._steps[run_id] = int(of_run.points.step[-1])
            for name, (metric, level) in self._levels.items():
                if (of_run.points.metrics[metric] >= level).any():
                    self._seen[name].add(run_id)
        self._trained_steps += self.run_steps - before
        self._trained_seconds += seconds

    def end(self, runs: list[Run], failed: bool) -> None:
        """Take in runs that have ended; what they leave of their budgets is not to be done."""
        self.finished += len(runs)
        self.failed += failed * len(runs)
        if not failed:
            self._used += sum(self._steps[run.run_id] for run in runs)
            self._budgeted += sum(run.config.steps for run in runs)
        self._steps |= {run.run_id: run.config.steps for run in runs}

    def __str__(self) -> str:
        return describe(self)

    @property
    def run_steps(self) -> int:
        """Updates done, all runs together."""
        return sum(self._steps.values())

    @property
    def memorised(self) -> int:
        """Runs seen above the memorisation threshold."""
        return len(self._seen["memorised"])

    @property
    def grokked(self) -> int:
        """Runs seen above the grokking threshold."""
        return len(self._seen["grokked"])

    @property
    def rate(self) -> float | None:
        """Run-steps per second of this start, compilation left out."""
        return self._trained_steps / self._trained_seconds if self._trained_seconds else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds to go at this rate, or None before there is one.

        Runs are expected to use as much of their budgets as those that ended before them.
        """
        if not self.rate:
            return None
        share = self._used / self._budgeted if self._budgeted else 1.0
        return share * (self.total_run_steps - self.run_steps) / self.rate

    @property
    def work(self) -> dict[str, float]:
        """What this start did, for the manifest: updates in run-steps, times in seconds."""
        return {
            "run_steps_needed": self._trained_steps,
            "run_steps_executed": self.executed_run_steps,
            "seconds": round(self._trained_seconds, 3),
            "seconds_between_segments": round(self.idle_seconds, 3),
        }

    @property
    def elapsed(self) -> float:
        """Seconds since this start."""
        return time.monotonic() - self._began


Report = Callable[[Progress], None]
