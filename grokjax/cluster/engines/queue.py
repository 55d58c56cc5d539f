"""What SLURM's own commands say of its nodes and jobs."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT", "UNKNOWN"),
    }
)
"""States of a job that runs no more; unknown is one that SLURM has forgotten."""


def room(partition: str | None, cores: int, gpus: int, kind: str | None) -> int:
    """Jobs of so many cores and GPUs that the usable nodes of a partition hold, free or not.

    Args:
      partition: None for the site's default.
      cores: processor cores of a job.
      gpus: GPUs of a job.
      kind: which GPUs, by their name in a node's GRES; None for any.
    """
    where = [] if partition is None else [f"--partition={partition}"]
    usable = "--states=idle,mixed,allocated,completing"
    jobs = 0
    for line in {*_lines("sinfo", "-h", "-N", *where, usable, "-o", "%P|%N|%T|%c|%G")}:
        of, _, state, processors, gres = line.split("|")
        # A star after a partition is the site's default; after a state, a node that is silent.
        if (partition or of.endswith("*")) and "*" not in state:
            there = [int(processors) // cores, *([_gpus(gres, kind) // gpus] if gpus else [])]
            jobs += min(there)
    return jobs


def _gpus(gres: str, kind: str | None) -> int:
    """GPUs of a node, by the column of sinfo: gpu:h100:8(S:0-1),gpu:a100:2."""
    found = re.findall(r"\bgpu:(?:([^:,()]+):)?(\d+)", gres)
    return sum(int(number) for of, number in found if kind in (None, of))


def largest_array() -> int:
    """Elements that an array may have."""
    (largest,) = re.findall(
        r"MaxArraySize\s*= (\d+)", "\n".join(_lines("scontrol", "show", "config"))
    )
    return int(largest)


def refusal(options: Sequence[str]) -> str | None:
    """Why SLURM would take no job with these options of sbatch; None: it would, or cannot say."""
    command = ["sbatch", "--test-only", *options, "--wrap=true"]
    with no_job():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    # So it speaks of nodes that are away for the moment as well.
    unsure = "configuration is not available" in done.stderr
    return sentence(done.stderr) if done.returncode and not unsure else None


def states(jobs: Collection[str]) -> dict[str, str]:
    """The states of those jobs of which SLURM says anything certain."""
    if not jobs:
        return {}
    ids = ",".join(sorted({job.split("_")[0] for job in jobs}))
    found: dict[str, str] = {}
    try:
        lines = _lines("squeue", "-h", "-r", "--states=all", f"--jobs={ids}", "-o", "%i|%T")
        found = dict(line.split("|") for line in lines)
    except subprocess.CalledProcessError as error:
        if "Invalid job id" not in error.stderr:
            return {}  # its controller is away, which says nothing of jobs
    if jobs - found.keys():  # it forgets them some minutes after their end; accounting does not
        with suppress(subprocess.CalledProcessError, FileNotFoundError):
            lines = _lines("sacct", "-X", "-n", "-P", f"--jobs={ids}", "-o", "JobID,State")
            found = {**dict(line.split("|") for line in lines), **found}
    return {job: found.get(job, "UNKNOWN").split()[0] for job in jobs}


def cancel(jobs: Collection[str]) -> None:
    """SIGTERM to the processes of these jobs, SIGKILL after the site's KillWait."""
    every = iter(sorted(jobs))
    while some := list(itertools.islice(every, 500)):  # a command line is not endless
        subprocess.run(["scancel", *some], capture_output=True, check=False)


def sentence(text: str) -> str:
    """The last line of an error, which names it, without who says it."""
    lines = [line.strip() for line in text.splitlines()]
    *_, last = ["nothing", *(line for line in lines if line and not line.startswith("Try "))]
    return re.sub(r"^(sbatch: |error: |allocation failure: )+", "", last).rstrip(".")[:250]


@contextmanager
def no_job() -> Iterator[None]:
    """An environment without a job's variables: a driver may run in one, and its jobs must not."""
    job = [n for n in os.environ if n.startswith(("SLURM_", "SUBMITIT_")) and n != "SLURM_CONF"]
    kept = {name: os.environ.pop(name) for name in job}
    try:
        yield
    finally:
        os.environ.update(kept)


def _lines(*words: str) -> list[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[:-1]
