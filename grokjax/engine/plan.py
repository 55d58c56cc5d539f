"""From an experiment to programs: which runs share a compilation, in how many lanes."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax

from grokjax import tasks
from grokjax.config import Config, ConfigError, Experiment, source
from grokjax.config.coercion import require
from grokjax.config.expansion import nothing_collected
from grokjax.config.identity import defaults, digest, identity
from grokjax.engine import cost, donors, room
from grokjax.engine.donors import DonorFiles
from grokjax.training import captures
from grokjax.training.spec import TRACED, Capture, Hparams, Spec, hparams, spec_of
from grokjax.training.words import Words

MEMORY_SHARE = 0.8
"""Share of a device's memory that the lanes of a program may take."""
SMALLEST_MEMORY = 8 * 2**30
"""Bytes that an accelerator is taken to have where it does not say."""
MOST_LOG_POINTS = 32
"""Log points of a segment, of which some are captured, that lanes are given memory for."""
SEGMENT_SECONDS = 0.5
"""Nominal time of a segment: lanes of runs that end inside one idle for its rest."""
TICK_SECONDS = 5.0
"""Nominal time between commits: what a kill loses at most, and large beside the tens of
milliseconds that a commit costs."""
COMMIT_BYTES_A_SECOND = 10e6
"""Checkpoints written on average, at most: a few hundred lanes are committed less often."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run and its name."""

    run_id: str
    config: Experiment
    donors: DonorFiles = DonorFiles()

    @property
    def log_points(self) -> int:
        """Rows of its curve: one before the first update and one after each `log_every`."""
        return self.config.steps // self.config.log_every + 1

    def hparams(self) -> Hparams:
        """Its numbers, as NumPy arrays of the program's dtype."""
        return hparams(self.config)


@dataclasses.dataclass(frozen=True)
class Program:
    """Runs that share a compiled program, in the order in which they enter its lanes."""

    spec: Spec
    runs: tuple[Run, ...]
    lanes: int
    """On all devices together, a multiple of their number."""
    devices: int
    log_points: int
    """Rows of a segment."""
    segments: int
    """From one commit to the next."""
    run_step_seconds: float
    """What an update of one run takes, by count or by timing."""

    @property
    def name(self) -> str:
        """Short hash of the spec."""
        return spec_name(self.spec)

    @property
    def run_steps(self) -> int:
        """Updates of a segment, all lanes together, idle ones included."""
        return self.lanes * self.log_points * self.spec.log_every


CUT = ("lanes", "devices", "log_points", "segments", "run_step_seconds")
CUT_OF_ROWS = {"tiles": 1, "row_multiple": 1}
"""How a spec's rows lie in memory, with what it was before anybody chose."""
ROW_MULTIPLES = (128, 64, 32, 16, 8)
"""Sides of the blocks that accelerators multiply matrices in: of a table with other numbers of rows
their compilers make a copy with more. On an H100 200 MB of traffic a run-step became 175."""
PADDED_FOR_BLOCKS = 1 / 16
"""Share of the rows that may be added for it."""


def cut_of(program: Program) -> dict[str, Any]:
    """What the manifest keeps: a later start cuts the program the same way, to the same bits."""
    of_rows = {name: getattr(program.spec, name) for name in CUT_OF_ROWS}
    return {**of_rows, **{name: getattr(program, name) for name in CUT}}


def spec_name(spec: Spec) -> str:
    """Short hash of a spec without fields at their defaults, however its rows lie in memory."""
    told: dict[str, Any] = {}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name not in CUT_OF_ROWS and value != field.default:
            told[field.name] = _told(value)
    return digest(told)


def _told(value: Any) -> Any:
    """What a field of a spec says, in plain values."""
    if isinstance(value, Words):
        words = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {name: _told(word) for name, word in words.items() if word not in (None, ())}
    if isinstance(value, Config):
        cls: Any = type(value)
        known = defaults(cls)
        # A traced number that every run has is an input. One that may be None is there or not.
        given = {
            name: one
            for name, one in identity(value).items()
            if one is not None and not (one == TRACED and known.get(name) is not None)
        }
        return {"kind": value.kind, "source": source.checksum(cls), **given}
    if isinstance(value, tuple):
        return [_told(part) for part in value]
    if isinstance(value, Capture):
        fields = dataclasses.fields(value)
        kept = {field.name: getattr(value, field.name) for field in fields}
        return {f.name: kept[f.name] for f in fields if kept[f.name] != f.default}
    return value


def _row_multiple(spec: Spec, backend: str) -> int:
    """What rows are padded to a multiple of: on a processor, of nothing."""
    if backend == "cpu":
        return 1
    for multiple in ROW_MULTIPLES:
        more = -spec.step_rows % multiple
        if more <= PADDED_FOR_BLOCKS * spec.step_rows:
            return multiple
    return 1


def make(
    experiment: Experiment,
    *,
    backend: str = "cpu",
    devices: int = 1,
    memory: float | None = None,
    lanes: int | None = None,
    recorded: Mapping[str, Mapping[str, Any]] | None = None,
    ended: Collection[str] = (),
    find_donors: Callable[[Experiment], DonorFiles] = donors.find,
) -> list[Program]:
    """The programs of an experiment, cut by nominal costs; `engine.tune` measures.

    Args:
      experiment: with its sweep.
      backend: JAX's name of the platform.
      devices: of this process.
      memory: bytes of each of them, where an accelerator says so.
      lanes: asked for by the user, for every program.
      recorded: cuts by program name, as an earlier start of the same sweep chose them;
        they are kept, because bits depend on the lanes.
      ended: ids of runs that need no donors any more.
      find_donors: says which files a run's donors are.
    """
    if lanes is not None and lanes < 1:
        raise ConfigError(f"lanes={lanes}: give 1 lane or more.")
    groups: dict[Spec, list[Run]] = {}
    by_object: dict[int, list[Run]] = {}  # a spec takes long to hash, and most runs have the same
    with nothing_collected():
        for config in experiment.runs():
            run_id, spec = config.run_id, _spec(config)
            found = DonorFiles() if run_id in ended else find_donors(config)
            if id(spec) not in by_object:
                by_object[id(spec)] = groups.setdefault(spec, [])
            by_object[id(spec)].append(Run(run_id, config, found))
    for spec, runs in groups.items():
        if backend == "tpu" and spec.double:
            raise ConfigError(
                "dtype, loss_dtype='float64': a TPU has no arithmetic for it, give 'float32' for "
                "both, or train on a processor or a GPU."
            )
        if spec.label_noise_kind == "fixed":
            largest = tasks.build(spec.task).n_classes - 1
            remedy = f"{spec.task.kind} has the classes 0 to {largest}, give one of them"
            require(spec.noise_class <= largest, "noise_class", spec.noise_class, remedy)
        room.check(spec, 1, backend, memory)
        donors.trace(spec)
        for found in {run.donors for run in runs}:
            donors.check(spec, found)
    programs = []
    for spec, of_spec in groups.items():
        runs = _evenly(of_spec)
        kept = (recorded or {}).get(spec_name(spec))
        if kept is None:
            spec = dataclasses.replace(spec, row_multiple=_row_multiple(spec, backend))
            each = 1
            if backend != "cpu":
                each = min(lanes_in(memory or SMALLEST_MEMORY, spec), len(runs) // devices)
            count = lanes or devices * max(1, each)
            seconds = cost.nominal_run_step_seconds(spec, backend)
            programs.append(cut(spec, runs, count, devices, seconds))
            if backend == "cpu":  # an accelerator that runs out of memory is given fewer
                room.check(spec, programs[-1].lanes, backend, memory)
        elif lanes in (None, kept["lanes"], kept["asked_lanes"]):
            of_rows = {name: kept.get(name, plain) for name, plain in CUT_OF_ROWS.items()}
            spec = dataclasses.replace(spec, **of_rows)
            if kept["devices"] > devices:
                raise ConfigError(
                    f"devices={devices}: this sweep was started on {kept['devices']}, which its "
                    "bits depend on; go on with as many, or start over with --overwrite."
                )
            programs.append(Program(spec, tuple(runs), **{name: kept[name] for name in CUT}))
        else:
            raise ConfigError(
                f"lanes={lanes}: this sweep was started with {kept['lanes']} lanes, which its bits "
                "depend on; go on without --lanes, or start over with --overwrite."
            )
    return programs


def _spec(run: Experiment) -> Spec:
    """The program that a run belongs to, worked out once: a start plans more than once."""
    if "spec" not in vars(run):
        vars(run)["spec"] = _one_object(spec_of(run))
    spec: Spec = vars(run)["spec"]
    return spec


@functools.lru_cache(maxsize=4096)
def _one_object(spec: Spec) -> Spec:
    """The same object for all runs of a program."""
    return spec


def _evenly(runs: Sequence[Run]) -> list[Run]:
    """The runs of one seed after those of another, so that a map fills evenly as they end."""
    rank = {seed: at for at, seed in enumerate(dict.fromkeys(run.config.seed for run in runs))}
    return sorted(runs, key=lambda run: rank[run.config.seed])


def here(
    experiment: Experiment,
    lanes: int | None,
    recorded: Mapping[str, Mapping[str, Any]],
    ended: Collection[str],
    find_donors: Callable[[Experiment], DonorFiles] = donors.find,
) -> list[Program]:
    """The programs on the devices of this process."""
    return make(
        experiment,
        backend=jax.default_backend(),
        devices=jax.local_device_count(),
        memory=device_memory(),
        lanes=lanes,
        recorded=recorded,
        ended=ended,
        find_donors=find_donors,
    )


def device_memory() -> float | None:
    """Bytes that each device of this process has for us, where it says so."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def cut(
    spec: Spec, runs: Sequence[Run], lanes: int, devices: int, run_step_seconds: float
) -> Program:
    """A program of so many lanes, cut into segments by what an update of one run takes.

    A segment is short, because lanes of runs that end inside of one idle for its rest; a commit is
    rare, because it costs tens of milliseconds.

    Args:
      spec: of the program.
      runs: in the order in which they enter the lanes.
      lanes: at most so many, in equal shares on as many of the devices as divide them.
      devices: that there are.
      run_step_seconds: of one update of one run, all lanes busy.
    """
    lanes = min(lanes, len(runs))
    devices = max(n for n in range(1, min(devices, lanes) + 1) if lanes % n == 0)
    total = max(run.log_points for run in runs)
    log_point = lanes * spec.log_every * run_step_seconds
    # A whole number of segments in the longest run, so that its last is not half idle.
    log_points = math.ceil(total / math.ceil(total / max(1, SEGMENT_SECONDS / log_point)))
    tick = max(TICK_SECONDS, lanes * state_bytes(spec) / COMMIT_BYTES_A_SECOND)
    segments = max(1, round(tick / (log_points * log_point)))
    return Program(spec, tuple(runs), lanes, devices, log_points, segments, run_step_seconds)


def smaller(program: Program) -> Program | None:
    """The same with half of the lanes, or twice the tiles; None when nothing is left to halve."""
    each = program.lanes // program.devices
    if each > 1:
        return dataclasses.replace(program, lanes=program.devices * (each // 2))
    tiles = 2 * program.spec.tiles
    if tiles > program.spec.train_rows[1]:
        return None
    return dataclasses.replace(program, spec=dataclasses.replace(program.spec, tiles=tiles))


def occupancy(runs: Sequence[Run], lanes: int) -> float:
    """Share of the lanes' time that runs are expected to use: at the end of the queue some idle."""
    if all(run.config.settle_steps is None for run in runs):
        return len(runs) / (lanes * math.ceil(len(runs) / lanes))
    return len(runs) / (len(runs) + (lanes - 1) / 2)  # they end at different times


def families(programs: Sequence[Program]) -> list[list[Program]]:
    """Programs that differ in their training rows alone, the largest of each family first."""
    found: dict[Spec, list[Program]] = {}
    for program in programs:
        found.setdefault(dataclasses.replace(program.spec, train_rows=(0, 0)), []).append(program)
    return [sorted(f, key=lambda p: p.spec.train_rows, reverse=True) for f in found.values()]


def lanes_in(memory: float, spec: Spec) -> int:
    """Lanes that a device's memory should hold, by count; what compiles there is looked at later.

    A processor has a lane a core instead: 1, 2 and 4 lanes a core took 0.91, 1.01 and 1.03 ms a
    run-step (width 32, two cores), so that more pay for the smallest networks at most.
    """
    copies = 1 + captures.most_captured(spec, MOST_LOG_POINTS)
    return int(MEMORY_SHARE * memory / (cost.lane_bytes(spec) + copies * state_bytes(spec)))


def state_bytes(spec: Spec) -> int:
    """Parameters and optimiser state of a run, as a checkpoint holds them."""
    state = donors.state_shapes(spec)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
