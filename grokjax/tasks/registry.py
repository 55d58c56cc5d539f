"""Which function builds the table of which task."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from grokjax.config.parts import Task
from grokjax.tasks import boolean, given, groups, images, modular, regression, sequences
from grokjax.tasks.table import Table

BUILDERS: dict[str, Callable[[Any], Table]] = {
    "modular_arithmetic": modular.modular_arithmetic,
    "group": groups.group,
    "sparse_parity": boolean.sparse_parity,
    "majority": boolean.majority,
    "conjunction": boolean.conjunction,
    "polynomial_regression": regression.polynomial_regression,
    "teacher_student": regression.teacher_student,
    "digits": images.digits,
    "mnist": images.mnist,
    "sequence": sequences.sequence,
    "reachability": sequences.reachability,
    "program": sequences.program,
    "two_hop": sequences.two_hop,
    "table": given.table,
}


@functools.cache
def build(task: Task) -> Table:
    """The table of a task."""
    return BUILDERS[task.kind](task)
