"""A user's own rows."""

from __future__ import annotations

import numpy as np

from grokjax.config.rows import Table
from grokjax.tasks.dataset import Dataset, make_dataset


@make_dataset.register
def table(task: Table) -> Dataset:
    """The rows as arrays; as many tokens and classes as the largest makes necessary."""
    tokens, classes = task.inputs.whole, task.targets.whole
    return Dataset(
        inputs=np.array(task.inputs, np.int32 if tokens else np.float64),
        targets=np.array(task.targets, np.int32 if classes else np.float64),
        vocabulary=int(task.inputs.largest) + 1 if tokens else 0,
        n_classes=int(task.targets.largest) + 1 if classes else 1,
        tolerance=0.0 if classes else task.tolerance,
    )
