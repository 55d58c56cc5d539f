"""The datasets of tasks: finite tables of rows and targets, made with NumPy alone."""

from grokjax.tasks import (
    boolean,
    groups,
    images,
    modular,
    operation,
    regression,
    rows,
    sequences,
)
from grokjax.tasks.dataset import Dataset, build
from grokjax.tasks.structure import Structure, cosets, structure, subgroups

__all__ = [
    "Dataset",
    "Structure",
    "boolean",
    "build",
    "cosets",
    "groups",
    "images",
    "modular",
    "operation",
    "regression",
    "rows",
    "sequences",
    "structure",
    "subgroups",
]
