"""The whole of an experiment: base configuration, sweep and thresholds."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, Literal

from grokjax.config.axes import Sweep
from grokjax.config.fields import (
    Config,
    ConfigError,
    leaves,
    replace_paths,
    require,
    resolve_path,
    traced,
)
from grokjax.config.parts import AdamW, ModularArithmetic, Refine, Transformer

SECTIONS = ("task", "model", "optimizer")
OF_THE_SWEEP = ("thresholds", "sweep", "refine")
"""Fields that are no part of a run."""
SEEDS = ("seed", "split_seed")
"""Fields that make repetitions and no conditions."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds(Config):
    """What counts as memorised, grokked and so on; stored with every result.

    Accuracies are fractions of 1, `settle` counts log points, gaps are in steps.
    """

    memorised: float = 0.99
    """Train accuracy at t_mem."""
    grokked: float = 0.90
    """Test accuracy at t_grok."""
    also: tuple[float, ...] = (0.5, 0.95, 0.99)
    """Further test accuracies whose crossing times are reported."""
    settle: int = 10
    """Log points that a sustained crossing lasts, at least."""
    gap_rule: Literal["steps", "ratio"] = "steps"
    """What tells grokking from comprehension: the gap in steps or t_grok / t_mem."""
    gap_steps: int = 1000
    """Liu et al. 2022, for their learning rate."""
    gap_ratio: float = 5.0
    above_chance: float = 0.1
    """Test accuracy further than this above chance is more than chance."""
    smooth_steps: int = 100
    """Window of the moving averages behind the argmax detector and double descent."""
    collapse_drop: float = 0.2
    """A collapse is a fall of test accuracy to so much below `grokked`."""
    plateau_share: float = 0.2
    """Share of the log points, at the end of a run, over which it may be called partial."""
    plateau_spread: float = 0.1
    """Variation of test accuracy that a plateau may have."""
    descent_ratio: float = 1.2
    """Factor by which test loss falls, rises and falls in a double descent."""

    def check(self) -> None:
        for name in ("memorised", "grokked"):
            value = getattr(self, name)
            require(0 < value <= 1, name, value, "an accuracy threshold lies in (0, 1]")
        for value in self.also:
            require(0 < value <= 1, "also", value, "an accuracy threshold lies in (0, 1]")
        require(self.settle >= 1, "settle", self.settle, "give 1 log point or more")
        require(self.gap_steps >= 0, "gap_steps", self.gap_steps, "give 0 or more")
        require(self.smooth_steps >= 1, "smooth_steps", self.smooth_steps, "give 1 step or more")
        for name in ("gap_ratio", "descent_ratio"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        for name in ("above_chance", "collapse_drop", "plateau_share", "plateau_spread"):
            value = getattr(self, name)
            require(0 < value < 1, name, value, "give a share strictly between 0 and 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Config):
    """A base configuration and the sweep over it.

    With an empty sweep it is a single run, and each cell of a sweep is one.
    """

    task: ModularArithmetic = ModularArithmetic()
    model: Transformer = Transformer()
    optimizer: AdamW = AdamW()
    train_fraction: float = traced(0.5)
    """Share of the table's rows to train on; the rest is the test set."""
    seed: int = traced(0)
    """Of the initial weights."""
    split_seed: int | None = traced(None)
    """Of the train/test split; the seed when left out."""
    steps: int = 20_000
    """Budget of a run, in optimiser updates."""
    settle_steps: int | None = 2000
    """A run ends early once train and test accuracy have been at or above the thresholds
    `memorised` and `grokked` at every log point of so many updates, and of `settle` log points
    at least; None: never early."""
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
        super().__post_init__()

    def check(self) -> None:
        fraction, rows = self.train_fraction, self.task.n_rows
        remedy = "the train fraction lies strictly between 0 and 1"
        require(0 < fraction < 1, "train_fraction", fraction, remedy)
        remedy = f"{self.n_train} of the table's {rows} rows to train on leave "
        remedy += "none" if self.n_train < 1 else "no test row"
        remedy += ", choose a larger fraction" if self.n_train < 1 else ", choose a smaller one"
        require(0 < self.n_train < rows, "train_fraction", fraction, remedy)
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            remedy = "give a seed between 0 and 2**32 - 1"
            require(value is None or 0 <= value < 2**32, name, value, remedy)
        require(self.log_every >= 1, "log_every", self.log_every, "give 1 step or more")
        require(1 <= self.steps < 2**31, "steps", self.steps, "give 1 step or more, below 2**31")
        remedy = f"the budget must be a multiple of log_every={self.log_every}"
        require(self.steps % self.log_every == 0, "steps", self.steps, remedy)
        name, settle = "settle_steps", self.settle_steps
        require(settle is None or settle >= 0, name, settle, "give 0 steps or more, or None")
        remedy = "a float64 network needs a float64 loss, leave it out"
        narrow = self.dtype == "float64" and self.loss_dtype == "float32"
        require(not narrow, "loss_dtype", self.loss_dtype, remedy)
        if self.dtype == "float32":
            for part in (self.model, self.optimizer):
                for name, value in part.numbers().items():
                    _check_in_float32(part, name, value)
        if self.refine is not None:
            self.refined_axes()

    @property
    def n_train(self) -> int:
        """Training rows: `round(train_fraction · rows)`."""
        return round(self.train_fraction * self.task.n_rows)

    def runs(self) -> list[Experiment]:
        """Every distinct run of the sweep, resolved and checked, in the sweep's order."""
        runs: dict[str, Experiment] = {}
        for cell in self.sweep.cells:
            values = {resolve_path(self, name): value for name, value in cell.items()}
            if len(values) < len(cell):
                raise ConfigError(f"{', '.join(cell)}: two of these name the same field, drop one.")
            for path in values:
                if path.split(".")[0] in OF_THE_SWEEP:
                    raise ConfigError(f"{path}: this field belongs to the whole sweep, no axis.")
            run = replace_paths(self, {**values, "sweep": Sweep(), "refine": None}).resolved()
            runs.setdefault(run.run_id, run)
        return list(runs.values())

    def axes(self) -> dict[str, list[Any]]:
        """Dotted path → the values it takes, for the fields that the sweep names."""
        named = {resolve_path(self, name) for cell in self.sweep.cells for name in cell}
        axes: dict[str, list[Any]] = {}
        for run in self.runs():
            for path, value in leaves(run).items():
                if path in named or path.split(".")[0] in named:
                    values = axes.setdefault(path, [])
                    if value not in values:
                        values.append(value)
        return axes

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

    def resolved(self) -> Experiment:
        """The run with every derived default written out."""
        width = self.model.head_width or self.model.width // self.model.heads
        seed = self.seed if self.split_seed is None else self.split_seed
        loss_dtype = self.loss_dtype or self.dtype
        derived = {"model.head_width": width, "split_seed": seed, "loss_dtype": loss_dtype}
        return replace_paths(self, derived)

    def row(self) -> dict[str, Any]:
        """The configuration of a run flat, as the `runs` table has it."""
        row: dict[str, Any] = {}
        for path, value in leaves(self).items():
            head, _, rest = path.partition(".")
            if head in SECTIONS:
                row.setdefault(head, getattr(self, head).kind)
            if head not in OF_THE_SWEEP:
                row[rest or head] = value
        return row

    @property
    def run_id(self) -> str:
        """Hash of the resolved configuration: the same run in any grid has the same id."""
        return digest(self.resolved().row())


def _check_in_float32(part: Config, name: str, value: float) -> None:
    """Refuse a number that makes sense until the program rounds it: b2 = 0.99999999 is 1."""
    try:
        rounded = type(value)(struct.unpack("f", struct.pack("f", value))[0])
        dataclasses.replace(part, **{name: rounded})
    except (ConfigError, OverflowError):
        remedy = "float32 cannot hold it, choose another value or dtype='float64'"
        raise ConfigError(f"{name}={value!r}: {remedy}.") from None


def digest(value: Mapping[str, Any]) -> str:
    """A short stable name for a mapping of plain values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
