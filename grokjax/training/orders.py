"""The order in which the rows of a table enter a training set, and how many of them do.

Legend: N rows, G groups.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import tasks
from grokjax.config import Experiment, GivenSplit, GroupSplit, Task
from grokjax.config.coercion import require
from grokjax.config.splits import TEST, TRAIN
from grokjax.tasks import row_values
from grokjax.training.streams import permutation


def row_order(task: Task, split: object, split_seed: jax.Array | int) -> jax.Array:
    """Order `[N]` in which rows enter the training set as it grows.

    Of a given split the rows that may be trained on come first, then all test rows.

    Args:
      task: of the table.
      split: as an experiment has it.
      split_seed: of the random order.
    """
    table = tasks.build(task)
    always, n_rows = task.n_always, len(table.targets)
    if split == "random":
        free = permutation(split_seed, n_rows - always)
        return jnp.concatenate([jnp.arange(always, dtype=np.int32), always + free])
    if isinstance(split, GivenSplit):
        sets = np.array(split.sets(task))
        pool, test = (np.flatnonzero(sets == one).astype(np.int32) for one in (TRAIN, TEST))
        third = np.flatnonzero((sets != TRAIN) & (sets != TEST)).astype(np.int32)
        drawn = jnp.asarray(pool)[permutation(split_seed, len(pool))]
        return jnp.concatenate([drawn, test, third])
    rank = jnp.argsort(permutation(split_seed, n_rows))  # place of each row in a random order
    if split == "balanced":
        # A row's place within its class decides: the first row of every class enters, then the
        # second of every class, and so on. So any number of rows holds equally many of each class
        # (but for one, and as long as none has run out), with the random order between equals.
        classes = jnp.asarray(table.targets)
        in_classes = jnp.lexsort((rank, classes))
        counts = np.bincount(table.targets, minlength=table.n_classes)
        first = jnp.asarray(np.cumsum(counts) - counts)[classes[in_classes]]
        place = (
            jnp.zeros(n_rows, np.int32)
            .at[in_classes]
            .set((jnp.arange(n_rows) - first).astype(np.int32))
        )
        return jnp.lexsort((rank, place)).astype(np.int32)
    # All rows of a group enter at once: they stand together, groups in a random order, and the
    # number of training rows is that of whole groups.
    if isinstance(split, GroupSplit):
        values = row_values.groups(task, split.by)
    else:
        assert table.operands is not None  # checked when the experiment was built
        values = np.unique(table.operands[:, int(split == "columns")], return_inverse=True)[1]
    whole = jnp.argsort(permutation(split_seed, values.max() + 1))[values]
    return jnp.lexsort((rank, whole)).astype(np.int32)


def sizes(run: Experiment) -> tuple[int, int]:
    """Number of training and of test rows of a run without changes, or of a stage of one."""
    n_train, n_rows = run.n_train, run.task.n_rows
    if isinstance(run.split, GivenSplit):
        return n_train, run.split.sizes(run.task)[TEST]
    if isinstance(run.split, GroupSplit) and run.train_fraction < 1:
        seed = run.seed if run.split_seed is None else run.split_seed
        n_train = _whole_groups(run.task, run.split.by, run.train_fraction, seed)
        size = run.batch_rows
        remedy = f"whole groups come to {n_train} training rows with split_seed={seed}, give less"
        require(size is None or size <= n_train, "batch_size", size, remedy)
    return n_train, n_rows - n_train


@functools.lru_cache(maxsize=4096)
def _whole_groups(task: Task, by: str, fraction: float, split_seed: int) -> int:
    """Rows of so many groups, in the order of `row_order`, as come nearest to a fraction.

    One group is trained on at least, and one is not.
    """
    rows = np.bincount(row_values.groups(task, by))
    order = np.asarray(permutation(split_seed, len(rows)))
    entered = np.cumsum(rows[order])[:-1]
    return int(entered[np.argmin(np.abs(entered - fraction * rows.sum()))])
