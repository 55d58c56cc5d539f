"""What is compiled (`Spec`) and what is data (`Hparams`).

Legend: G stages of a run, one more than its changes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import Experiment, GivenSplit, Instrument, Task
from grokjax.config.splits import Split
from grokjax.training import orders
from grokjax.training.words import Words, words_of

PADDING = 1.05
"""Largest ratio of the padded to the real number of training rows in a program. Padding so wastes
a twentieth of the work at most, and training sets that differ by more have another compilation,
which takes seconds."""
NEVER = 2**31 - 1
"""More updates than any run has."""
TRACED = "traced"
"""Placeholder in a `Spec` for every number that the compiled program takes as an input."""


@dataclasses.dataclass(frozen=True)
class Capture:
    """When a program stores parameters of its runs: no more of the schedule than it must know.

    The steps themselves are data (`Hparams.snapshot_steps`), only their number is compiled in.
    """

    steps: int
    """Number of a run's snapshots at steps that are known before it starts."""
    memorised: float | None
    """Train accuracy at which parameters are stored when it is first reached; None: not at all."""
    grokked: float | None
    """Test accuracy at which parameters are stored when it is first reached; None: not at all."""
    optimizer: bool
    """Whether the optimiser's state is stored too."""
    ends: tuple[float, float] | None = None
    """Train and test accuracy of the stop rule, where parameters are stored when a run ends; None:
    they are not."""
    table: int = 0
    """Log points in a factor of ten at which instruments of the table look; 0: at none."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """Everything that shapes the compiled program; runs that share it share a compilation."""

    task: Task
    words: Words
    """Model, optimiser and so on with `TRACED` for every number: only their structure counts."""
    split: str | Split
    batch_size: int | None
    stages: int
    """Number of stages of a run, one more than its changes."""
    donates: bool
    """Whether its runs start from parameters of other runs."""
    donates_optimizer: bool
    """Whether they start from the optimiser's state of other runs, too."""
    capture: Capture | None
    """Which snapshots are taken; None: none."""
    instruments: tuple[Instrument, ...]
    log_every: int
    dtype: str
    loss_dtype: str
    matmul_precision: str
    train_rows: tuple[int, int]
    """Smallest and largest number of training rows that runs of the program may have."""
    tiles: int = 1
    """Number of pieces in which rows go through the network, to save memory; gradients add up."""
    row_multiple: int = 1
    """Number that the rows of a tile are padded to a multiple of, with rows of weight zero."""
    batches: str = "drop_last"
    """How batches are drawn, as `Experiment.batches` says."""
    label_noise_kind: str = "random_row"
    noise_class: int = 0
    change_moments: tuple[tuple[str, float] | None, ...] = ()
    """For every change at a moment the accuracy, and the value of it that is first reached then;
    None for changes at steps. Empty where all are."""

    @property
    def step_rows(self) -> int:
        """Number of training rows in an update."""
        return self.batch_size or self.train_rows[1]

    @property
    def test_rows(self) -> tuple[int, int]:
        """First place in the order of rows that may be of a test row, and the one after the last.

        Without test rows it is the first place, whose row is always trained on: so it counts for
        nothing, and losses and accuracies of no rows are no numbers.
        """
        first, end = self.train_rows[0], self.task.n_rows
        if isinstance(self.split, GivenSplit):
            first, test = self.split.sizes(self.task)
            end = first + test
        return (first, end) if first < end else (0, 1)

    @property
    def may_lack_tests(self) -> bool:
        """Whether a run of the program may have no test set, in all or in a stage of it."""
        return self.n_test(self.train_rows[1]) == 0

    def n_test(self, n_train: Any) -> Any:
        """Number of test rows, where so many are trained on."""
        if isinstance(self.split, GivenSplit):
            return self.split.sizes(self.task)[1]
        return self.task.n_rows - n_train

    @property
    def tile_rows(self) -> int:
        """Number of training rows that go through the network at a time."""
        return self.padded(self.step_rows) // self.tiles

    def padded(self, rows: int) -> int:
        """The number of rows after padding to whole tiles."""
        whole = self.tiles * self.row_multiple
        return math.ceil(rows / whole) * whole

    @property
    def sum_dtype(self) -> str:
        """Type in which losses of rows are summed: that of the loss, but no half precision."""
        return self.loss_dtype if self.loss_dtype in ("float32", "float64") else "float32"

    @property
    def double(self) -> bool:
        """Whether any number of the program is float64, which JAX must be told to allow."""
        return "float64" in (self.dtype, self.loss_dtype)

    @property
    def updates_see_the_network(self) -> bool:
        """Whether the loss that an update sees is that of the network on the training set."""
        elsewhere = any(modifier.moves_the_network for modifier in self.words.modifiers)
        random = self.words.model.dropout is not None or self.words.loss.random
        return self.batch_size is None and not random and not elsewhere


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Hparams:
    """The numbers of one run, inputs of its program; runs that train together are stacked."""

    words: Words
    """Model, optimiser and so on with the numbers of every stage: each leaf is `[G]`."""
    label_noise: jax.Array  # [G]
    n_train: jax.Array  # [G], number of training rows: all that the program knows of the fraction
    split_seed: jax.Array  # [G]
    change_steps: jax.Array  # [G - 1], of a change at a moment: the updates from that to it
    snapshot_steps: jax.Array  # [as many as the spec captures]
    stop: jax.Array  # [2], budget, and updates of calm after which it settles; [0] if of no use
    seed: jax.Array

    def at(self, step: jax.Array) -> tuple[jax.Array, Words]:
        """The stage that a step is in, and the words with the numbers of that stage."""
        stage = jnp.sum(step >= self.change_steps)
        return stage, jax.tree.map(lambda values: jnp.asarray(values)[stage], self.words)


def hparams(run: Experiment) -> Hparams:
    """The numbers of a run, as NumPy arrays of the program's dtype.

    >>> from grokjax import Experiment, ModularArithmetic
    >>> from grokjax.training.spec import hparams, spec_of
    >>> run = Experiment(task=ModularArithmetic(p=11), train_fraction=0.4)  # of 121 rows
    >>> hparams(run).n_train.tolist()  # an input of the program
    [48]
    >>> low, high = spec_of(run).train_rows  # compiled in, the same for runs of similar sizes
    >>> low <= 48 <= high
    True
    """
    real: Any = np.dtype(run.dtype).type
    stages = run.stages()

    def stacked(*values: Any) -> Any:
        return np.array([real(value) for value in values])

    as_arrays: Any = (
        stacked(*(stage.label_noise for stage in stages)),
        np.array([orders.sizes(stage)[0] for stage in stages], np.int32),
        np.array([s.seed if s.split_seed is None else s.split_seed for s in stages], np.uint32),
        np.array([change.when for change in run.changes], np.int32),
        np.array(snapshot_steps(run), np.int32),
        np.array(_stop(run), np.int32),
        np.uint32(run.seed),
    )
    return Hparams(jax.tree.map(stacked, *map(words_of, stages)), *as_arrays)


def shapes(spec: Spec) -> Hparams:
    """The shapes and dtypes of the numbers of a spec's runs."""

    def array(dtype: str, *shape: int) -> Any:
        return jax.ShapeDtypeStruct(shape, np.dtype(dtype))

    real = array(spec.dtype, spec.stages)
    return Hparams(
        words=jax.tree.map(lambda _: real, spec.words),
        label_noise=real,
        n_train=array("int32", spec.stages),
        split_seed=array("uint32", spec.stages),
        change_steps=array("int32", spec.stages - 1),
        snapshot_steps=array("int32", spec.capture.steps if spec.capture else 0),
        stop=array("int32", 2 if spec.capture and spec.capture.ends else 0),
        seed=array("uint32"),
    )


def calm_steps(run: Experiment) -> int | None:
    """Updates above both thresholds after which a run has settled; None: it never does."""
    if run.settle_steps is None:
        return None
    # Long enough, too, for a crossing to count as sustained. A run that is calm has had its
    # moments, so that with the longest delay in addition it is so after changes at these, too.
    delay = max((change.delay for change in run.changes), default=0)
    return max(run.settle_steps, run.thresholds.settle * run.log_every) + delay


def _stop(run: Experiment) -> tuple[int, ...]:
    """The numbers of the stop rule, where the program must know it."""
    if run.snapshots is None or "end" not in run.snapshots.moments:
        return ()
    calm = calm_steps(run)
    return run.steps, NEVER if calm is None else min(calm, NEVER)


def snapshot_steps(run: Experiment) -> tuple[int, ...]:
    """Steps of a run's snapshots, as far as they are known before it starts."""
    return () if run.snapshots is None else run.snapshots.steps(run.steps, run.log_every)


@functools.lru_cache(maxsize=64)
def spaced_steps(log_every: int, per_decade: int) -> tuple[int, ...]:
    """Step 0 and the log points nearest to steps evenly spaced in the logarithm, up to `NEVER`.

    They depend on no budget, so that a run which goes on under a larger one is measured at the
    steps that it would have been measured at from the start.

    >>> from grokjax.training.spec import spaced_steps
    >>> spaced_steps(10, 4)[:8]
    (0, 10, 20, 30, 60, 100, 180, 320)

    Args:
      log_every: updates from one log point to the next.
      per_decade: steps in a factor of ten.
    """
    decades = math.log10(NEVER // log_every)
    points = {round(10 ** (k / per_decade)) for k in range(int(per_decade * decades) + 1)}
    return tuple(log_every * point for point in (0, *sorted(points)))


def of_table(run: Experiment) -> tuple[Instrument, ...]:
    """The instruments that measure at the steps of the table."""
    return tuple(i for i in run.instruments if i.cadence == "table")


def spec_of(run: Experiment) -> Spec:
    """The program that a run belongs to."""
    most, split, moments = run.task.n_rows, run.split, moments_of(run)
    if isinstance(split, GivenSplit):
        most, split = 1 + split.sizes(run.task)[0], split.structure()
    rows = [row_bucket(orders.sizes(stage)[0], most) for stage in run.stages()]
    return Spec(
        task=run.task,
        words=_structure(words_of(run)),
        split=split,
        batch_size=run.batch_rows,
        stages=len(rows),
        donates=run.start is not None,
        donates_optimizer=run.start is not None and run.start.optimizer_state,
        capture=_capture(run),
        instruments=tuple(i for i in run.instruments if i.cadence == "log_points"),
        log_every=run.log_every,
        dtype=run.dtype,
        loss_dtype=run.loss_dtype or run.dtype,
        matmul_precision=run.matmul_precision,
        train_rows=(min(low for low, _ in rows), max(high for _, high in rows)),
        batches=run.batches,
        label_noise_kind=run.label_noise_kind,
        noise_class=run.noise_class,
        change_moments=moments if any(moments) else (),
    )


def moments_of(run: Experiment) -> tuple[tuple[str, float] | None, ...]:
    """For every change of a run the accuracy and the value that it waits for, if it does."""
    if not run.changes:
        return ()
    both = {
        "t_mem": ("train_accuracy", run.thresholds.memorised),
        "t_grok": ("test_accuracy", run.thresholds.grokked),
    }
    return tuple(None if change.at is None else both[change.at] for change in run.changes)


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most words in common
def _structure(words: Words) -> Words:
    return jax.tree.map(lambda _: TRACED, words)


def _capture(run: Experiment) -> Capture | None:
    schedule, instruments = run.snapshots, of_table(run)
    if schedule is None and not instruments:
        return None
    moments, thresholds = schedule.moments if schedule else (), run.thresholds
    stored = schedule is not None and schedule.with_optimizer
    return Capture(
        steps=len(snapshot_steps(run)),
        memorised=thresholds.memorised if "t_mem" in moments else None,
        grokked=thresholds.grokked if "t_grok" in moments else None,
        ends=(thresholds.memorised, thresholds.grokked) if "end" in moments else None,
        optimizer=stored or any(instrument.needs_optimizer for instrument in instruments),
        table=run.table_points_per_decade if instruments else 0,
    )


@functools.lru_cache(maxsize=4096)
def row_bucket(n_train: int, n_rows: int) -> tuple[int, int]:
    """Smallest and largest training set of the runs that share a program with this one.

    Sizes are cut into ranges that are the same for every sweep: 1 to 16, and then each about a
    twentieth longer than the last. The range of the sizes that a sweep happens to have would waste
    less; but then a run would be padded, and its sums rounded, otherwise in another sweep. So every
    bit of a run's curve is the same in whatever grid it stands.

    Args:
      n_train: number of training rows of the run.
      n_rows: number of rows of its table; one of them at least is a test row, but where all are
        trained on.
    """
    if n_train == n_rows:
        return n_rows, n_rows
    low, high = 1, 16
    while high < n_train:
        low, high = high + 1, max(high + 1, int(high * PADDING))
    return low, min(high, n_rows - 1)
