"""Rows of a table that are there more than once, and those that stand on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from grokjax import tasks
from grokjax.config import Experiment, GivenSplit, Task
from grokjax.config.splits import TEST, TRAIN
from grokjax.training import orders

MOST_SPLITS = 200
"""Splits of a table that are looked at; further ones are as likely to share rows."""


def warnings(runs: Iterable[Experiment]) -> list[str]:
    """A sentence for every table of the runs that has equal rows, with how many there are."""
    splits: dict[Task, dict[tuple, Experiment]] = {}
    for run in runs:
        for stage in run.stages():
            seed = stage.seed if stage.split_seed is None else stage.split_seed
            of_task = splits.setdefault(stage.task, {})
            of_task.setdefault((stage.split, stage.train_fraction, seed), stage)
    found = (_sentence(task, list(of_task.values())) for task, of_task in splits.items())
    return [sentence for sentence in found if sentence]


def _sentence(task: Task, stages: list[Experiment]) -> str:
    table = tasks.build(task)
    rows = _numbered(table.inputs)
    repeated = len(rows) - (rows.max() + 1)
    if not repeated:
        return ""
    answers = len(np.unique(np.stack([rows, _numbered(table.answer)], axis=1), axis=0))
    told = (
        f"{getattr(task, 'table_name', task.kind)}: {repeated} of {len(rows)} rows repeat another"
    )
    if differ := answers - (rows.max() + 1):
        told += f", {differ} of them with another answer"
    worst = max(
        (on_both_sides(stage, rows) for stage in stages[:MOST_SPLITS]), key=lambda two: two[0]
    )
    if worst[0]:
        told += f"; {worst[0]} of {worst[1]} test rows are training rows too"
        told += " where it is most" * (len(stages) > 1)
        told += ", so that test accuracy counts what was memorised"
    return told


def _numbered(values: np.ndarray) -> np.ndarray:
    """A number `[N]` for every different row of values `[N]` or `[N, T]`."""
    found: np.ndarray = np.unique(values, axis=0, return_inverse=True)[1]
    return found.reshape(-1)


def on_both_sides(stage: Experiment, rows: np.ndarray) -> tuple[int, int]:
    """How many test rows of a run equal a training row, and how many test rows there are.

    Args:
      stage: a run without changes.
      rows: a number for every different row of its table `[N]`.
    """
    n_train, n_test = orders.sizes(stage)
    if isinstance(stage.split, GivenSplit) and stage.split.share == 1:
        sets = np.array(stage.split.sets(stage.task))
        train, test = rows[sets == TRAIN], rows[sets == TEST]
    else:
        seed = stage.seed if stage.split_seed is None else stage.split_seed
        order = np.asarray(orders.row_order(stage.task, stage.split, seed))
        train = rows[order[:n_train]]
        first = len(order) - n_test
        if isinstance(stage.split, GivenSplit):
            first = stage.split.sizes(stage.task)[TRAIN]
        test = rows[order[first : first + n_test]]
    return int(np.isin(test, train).sum()), n_test
