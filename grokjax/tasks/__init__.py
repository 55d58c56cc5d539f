"""Finite tables: what there is to learn. NumPy only."""

from grokjax.tasks import boolean, groups, images, modular, regression, rows, sequences
from grokjax.tasks.dataset import Dataset, build

__all__ = [
    "Dataset",
    "boolean",
    "build",
    "groups",
    "images",
    "modular",
    "regression",
    "rows",
    "sequences",
]
