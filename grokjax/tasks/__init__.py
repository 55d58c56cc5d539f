"""Finite tables: what there is to learn. NumPy only."""

from grokjax.tasks.registry import build
from grokjax.tasks.table import Table

__all__ = ["Table", "build"]
