"""Fields of an experiment that contradict each other, each refused in one sentence."""

from __future__ import annotations

import contextlib
import functools
import math
import struct
from typing import TYPE_CHECKING

from grokjax.config.coercion import ConfigError, require, share
from grokjax.config.parts import PerturbingModifier
from grokjax.config.splits import GivenSplit, Split

if TYPE_CHECKING:
    from grokjax.config.experiment import Experiment
    from grokjax.config.fields import Config
    from grokjax.config.parts import Instrument

MOST_ROWS = 2**22
"""Largest number of rows in a table: with more, hundreds of runs would not fit a device."""


def check_experiment(experiment: Experiment) -> None:
    """Raise `ConfigError` where the fields of an experiment do not go together."""
    _check_split(experiment)
    _check_numbers(experiment)
    _check_model(experiment)
    _check_loss(experiment)
    _check_changes(experiment)
    _check_snapshots(experiment)
    static = {"task": (experiment.task,), "instruments": experiment.instruments}
    for field, words in static.items():
        for name in (name for word in words for name in word.traced_values()):
            remedy = "nothing of it is an input of the program, make it a plain field"
            require(False, f"{field}, {name}", "traced", remedy)
    for instrument in experiment.instruments:
        _check_instrument(experiment, instrument)
    kinds = [instrument.kind for instrument in experiment.instruments]
    remedy = "one of them is there twice, and their rows could not be told apart, drop one"
    require(len(set(kinds)) == len(kinds), "instruments", kinds, remedy)
    perturbing = [m.kind for m in experiment.modifiers if isinstance(m, PerturbingModifier)]
    remedy = "both say where the gradient is taken, keep one"
    require(len(perturbing) < 2, "modifiers", " and ".join(perturbing), remedy)


@functools.lru_cache(maxsize=4096)  # the runs of a sweep have most parts in common
def check_in_float32(part: Config) -> None:
    """Refuse numbers that make sense until the program rounds them: b2 = 0.99999999 is 1."""
    values = part.traced_values()
    with contextlib.suppress(ConfigError, OverflowError):
        part._with({name: _in_float32(value) for name, value in values.items()}).check()
        return
    for name, value in values.items():
        try:
            part._with({name: _in_float32(value)}).check()
        except (ConfigError, OverflowError):
            remedy = "float32 cannot hold it, choose another value or dtype='float64'"
            raise ConfigError(f"{name}={value!r}: {remedy}.") from None


def _in_float32(value: float) -> float:
    rounded = struct.unpack("f", struct.pack("f", value))[0]
    if math.isinf(rounded):
        raise OverflowError
    return type(value)(rounded)


def _check_split(experiment: Experiment) -> None:
    fraction, task, split = experiment.train_fraction, experiment.task, experiment.split
    remedy = "it is a share of the table's rows, give one above 0 and up to 1 (no test set)"
    remedy = share(fraction, remedy)
    if 100 < fraction <= task.n_rows:
        remedy += f": for {fraction:g} of its {task.n_rows} rows give {fraction / task.n_rows:.4g}"
    require(0 < fraction <= 1, "train_fraction", fraction, remedy)
    if isinstance(split, Split):
        split.check_task(task)
        default = type(experiment).train_fraction
        remedy = (
            "the split is given, leave it out; GivenSplit(share=…) trains on a part of its rows"
        )
        unused = fraction == default or not isinstance(split, GivenSplit)
        require(unused, "train_fraction", fraction, remedy)
    else:
        remedy = (
            "the rows of the table say which set they are in, give split=GivenSplit(), or read "
        )
        remedy += "it without its sets"
        require(not task.given_sets, "split", split, remedy)
        _check_choice(experiment)
    _check_sizes(experiment)


def _check_choice(experiment: Experiment) -> None:
    """A split by chance, and what of a table it looks at."""
    task, split = experiment.task, experiment.split
    remedy = f"the rows of {task.kind} are no pairs of two operands, give split='random'"
    require(split in ("random", "balanced") or task.operands is not None, "split", split, remedy)
    remedy = f"only classes can be balanced, and {task.kind} has none, give split='random'"
    require(split != "balanced" or task.target_kind == "classes", "split", split, remedy)
    remedy = f"{task.kind} has rows that are always trained on, give split='random'"
    require(split == "random" or not task.n_always, "split", split, remedy)


def _check_sizes(experiment: Experiment) -> None:
    """Training rows, and what they are too few for."""
    fraction, task = experiment.train_fraction, experiment.task
    rows, n_train = task.n_rows, experiment.n_train
    require(rows <= MOST_ROWS, "task", task.kind, f"its {rows} rows are more than {MOST_ROWS}")
    remedy = f"{n_train} of the table's {rows} rows to train on leave "
    remedy += "none" if n_train < 1 else "no test row"
    remedy += (
        ", choose a larger fraction" if n_train < 1 else ", choose a smaller one, or 1 for none"
    )
    if isinstance(experiment.split, GivenSplit):
        require(n_train > 0, "share", experiment.split.share, remedy)
    else:
        require(0 < n_train < rows or fraction == 1, "train_fraction", fraction, remedy)
    noise = experiment.label_noise
    require(0 <= noise <= 1, "label_noise", noise, share(noise, "give a share in [0, 1]"))
    remedy = f"the rows of {task.kind} hold their own answers, leave it at 0"
    require(noise == 0 or not task.teacher_forced, "label_noise", noise, remedy)
    kind, wrong = experiment.label_noise_kind, experiment.noise_class
    remedy = f"the targets of {task.kind} are no classes, give label_noise_kind='random_row'"
    require(kind == "random_row" or task.target_kind == "classes", "label_noise_kind", kind, remedy)
    require(wrong >= 0, "noise_class", wrong, "give the number of a class, 0 or more")
    remedy = "only label_noise_kind='fixed' looks at it, give that too"
    require(wrong == 0 or kind == "fixed", "noise_class", wrong, remedy)
    _check_batches(experiment)


def _check_batches(experiment: Experiment) -> None:
    size, n_train = experiment.batch_size, experiment.n_train
    whole = "leave it out (None) for all of them in every update"
    remedy = f"there are only {n_train} training rows, {whole}, or give a share such as 0.5"
    require(size is None or size <= n_train, "batch_size", size, remedy)
    remedy = f"give a number of the {n_train} training rows, a share of them below 1 such as 0.5, "
    remedy += f"or {whole}"
    fits = size is None or (0 < size < 1 if isinstance(size, float) else size >= 1)
    require(fits, "batch_size", size, remedy)
    remedy = "without batch_size every update uses all training rows, give batch_size too"
    drawn = experiment.batches == "drop_last" or size is not None
    require(drawn, "batches", experiment.batches, remedy)


def _check_numbers(experiment: Experiment) -> None:
    for name in ("seed", "split_seed"):
        value = getattr(experiment, name)
        remedy = "give a seed between 0 and 2**32 - 1"
        require(value is None or 0 <= value < 2**32, name, value, remedy)
    log_every, steps = experiment.log_every, experiment.steps
    require(log_every >= 1, "log_every", log_every, "give 1 step or more")
    require(1 <= steps < 2**31, "steps", steps, "give 1 step or more, below 2**31")
    remedy = f"the budget must be a multiple of log_every={log_every}"
    require(steps % log_every == 0, "steps", steps, remedy)
    points = experiment.table_points_per_decade
    remedy = "give 1 to 1000 points in a factor of ten"
    require(1 <= points <= 1000, "table_points_per_decade", points, remedy)
    settle = experiment.settle_steps
    require(settle is None or settle >= 0, "settle_steps", settle, "give 0 steps or more, or None")
    remedy = "a float64 network needs a float64 loss, leave it out"
    narrow = experiment.dtype == "float64" and experiment.loss_dtype not in (None, "float64")
    require(not narrow, "loss_dtype", experiment.loss_dtype, remedy)


def _check_model(experiment: Experiment) -> None:
    model, optimizer = experiment.model, experiment.optimizer
    model.check_task(experiment.task)
    scaling = getattr(model, "scaling", "")
    remedy = f"µP has no rule for {type(optimizer).__name__} here, give another optimiser or "
    remedy += "scaling='standard'"
    require(optimizer.scales_with_width or scaling != "mup", "scaling", scaling, remedy)


def _check_loss(experiment: Experiment) -> None:
    loss, task = experiment.loss, experiment.task
    remedy = f"the targets of {task.kind} are numbers, give loss=MeanSquaredError()"
    require(loss.real or task.target_kind != "real", "loss", loss.kind, remedy)
    remedy = f"the inputs of {task.kind} are numbers and no tokens to predict, leave it out"
    require(task.loss_on == "answer" or task.encoding == "tokens", "loss_on", task.loss_on, remedy)
    remedy = f"the targets of {task.kind} are numbers and no tokens to predict, leave it out"
    require(task.loss_on == "answer" or task.target_kind != "real", "loss_on", task.loss_on, remedy)
    loss.check_task(task)


def _check_changes(experiment: Experiment) -> None:
    steps = [change.step for change in experiment.changes if change.step is not None]
    remedy = "give them in the order of their steps, no two at the same"
    require(steps == sorted(set(steps)), "changes", steps, remedy)
    remedy = f"the last lies beyond the budget of {experiment.steps} steps"
    require(not steps or steps[-1] < experiment.steps, "changes", steps, remedy)
    delays = [change.delay for change in experiment.changes]
    remedy = f"the longest lies beyond the budget of {experiment.steps} steps"
    require(max(delays, default=0) < experiment.steps, "changes.delay", delays, remedy)
    waits = any(change.at is not None for change in experiment.changes)
    for instrument in experiment.instruments:
        remedy = "it measures a step's network later, when nothing tells which changes at moments "
        remedy += "had come, leave it out"
        late = waits and instrument.cadence != "log_points"
        require(not late, "instruments", instrument.kind, remedy)


def _check_snapshots(experiment: Experiment) -> None:
    if experiment.start is not None:
        for name, value in experiment.model.traced_values().items():
            remedy = "the donor's weights are taken as they are, leave it at 1"
            require(not name.endswith("init_scale") or value == 1, name, value, remedy)
    if experiment.snapshots is None:
        return
    every, budget = experiment.log_every, experiment.steps
    for step in experiment.snapshots.at:
        remedy = f"give multiples of log_every={every} up to the budget of {budget}"
        require(0 <= step <= budget and step % every == 0, "snapshots.at", step, remedy)


def _check_instrument(experiment: Experiment, instrument: Instrument) -> None:
    why = instrument.why_not(experiment.task, experiment.model)
    require(why is None, "instruments", instrument.kind, f"{why}, leave it out")
    clips = any(modifier.clips for modifier in experiment.modifiers)
    remedy = "nothing clips gradients, give modifiers=[ClipNorm(max_norm=1.0)] too"
    require(clips or not instrument.of_updates, "instruments", instrument.kind, remedy)
    if instrument.cadence != "snapshots":
        return
    schedule = experiment.snapshots
    remedy = "it measures snapshots, give snapshots=SnapshotSchedule(moments=('end',))"
    require(schedule is not None, "instruments", instrument.kind, remedy)
