"""The experiment: a base configuration, the sweep over it, and the thresholds of its results."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Collection, Mapping
from typing import Any, Literal

from grokjax.config import own
from grokjax.config.axes import Sweep, as_table
from grokjax.config.changes import Change
from grokjax.config.checks import check_experiment, check_in_float32
from grokjax.config.coercion import ConfigError, coercer
from grokjax.config.donors import StartFrom
from grokjax.config.expansion import Expansion, check_sweep, expand
from grokjax.config.fields import (
    Config,
    field_types,
    leaves,
    parts,
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
from grokjax.config.replacing import replace_paths
from grokjax.config.snapshots import SnapshotSchedule
from grokjax.config.splits import GivenSplit, Split
from grokjax.config.thresholds import Thresholds
from grokjax.config.transformer import Transformer

__all__ = ["Experiment"]

SEEDS = ("seed", "split_seed")
"""Fields that make repetitions and no conditions."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Config):
    """A base configuration and the sweep over it.

    `task` is the table of rows to learn, `model` the network, `optimizer` and `loss` what trains
    it, and `thresholds` say what counts as grokked. Every cell of the sweep is a run: the base
    configuration with some fields replaced. An empty sweep is a single run.

    >>> from grokjax import AdamW, Experiment, grid
    >>> experiment = Experiment(
    ...     optimizer=AdamW(learning_rate=1e-2),
    ...     sweep=grid(weight_decay=[0.1, 1.0], seed=range(2)),
    ... )
    >>> [(run.optimizer.weight_decay, run.seed) for run in experiment.runs()]
    [(0.1, 0), (0.1, 1), (1.0, 0), (1.0, 1)]
    """

    # No docstrings here: the flags of these parts stand in `--help` below those of their classes.
    task: Task = ModularArithmetic()
    model: Model = Transformer()
    optimizer: Optimizer = AdamW()
    loss: Loss = CrossEntropy()
    modifiers: tuple[Modifier, ...] = ()
    """Changes to gradients, updates or weights beside the optimiser's own step, in this order."""
    groups: ParameterGroups | None = None
    """Factors on learning rate and decay of groups of parameters; None: all factors are 1."""
    # The compiled program knows no fraction, only the number of rows that it comes to, `n_train`,
    # and as an input. Compiled in are the smallest and largest such number of all runs that share
    # the program, `Spec.train_rows`.
    train_fraction: float = traced(0.5)
    """Share of the table's rows in the training set; all other rows are the test set. 1: there is
    none, and no accuracy of it."""
    split: Literal["random", "rows", "columns", "balanced"] | Split = "random"
    """How training rows are chosen. random: any rows; rows (columns): every row of the table
    whose first (second) operand is one of some random values; balanced: random, but equally many
    rows of each class; `GivenSplit()` and `GroupSplit("…")`: as they say."""
    label_noise: float = traced(0.0)
    """Share of the training rows whose label is replaced with that of a random row of the table
    (Zhang et al. 2017), or as `label_noise_kind` says. 0: all labels are true; 1: nothing is left
    to learn."""
    label_noise_kind: Literal["random_row", "other", "next", "fixed"] = "random_row"
    """Which labels the replaced ones are. random_row: that of a random row, which may be right by
    chance; other: any class but the right one, all alike; next: the class after the right one, and
    after the last the first, so that the noise can be learned; fixed: the class `noise_class`."""
    noise_class: int = 0
    """The class of replaced labels where `label_noise_kind` is fixed; its own rows stay right."""
    batch_size: int | float | None = None
    """Training rows in each update, a whole number, or below 1 their share (0.5: half of the rows
    that a run starts with). They are reshuffled every epoch; `batches` says what becomes of rows
    that do not fill a batch. None (or -1): every update uses all training rows (full batch)."""
    batches: Literal["drop_last", "keep_last", "replacement"] = "drop_last"
    """How batches are drawn. drop_last: in epochs, and rows that do not fill a batch sit the epoch
    out; keep_last: in epochs, whose last batch has the rows that are left, their loss being the
    mean over these; replacement: every row of every batch at random among all."""
    seed: int = traced(0, at_start=True)
    """Seed of the initial weights, of the order of batches, and of dropout and other noise."""
    split_seed: int | None = traced(None)
    """Seed of the train/test split and of the label noise; None: the same number as `seed`."""
    changes: tuple[Change, ...] = ()
    """Interventions during a run: fields that take another value at some step or moment, in the
    order in which they are to happen."""
    start: StartFrom | None = None
    """An earlier run's parameters to start from; None: start from freshly drawn ones."""
    mask: Mask | None = None
    """Lottery ticket: which weights are trained, the others being 0; None: train all weights."""
    snapshots: SnapshotSchedule | None = None
    """When to store the parameters of a run on disk; None: never."""
    instruments: tuple[Instrument, ...] = ()
    """Further measurements of the networks, stored in `results.measures`; those of the whole table
    at some steps, expensive ones at the snapshots, as docs/instruments.md says."""
    table_points_per_decade: int = 20
    """Log points in a factor of ten at which instruments of the table measure, beside step 0."""
    steps: int = 20_000
    """Budget of a run: the largest number of optimiser updates it may take."""
    settle_steps: int | None = 2000
    """Early stopping: a run ends once train accuracy has stayed at or above
    `thresholds.memorised`, and test accuracy at or above `thresholds.grokked`, for this many
    updates, for at least `thresholds.settle` log points, and after the last of the changes (of
    those at moments, which have come by then, for their longest delay in addition).
    Without a test set train accuracy decides. None: every run uses its whole budget."""
    log_every: int = 10
    """Number of updates from one log point (a row of the curves) to the next."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating-point type of parameters, activations and optimiser state."""
    loss_dtype: Literal["float16", "bfloat16", "float32", "float64"] | None = None
    """Floating-point type in which softmax and loss are computed; None: the same as `dtype`. In
    float16 and bfloat16 cross-entropy has the numbers of PyTorch on a processor: logits, sums of
    exponentials, losses and gradients of logits are of that type (Prieto et al. 2025, figure 2).
    PyTorch on a GPU keeps the sums in float32, so that only gradients too small for it vanish."""
    matmul_precision: Literal["highest", "high", "default"] = "highest"
    """Precision of matrix products, as JAX names it. On recent GPUs `highest` is float32, `high`
    three passes and `default` one pass of a shorter format (TF32); CPUs always do `highest`."""
    thresholds: Thresholds = Thresholds()
    sweep: Sweep = Sweep()
    """The cells to run, from `grid` and `zipped`."""
    refine: Refine | None = None
    """Further runs after the grid, close to the boundary of grokking; None: the grid alone."""
    keep_final: Literal["censored", "all"] | None = "censored"
    """Of which runs the last state stays on disk, so that a larger budget goes on from it.
    censored: those that their budget ended; all: those that settled too, which then go on when
    settle_steps grows; None: of none, and a larger budget trains them from the start."""

    def __post_init__(self) -> None:
        if isinstance(self.sweep, (list, tuple)):
            object.__setattr__(self, "sweep", Sweep(tuple(self.sweep)))
        for field in own.DECORATORS:
            object.__setattr__(self, field, own.as_word(field, getattr(self, field)))
        super().__post_init__()

    def varied(self, fields: Mapping[str, Any]) -> Experiment:
        """As every part is: what `__post_init__` does first is done for these fields alone."""
        types = field_types(Experiment)
        if "sweep" in fields or not fields.keys() <= types.keys():
            return self.replaced(**fields)
        worded = {n: own.as_word(n, v) if n in own.DECORATORS else v for n, v in fields.items()}
        varied = self._with({n: coercer(types[n])(v, n) for n, v in worded.items()})
        varied.check()
        return varied

    def _repr_html_(self) -> str:
        told = {n: repr(v) for n, v in self.beyond_defaults().items() if n != "sweep"}
        return as_table("Experiment, beyond the defaults", told) + self.sweep._repr_html_()

    def check(self) -> None:
        object.__setattr__(self, "changes", _with_short_names(self))
        object.__setattr__(self, "batch_size", _rows_or_share(self.batch_size))
        check_experiment(self)
        for stage in self.stages()[1:]:
            _ = stage.n_train
        if self.dtype == "float32":
            for part in parts(self).values():
                check_in_float32(part)
        check_sweep(self)
        if self.refine is not None:
            self.refined_axes()

    @property
    def n_train(self) -> int:
        """Training rows: the task's constant ones and `train_fraction` of the others.

        Whole rows or columns of the table where the split is one of those; of whole groups it is
        the number that is wished for, and `training.orders.sizes` the one that they come to.
        """
        if isinstance(self.split, GivenSplit):
            return round(self.split.share * self.split.sizes(self.task)[0])
        if self.split in ("rows", "columns"):
            assert self.task.operands is not None  # checked when the experiment was built
            kept, whole = self.task.operands[:: 1 if self.split == "rows" else -1]
            return round(self.train_fraction * kept) * whole
        always = self.task.n_always
        return always + round(self.train_fraction * (self.task.n_rows - always))

    @property
    def batch_rows(self) -> int | None:
        """Training rows in each update; None: all of them."""
        size = self.batch_size
        return max(1, round(size * self.n_train)) if isinstance(size, float) else size

    def resolved(self) -> Experiment:
        resolved, rows = super().resolved(), self.batch_rows
        return resolved if rows is self.batch_size else resolved._with({"batch_size": rows})

    def stages(self) -> list[Experiment]:
        """The experiment before the first change, between two of them, and after the last."""
        # Stages are of one run: an axis may go into the changes, which they do not have.
        stages = [self.replaced(changes=(), sweep=Sweep(), refine=None)] if self.changes else [self]
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

    @property
    def reasons_to_keep(self) -> tuple[str, ...]:
        """The stop reasons of the runs whose last state is kept."""
        return {None: (), "censored": ("budget",), "all": ("budget", "settled")}[self.keep_final]

    def derived(self) -> dict[str, Any]:
        return {"split_seed": self.seed, "loss_dtype": self.dtype}

    def row(self) -> dict[str, Any]:
        """The configuration of a run flat, as the `runs` table has it."""
        told = {p: plain(value) for p, value in leaves(self).items()} | checksums(self)
        if isinstance(self.split, GivenSplit):  # which has no use for the field
            told["train_fraction"] = self.n_train / self.task.n_rows
        return {column(p): v for p, v in told.items() if p.split(".")[0] not in OF_THE_SWEEP}

    @functools.cached_property
    def run_id(self) -> str:
        """Hash of what the run says beyond the defaults: the same run in any grid has one id."""
        told = identity(self, OF_THE_SWEEP)
        if self.batch_rows is not None:
            told["batch_size"] = self.batch_rows
        for at, change in enumerate(self.changes):
            # Under whole paths: a short name may not be the only one of its kind for ever.
            del told[f"changes.{at}"]
            new = {resolve_path(self, name): value for name, value in change.new}
            told = {p: v for p, v in told.items() if not p.startswith(f"changes.{at}.")}
            when: dict[str, Any] = {"step": change.step}
            if change.at is not None:  # the threshold decides about what is trained, then
                names = {"t_mem": "memorised", "t_grok": "grokked"}
                least = getattr(self.thresholds, names[change.at])
                when = {"at": change.at, "least": least, "delay": change.delay}
            told[f"changes.{at}"] = {**when, **new}
        return digest(told)


def _rows_or_share(size: float | None) -> float | None:
    """A batch size as a number of rows, or as a share below 1; None where it is all rows."""
    if size == -1 or (size == 1 and isinstance(size, float)):
        return None
    return int(size) if size is not None and size > 1 and size == int(size) else size


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
        short.append(change.with_names(new))
    return tuple(short)
