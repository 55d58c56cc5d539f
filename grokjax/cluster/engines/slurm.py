"""SLURM, through submitit: jobs are elements of arrays, which need no network and no head.

SLURM says when a job has to leave (SIGUSR2, before its time is over or when it is preempted): the
attempt commits, pushes and leaves, and submitit puts the element back into the queue, where it goes
on from what it pushed. Where a site allows no requeue the job counts as lost, and the driver
submits its shard again. What submitit pickles lies in a folder that only its user can read.
"""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import submitit
from submitit.core import utils

from grokjax.cluster.engines import Ended, Job, queue
from grokjax.config.cluster import Cluster
from grokjax.config.coercion import ConfigError


class Element:
    """What an element of an array runs: a job, and what becomes of it when it has to leave."""

    def __init__(self, function: Callable[[Job], None]) -> None:
        self._function = function

    def __call__(self, job: Job) -> None:
        # An attempt that has left raises the signal again that it was asked by. On SIGUSR2 submitit
        # requeues the element; before SIGTERM SLURM has done so, or its user wants the job to end.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            self._function(job)
        except subprocess.SubprocessError as error:
            sys.exit(f"not requeued: {error}")  # it leaves no result, so it counts as lost

    def checkpoint(self, job: Job) -> utils.DelayedSubmission:
        """What the requeued element runs: the same, since its state is in the depot."""
        return utils.DelayedSubmission(self, job)

    __submitit_checkpoint__ = checkpoint  # submitit asks for the one and calls the other


class Slurm:
    """The jobs of one sweep in SLURM's queue, where they outlive their driver."""

    name = "slurm"
    queue_seconds = 15.0
    """Between two questions to SLURM's controller, which all users share."""

    def __init__(self, options: Cluster, executor: submitit.Executor, array: int) -> None:
        self._options, self._executor, self._array = options, executor, array
        self._jobs: set[str] = set()
        self._refused: list[Ended] = []
        self._most = sys.maxsize
        """Jobs that this user may have at once, as far as SLURM has said so."""
        self._asked = self._counted = self._looked = float("-inf")
        self._room = 0

    def capacity(self) -> int:
        options, now = self._options, time.monotonic()
        if now - self._counted >= self.queue_seconds:
            self._counted = now
            partition, cores = options.slurm.partition, options.cores or 1
            with suppress(subprocess.CalledProcessError):  # it is away; then as it was
                self._room = queue.room(partition, cores, options.gpus, options.kind)
        return min(self._room, self._most)

    def submit(self, function: Callable[[Job], None], jobs: Sequence[Job]) -> list[str]:
        handles: list[str] = []
        for needs, alike in itertools.groupby(jobs, lambda job: (job.cores, job.gpus, job.kind)):
            self._executor.parameters.clear()
            self._executor.update_parameters(**_parameters(self._options, self._array, *needs))
            handles += self._place(Element(function), list(alike))
        return handles

    def _place(self, element: Element, jobs: list[Job]) -> list[str]:
        """Submit as many as SLURM takes; the others have ended at once, as lost."""
        handles: list[str] = []
        size = self._array
        while jobs:
            size = min(size, len(jobs))
            try:
                with queue.no_job():
                    placed = self._executor.map_array(element, jobs[:size])
            except (utils.FailedJobError, utils.FailedSubmissionError) as error:
                if size > 1:
                    size //= 2
                    continue
                reason = f"sbatch says: {queue.sentence(str(error))}"
                if not self._jobs:
                    raise ConfigError(f"cluster='slurm': {reason}.") from None
                self._most = len(self._jobs)
                refused = [f"refused-{job.attempt}" for job in jobs]
                self._refused += [Ended(handle, reason, lost=True) for handle in refused]
                return handles + refused
            handles += [job.job_id for job in placed]
            self._jobs |= {job.job_id for job in placed}
            jobs = jobs[size:]
        return handles

    def wait(self, seconds: float) -> list[Ended]:
        until = time.monotonic() + seconds
        while True:
            ended, self._refused = self._refused + self._ended(), []
            self._jobs -= {end.handle for end in ended}
            left = until - time.monotonic()
            if ended or left <= 0:
                return ended
            time.sleep(min(left, 1.0))

    def _ended(self) -> list[Ended]:
        ended = self._with_results()
        ends = [Ended(job, self._error(job), lost=False) for job in ended]
        if time.monotonic() - self._asked >= self.queue_seconds:
            self._asked = time.monotonic()
            for job, state in queue.states(self._jobs - ended).items():
                # Nothing but a function that returned ends as COMPLETED, seen here or not yet.
                if state == "COMPLETED":
                    ends.append(Ended(job, None, lost=False))
                elif state in queue.ENDED:
                    ends.append(Ended(job, f"SLURM says {state} of job {job}", lost=True))
        return ends

    def _with_results(self) -> set[str]:
        """The jobs that have left a result; a folder that is slow to list is looked at less."""
        began = time.monotonic()
        if began < self._looked:
            return set()
        names = {path.name for path in Path(self._executor.folder).iterdir()}
        self._looked = time.monotonic() + 20 * (time.monotonic() - began)
        return {job for job in self._jobs if f"{job}_0_result.pkl" in names}

    def _error(self, job: str) -> str | None:
        """What a job raised. The pickle is of this user's own folder, and never of a depot."""
        path = utils.JobPaths(self._executor.folder, job).result_pickle
        outcome, result = utils.pickle_load(path)
        return None if outcome == "success" else queue.sentence(result)

    def adopt(self, handles: Collection[str]) -> set[str]:
        states = queue.states([handle for handle in handles if handle[0].isdigit()])
        here = {job for job, state in states.items() if state not in queue.ENDED}
        self._jobs |= here
        return here

    def cancel(self, handles: Collection[str]) -> None:
        queue.cancel(self._jobs & set(handles))

    def close(self) -> None:
        """Nothing: what is in the queue goes on."""


def start(options: Cluster, work: Path) -> Slurm:
    """The queue of the site whose commands are on the PATH.

    Raises:
      ConfigError: there is none, or it would take no jobs with these options.
    """
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise ConfigError(
            "cluster='slurm': there is no sbatch on the PATH; start this on a node of the cluster "
            "from which jobs are submitted."
        )
    asked = _asked(options, options.cores or 1, options.gpus, options.kind).items()
    words = [f"--{name.replace('_', '-')}={value}" for name, value in asked]
    if reason := queue.refusal(words + [f"--{option}" for option in options.slurm.options]):
        raise ConfigError(f"cluster='slurm': sbatch says: {reason}.")
    folder = work / "slurm"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whether a job is poisoned is for attempts to say, so submitit requeues without limit.
    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=sys.maxsize)
    return Slurm(options, executor, queue.largest_array())


def _asked(options: Cluster, cores: int, gpus: int, kind: str | None) -> dict[str, Any]:
    """What sbatch is asked for, for one job."""
    slurm = options.slurm
    device = None if slurm.gres or not gpus else f"{kind}:{gpus}" if kind else str(gpus)
    given = {name: getattr(slurm, name) for name in ("partition", "account", "qos", "constraint")}
    given |= {"gres": slurm.gres, "mem": slurm.memory, "gpus_per_node": device}
    given |= {"time": slurm.time, "cpus_per_task": cores}
    return {name: value for name, value in given.items() if value is not None}


def _parameters(
    options: Cluster, array: int, cores: int, gpus: int, kind: str | None
) -> dict[str, Any]:
    """What submitit is asked for, for an array of such jobs."""
    return {
        **_asked(options, cores, gpus, kind),
        "job_name": "grokjax",
        "array_parallelism": options.workers or array,
        # Time to end a segment, commit and push it. Half of a short job is for training.
        "signal_delay_s": min(120, 60 * options.slurm.time // 2),
        "srun_args": [f"--cpus-per-task={cores}"],  # since 22.05 srun does not ask sbatch for them
        "additional_parameters": {"requeue": True, **options.slurm.more()},
    }
