"""The whole of an experiment: base configuration, sweep and thresholds."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import struct
from collections.abc import Collection
from typing import Any, Literal

from grokjax.config import own
from grokjax.config.axes import Sweep
from grokjax.config.changes import Change
from grokjax.config.checks import check_experiment
from grokjax.config.donors import StartFrom
from grokjax.config.expansion import Expansion, expand
from grokjax.config.fields import (
    Config,
    ConfigError,
    leaves,
    parts,
    replace_paths,
    resolve_path,
    traced,
)
from grokjax.config.identity import (
    OF_THE_SWEEP,
    checksums,
    column,
    digest,
    former_run_id,
    identity,
    plain,
)
from grokjax.config.losses import CrossEntropy
from grokjax.config.masks import Mask
from grokjax.config.modular import ModularArithmetic
from grokjax.config.optimizers import AdamW, ParameterGroups
from grokjax.config.parts import Instrument, Loss, Model, Modifier, Optimizer, Task
from grokjax.config.refine import Refine
from grokjax.config.snapshots import SnapshotSchedule
from grokjax.config.thresholds import Thresholds
from grokjax.config.transformer import Transformer

__all__ = ["Experiment"]

SEEDS = ("seed", "split_seed")
"""Fields that make repetitions and no conditions."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Config):
    """A base configuration and the sweep over it.

    With an empty sweep it is a single run, and each cell of a sweep is one.
    """

    task: Task = ModularArithmetic()
    model: Model = Transformer()
    optimizer: Optimizer = AdamW()
    loss: Loss = CrossEntropy()
    modifiers: tuple[Modifier, ...] = ()
    """What is done to gradients, updates and weights beside the optimiser's step, in this order."""
    groups: ParameterGroups | None = None
    """Learning rates and decays of groups of parameters."""
    train_fraction: float = traced(0.5)
    """Share of the table's rows to train on; the rest is the test set."""
    split: Literal["random", "rows", "columns", "balanced"] = "random"
    """Which rows: any; all rows with some values of the first operand, or of the second; any, but
    as many of each class."""
    label_noise: float = traced(0.0)
    """Share of training rows whose label is that of a random row of the table (Zhang et al. 2017);
    at 1 there is nothing left to learn."""
    batch_size: int | None = None
    """Rows of an update, reshuffled every epoch, the last part of which is left out; all training
    rows when left out."""
    seed: int = traced(0, at_start=True)
    """Of the initial weights, and of noise and batches."""
    split_seed: int | None = traced(None)
    """Of the train/test split and of label noise; the seed when left out."""
    changes: tuple[Change, ...] = ()
    """Numbers that change at some step, in the order of their steps."""
    start: StartFrom | None = None
    """Parameters to start from; fresh ones when left out."""
    mask: Mask | None = None
    """Which weights to train; all when left out."""
    snapshots: SnapshotSchedule | None = None
    """Which parameters to keep on disk."""
    instruments: tuple[Instrument, ...] = ()
    """What is measured of every network at every log point; see `results.measures`."""
    steps: int = 20_000
    """Budget of a run, in optimiser updates."""
    settle_steps: int | None = 2000
    """A run ends early once train and test accuracy have been at or above the thresholds
    `memorised` and `grokked` at every log point of so many updates, and of `settle` log points
    at least, all of them after the last of the changes; None: never early."""
    log_every: int = 10
    """Updates between two rows of the curves."""
    dtype: Literal["float32", "float64"] = "float32"
    """Of parameters, activations and optimiser."""
    loss_dtype: Literal["float32", "float64"] | None = None
    """Of the softmax and the loss; `dtype` when left out."""
    matmul_precision: Literal["highest", "high", "default"] = "highest"
    """Of matrix products, as JAX names them: on recent GPUs `highest` is float32, `high` three
    passes and `default` one pass of a shorter format (TF32). Processors always do `highest`."""
    thresholds: Thresholds = Thresholds()
    sweep: Sweep = Sweep()
    refine: Refine | None = None
    """Further runs between the cells of the grid, chosen by what the grid has shown."""

    def __post_init__(self) -> None:
        if isinstance(self.sweep, (list, tuple)):
            object.__setattr__(self, "sweep", Sweep(tuple(self.sweep)))
        for field in own.DECORATORS:
            object.__setattr__(self, field, own.as_word(field, getattr(self, field)))
        super().__post_init__()

    def check(self) -> None:
        object.__setattr__(self, "changes", _with_short_names(self))
        check_experiment(self)
        for stage in self.stages()[1:]:
            _ = stage.n_train
        if self.dtype == "float32":
            for part in parts(self).values():
                _check_in_float32(part)
        if self.refine is not None:
            self.refined_axes()

    @property
    def n_train(self) -> int:
        """Training rows: the task's constant ones and `train_fraction` of the others.

        Whole rows or columns of the table where the split is one of those.
        """
        if self.split in ("rows", "columns"):
            assert self.task.operands is not None  # checked when the experiment was built
            kept, whole = self.task.operands[:: 1 if self.split == "rows" else -1]
            return round(self.train_fraction * kept) * whole
        always = self.task.n_always
        return always + round(self.train_fraction * (self.task.n_rows - always))

    def stages(self) -> list[Experiment]:
        """The experiment before the first change, between two of them, and after the last."""
        stages = [dataclasses.replace(self, changes=(), refine=None)] if self.changes else [self]
        for change in self.changes:
            new = {resolve_path(stages[0], name): value for name, value in change.new}
            for path, value in new.items():
                if _changeable(stages[0], path) in (int, int | None) and value.is_integer():
                    new[path] = int(value)
            stages.append(replace_paths(stages[-1], new))
        return stages

    @functools.cached_property
    def expansion(self) -> Expansion:
        """Every distinct run of the sweep with its id, and the axes; worked out once."""
        return expand(self)

    def with_former_ids(self, unknown: Collection[str]) -> Experiment:
        """The same, its runs called as up to schema version 3.

        Args:
          unknown: dotted paths of fields that came later, and are at their defaults.
        """
        called = self._with({})
        name = functools.partial(former_run_id, unknown=unknown)
        vars(called)["expansion"] = expand(self, name)
        return called

    def runs(self) -> list[Experiment]:
        """Every distinct run of the sweep, resolved and checked, in the sweep's order."""
        return list(self.expansion.runs.values())

    def axes(self) -> dict[str, list[Any]]:
        """Dotted path → the values it takes, for the fields that the sweep names."""
        return dict(self.expansion.axes)

    def refined_axes(self) -> tuple[str, str]:
        """Dotted paths of the two axes that `refine` goes between."""
        axes = {path: values for path, values in self.axes().items() if len(values) > 1}
        between = [path for path in axes if path not in SEEDS]
        fractional = all(isinstance(v, float) for path in between for v in axes[path])
        if len(between) != 2 or not fractional:
            raise ConfigError(
                f"refine: the grid varies {', '.join(between) or 'nothing'} beside the seeds, but "
                "a boundary is a curve over two axes with a decimal point, sweep two such fields."
            )
        if "split_seed" in axes:
            raise ConfigError(
                "refine: the grid varies split_seed, leave it out so that it follows the seed."
            )
        return between[1], between[0]

    def derived(self) -> dict[str, Any]:
        return {"split_seed": self.seed, "loss_dtype": self.dtype}

    def row(self) -> dict[str, Any]:
        """The configuration of a run flat, as the `runs` table has it."""
        told = {p: plain(value) for p, value in leaves(self).items()} | checksums(self)
        return {column(p): v for p, v in told.items() if p.split(".")[0] not in OF_THE_SWEEP}

    @functools.cached_property
    def run_id(self) -> str:
        """Hash of what the run says beyond the defaults: the same run in any grid has one id."""
        told = {p: v for p, v in identity(self).items() if p.split(".")[0] not in OF_THE_SWEEP}
        for at, change in enumerate(self.changes):
            # Under whole paths: a short name may not be the only one of its kind for ever.
            del told[f"changes.{at}"]
            new = {resolve_path(self, name): value for name, value in change.new}
            told = {p: v for p, v in told.items() if not p.startswith(f"changes.{at}.")}
            told[f"changes.{at}"] = {"step": change.step, **new}
        return digest(told)


def _changeable(experiment: Experiment, path: str) -> Any:
    """The annotation of a field, refused where it is no number of a running program."""
    head, _, name = path.rpartition(".")
    owner = parts(experiment).get(head, experiment)
    found = [f for f in dataclasses.fields(owner) if f.name == name and f.metadata.get("traced")]
    if not found or (getattr(owner, name) is None and name != "split_seed"):
        raise ConfigError(
            f"changes: {path} is no number of the running program, choose one that is, "
            "learning_rate, weight_decay or train_fraction say."
        )
    if found[0].metadata["at_start"]:
        raise ConfigError(f"changes: {path} is looked at when a run starts only, make it an axis.")
    return owner.types()[name]


def _with_short_names(experiment: Experiment) -> tuple[Change, ...]:
    """The changes with every field under its shortest name, so that equal ones are equal."""
    short = []
    for change in experiment.changes:
        paths = [resolve_path(experiment, name) for name, _ in change.new]
        if len(set(paths)) < len(paths):
            raise ConfigError(f"changes: {', '.join(paths)} names a field twice, drop one.")
        new = {}
        for path, (_, value) in zip(paths, change.new, strict=True):
            last = path.rsplit(".", 1)[-1]
            with contextlib.suppress(ConfigError):
                path = last if resolve_path(experiment, last) == path else path
            new[path] = value
        short.append(Change(change.step, **new))
    return tuple(short)


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most parts in common
def _check_in_float32(part: Config) -> None:
    """Refuse numbers that make sense until the program rounds them: b2 = 0.99999999 is 1."""
    for name, value in part.traced_values().items():
        try:
            rounded = type(value)(struct.unpack("f", struct.pack("f", value))[0])
            dataclasses.replace(part, **{name: rounded})
        except (ConfigError, OverflowError):
            remedy = "float32 cannot hold it, choose another value or dtype='float64'"
            raise ConfigError(f"{name}={value!r}: {remedy}.") from None
