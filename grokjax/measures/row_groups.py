"""Loss and accuracy of groups of rows.

Legend: N rows of the dataset, M training rows with padding, G groups.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.config import ConfigError, Operations, RowGroups, Task
from grokjax.config.fields import blamed
from grokjax.config.splits import THIRD
from grokjax.measures.observed import Observed, measured
from grokjax.tasks import row_values

MOST_GROUPS = 128
"""Groups of a table: each is four numbers at every log point of every run."""


@measured.register
def row_groups(instrument: RowGroups, observed: Observed) -> dict[str, Any]:
    """Means over the training rows and over the test rows of each group."""
    names, group = groups_of(instrument, observed.task)
    truth = jnp.asarray(observed.dataset.targets)

    def over(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _means(observed, observed.outputs, truth, group, len(names), rows)

    train = observed.train
    outputs = observed.outputs[train.index]
    of_rows = jnp.asarray(group)[train.index]
    on_train = _means(observed, outputs, train.labels, of_rows, len(names), train.weights > 0)
    splits = {"train": on_train, "test": over(observed.tested_on)}
    if observed.sets is not None and (observed.sets == THIRD).any():
        splits["third"] = over(jnp.asarray(observed.sets == THIRD))
    return {
        name: {
            f"{split}_{what}": values[at]
            for split, (loss, accuracy) in splits.items()
            for what, values in (("loss", loss), ("accuracy", accuracy))
        }
        for at, name in enumerate(names)
    }


def _means(
    observed: Observed, outputs: Any, targets: Any, group: Any, n_groups: int, counted: Any
) -> tuple[jax.Array, jax.Array]:
    """Mean loss and accuracy of each group, `[G]` each, NaN where it has no row that counts."""
    of_group = jnp.asarray(group)[None] == jnp.arange(n_groups, dtype=jnp.int32)[:, None]
    inside = of_group & counted[None]  # [G, rows]
    losses = observed.row_losses(outputs, targets)
    right = jax.vmap(lambda rows: observed.count_right(outputs, targets, rows))(inside)
    n = jnp.sum(inside, axis=1).astype(losses.dtype)
    # A row outside may have any loss, infinite ones too, so it is left out and not multiplied by 0.
    total = jnp.sum(jnp.where(inside, losses[None], 0), axis=1)
    n = jnp.where(n > 0, n, jnp.nan)
    return total / n, right.astype(n.dtype) / n


@functools.lru_cache(maxsize=32)
def groups_of(instrument: RowGroups, task: Task) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the groups `[G]`, in ascending order, and the number of each row's group `[N]`.

    Raises:
      ConfigError: rows have not what the formula is of, or there are too many groups.
    """
    dataset = tasks.build(task)
    with blamed(instrument):
        labels = instrument.groups(dataset)
    field, by_formula = f"instruments={instrument.kind!r}", labels is None
    if by_formula:
        field, labels = f"by={instrument.by!r}", row_values.values("by", instrument.by, task)
    labels = np.asarray(labels)
    if labels.shape != (len(dataset.targets),) or labels.dtype.kind not in "iubUO":
        raise ConfigError(
            f"{field}: for {len(dataset.targets)} rows it gives {labels.dtype} "
            f"{list(labels.shape)}, return the number or the name of a group for each."
        )
    labels = labels.astype(str) if labels.dtype == object else labels
    found, group = np.unique(labels, return_inverse=True)
    if len(found) > MOST_GROUPS:
        raise ConfigError(
            f"{field}: it makes {len(found)} groups, and {MOST_GROUPS} is the most, so make "
            "larger ones, with % say."
        )
    names = [str(label) for label in found.tolist()]
    if by_formula and instrument.by.strip() == "operation":
        assert isinstance(task, Operations)  # `why_not` has looked
        names = [task.names[label] for label in found]
    elif by_formula:
        names = [f"{instrument.by}: {name}" for name in names]
    return tuple(names), group.astype(np.int32)
