"""Finite tables: what there is to learn. NumPy only."""

from grokjax.tasks.table import Table, build

__all__ = ["Table", "build"]
