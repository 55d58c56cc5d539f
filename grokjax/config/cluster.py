"""How a sweep is placed on several machines: what `--cluster` and the flags beside it say."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Cluster", "Slurm"]


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """What `sbatch` is told about the workers' jobs."""

    partition: str | None = None
    """Partition of the jobs; the site's default when left out."""
    account: str | None = None
    """Account that pays; the user's default when left out."""
    time: int = 60
    """Minutes that a job may take; a shard is cut to take half of them."""
    constraint: str | None = None
    """Features that nodes must have, as `sbatch --constraint` has them."""
    memory: str | None = None
    """Memory of a job, as `sbatch --mem` has it, such as 32G; the site's default when left out."""


@dataclass(frozen=True)
class Cluster:
    """Where workers run, and what each of them gets: `Cluster("slurm", workers=8, cores=4)`."""

    cluster: str | None = None
    """Train with workers in other processes. inline: of this machine; local: Ray on this machine;
    auto: the Ray cluster that this machine is a node of; HOST:PORT: the Ray cluster whose head is
    there; slurm: jobs of its queue. In this process when left out."""
    depot: str | None = None
    """Folder or URL (s3://…) for what workers leave, which all machines see; a folder in the
    results when left out."""
    detach: bool = False
    """Submit to the queue and leave; the same command goes on later."""
    takeover: bool = False
    """Go on in the place of a driver on another machine that has not ended."""
    workers: int | None = None
    """Workers at once, at most; as many as there is room for when left out."""
    cores: int | None = None
    """Processor cores of a worker, 1 when left out. Bits depend on it, on processors."""
    gpus: int = 0
    """Accelerators of a worker: 0 trains on its processor cores, 1 on an accelerator."""
    kind: str | None = None
    """Kind of the accelerators, as the engine names it; any when left out."""
    shard_minutes: float = 10.0
    """Nominal time of the largest shard, which is what a worker trains before it takes another."""
    max_lost: int = 3
    """Workers that may die at a shard without a commit between them before the runs that they were
    training count as failed."""
    insecure: bool = False
    """Use a Ray cluster of several machines that takes commands from anybody who reaches it."""
    slurm: Slurm = field(default_factory=Slurm)
