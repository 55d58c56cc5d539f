"""What instruments observe of a network: built here, of what training knows."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from grokjax import tasks
from grokjax.config import GivenSplit
from grokjax.measures import Observed, TrainingRows
from grokjax.models import Layout
from grokjax.training import losses
from grokjax.training.data import Rows
from grokjax.training.spec import Spec
from grokjax.training.words import Words


def observed(
    spec: Spec, words: Words, layout: Layout, params: dict, train: TrainingRows, **more: Any
) -> Observed:
    """What instruments see of a network.

    Args:
      spec: the program of its run.
      words: its parts with the numbers of the step.
      layout: which activations of the table are computed once.
      params: its parameters.
      train: its training rows.
      **more: further fields of `Observed`.
    """

    def row_losses(outputs: jax.Array, labels: jax.Array) -> jax.Array:
        outputs = losses.one_by_one(outputs, labels)
        each = losses.in_dtype(words.loss, outputs, labels, spec.loss_dtype)
        return each.reshape(len(each), -1).mean(axis=1)

    def count_right(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return losses.hits(spec.task, dataset, outputs, targets, weights)

    dataset = tasks.build(spec.task)
    return Observed(
        params=params,
        model=words.model,
        task=spec.task,
        dataset=dataset,
        layout=layout,
        train=train,
        row_losses=row_losses,
        count_right=count_right,
        optimizer=words.optimizer,
        sets=np.array(spec.split.sets(spec.task)) if isinstance(spec.split, GivenSplit) else None,
        **more,
    )


def training_rows(train: Rows, stage: jax.Array) -> TrainingRows:
    """The training rows of a stage, in one piece."""
    rows: Rows = jax.tree.map(lambda x: x[stage].reshape(-1, *x.shape[3:]), train)
    return TrainingRows(rows.index, rows.targets, rows.weights)
