"""Cutting what is left of a sweep into shards, as late as can be.

What a run computes does not depend on the shard that it is in. So a shard is cut when a worker is
free for it, large while much is left and small towards the end, which balances the workers
without moving work between them (guided self-scheduling, Polychronopoulos & Kuck 1987).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

from grokjax.engine.plan import Program, Run

LEAST_SECONDS = 60.0
"""Of a shard, while there is as much for every worker: a process takes 4 to 7 s to start."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """Runs of one program that are to be a shard."""

    program: str
    runs: tuple[Run, ...]
    seconds: float
    """That a worker should need for them."""


class Work:
    """The runs that are in no shard yet.

    Args:
      programs: with their runs, in the order in which they are trained.
      cuts: name of a program → its lanes and the time of an update.
      taken: ids of runs that have ended, or are in shards.
    """

    def __init__(
        self,
        programs: Collection[Program],
        cuts: Mapping[str, Mapping[str, Any]],
        taken: Collection[str],
    ) -> None:
        self._cuts: dict[str, Mapping[str, Any]] = {}
        self._runs: dict[str, deque[Run]] = {}
        self._steps: dict[str, int] = {}
        for program in programs:
            self.replace(program, cuts.get(program.name, {}), taken)
        self.share = 1.0
        """Of their budgets that runs have used which have ended."""

    def seconds(self) -> float:
        """What is left, of one worker's time."""
        return sum(self._seconds(name, steps) for name, steps in self._steps.items() if steps)

    def _seconds(self, name: str, steps: int) -> float:
        taken: float = self.share * steps * self._cuts[name]["run_step_seconds"]
        return taken

    def next(self, workers: int, most_seconds: float) -> Piece | None:
        """The runs of the next shard; None where none are left.

        The runs that take longest go first, so that short ones fill the end.

        Args:
          workers: that share what is left.
          most_seconds: of a shard.
        """
        left = {name: runs for name, runs in self._runs.items() if runs}
        if not left:
            return None
        name = max(left, key=lambda n: self._seconds(n, left[n][0].config.steps))
        runs, lanes = left[name], self._cuts[name]["lanes"]
        total = self.seconds()
        seconds = max(total / (2 * workers), min(LEAST_SECONDS, total / workers))
        filling = lanes * self._seconds(name, self._steps[name]) / len(runs)
        # Whole fillings of the lanes: of a part of one some lanes idle.
        count = lanes * max(1, round(min(seconds, most_seconds) / filling))
        chosen = tuple(runs.popleft() for _ in range(min(len(runs), count)))
        steps = sum(run.config.steps for run in chosen)
        self._steps[name] -= steps
        return Piece(name, chosen, self._seconds(name, steps))

    def replace(self, program: Program, cut: Mapping[str, Any], taken: Collection[str]) -> None:
        """Have all runs of a program that are not taken to cut, in its lanes."""
        runs = deque(run for run in program.runs if run.run_id not in taken)
        self._cuts[program.name], self._runs[program.name] = cut, runs
        self._steps[program.name] = sum(run.config.steps for run in runs)
