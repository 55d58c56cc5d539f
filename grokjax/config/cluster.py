"""How a sweep is placed on several machines: what `--cluster` and the flags beside it say."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field

from grokjax.config.coercion import ConfigError, require

__all__ = ["Cluster", "Slurm"]


OURS = ("array", "error", "open-mode", "output", "requeue", "signal", "wrap")
"""Options of sbatch on which the way through the queue depends."""


class WorkersError(Exception):
    """Workers cannot train, whoever of them tries: a sentence with what one of them said."""


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """What `sbatch` is told about the workers' jobs."""

    partition: str | None = None
    """Partition of the jobs; the site's default when left out."""
    account: str | None = None
    """Account that pays; the user's default when left out."""
    time: int = 60
    """Minutes that a job may take; a shard is cut to take half of them."""
    qos: str | None = None
    """Quality of service of the jobs; the user's default when left out."""
    constraint: str | None = None
    """Features that nodes must have, as `sbatch --constraint` has them."""
    gres: str | None = None
    """Devices of a job, as `sbatch --gres` has them; by the sweep's `gpus` and `kind` when left
    out."""
    memory: str | None = None
    """Memory of a job, as `sbatch --mem` has it, such as 32G; the site's default when left out."""
    options: tuple[str, ...] = ()
    """Further options of sbatch, such as reservation=grokking or exclusive."""

    def __post_init__(self) -> None:
        require(self.time >= 1, "slurm.time", self.time, "give 1 minute or more")
        for name in self.more():
            known = re.fullmatch(r"[a-z][a-z0-9-]*", name) and name not in OURS
            require(
                bool(known),
                "slurm.options",
                name,
                "long options of sbatch without their dashes, and none of " + ", ".join(OURS),
            )

    def more(self) -> dict[str, str | bool]:
        """The further options, each with its value, or True where it takes none."""
        pairs = (option.partition("=") for option in self.options)
        return {name: value if equals else True for name, equals, value in pairs}


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
    depot_mb_per_s: float | None = None
    """Megabytes a second that all workers together put into the depot on the way, on average, at
    most; as often as deaths make worth it when left out."""
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

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("cores", 1), ("gpus", 0), ("max_lost", 1)):
            value = getattr(self, name)
            require(value is None or value >= least, name, value, f"give {least} or more")
        require(self.gpus <= 1, "gpus", self.gpus, "a worker trains on one, give 1")
        minutes, remedy = self.shard_minutes, "give a time above 0"
        require(0 < minutes < float("inf"), "shard_minutes", minutes, remedy)
        rate = self.depot_mb_per_s
        require(rate is None or rate > 0, "depot_mb_per_s", rate, "give a rate above 0")
        if self.cluster is not None:
            self._check_uses(engine_name(self.cluster))

    @property
    def shard_seconds(self) -> float:
        """Nominal time of the largest shard; a queue's job has to have time for twice as much."""
        minutes = self.shard_minutes
        if self.cluster == "slurm":
            minutes = min(minutes, self.slurm.time / 2)
        return 60 * minutes

    def _check_uses(self, engine: str) -> None:
        """Refuse what the engine has no use for."""
        uses = {"slurm": ("detach", "slurm"), "ray": ("insecure",)}
        foreign = {name for names in uses.values() for name in names} - set(uses.get(engine, ()))
        foreign |= {"kind"} if engine == "inline" else set()
        for f in dataclasses.fields(Cluster):
            value = getattr(self, f.name)
            default = Slurm() if f.name == "slurm" else f.default
            remedy = f"cluster={self.cluster!r} has no use for it, leave it out"
            require(f.name not in foreign or value == default, f.name, value, remedy)


_ADDRESS = re.compile(r"[A-Za-z0-9_.\-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")


def engine_name(cluster: str) -> str:
    """Which engine the word of `--cluster` means.

    Raises:
      ConfigError: it means none.
    """
    if cluster in ("inline", "slurm"):
        return cluster
    if cluster in ("local", "auto") or _ADDRESS.fullmatch(cluster):
        return "ray"
    if cluster.startswith("ray://"):
        raise ConfigError(
            f"cluster={cluster!r}: Ray Client loses a sweep with its connection; run the driver on "
            "a node of the cluster: ray job submit -- python -m grokjax.sweep FILE --cluster auto."
        )
    raise ConfigError(f"cluster={cluster!r}: choose from inline, local, auto, HOST:PORT, slurm.")
