"""Sweeps that die at a chosen step, and what their folders hold then; `crash` tries every operation."""

import dataclasses
import pathlib

import pandas as pd

import grokjax
from grokjax.engine.checkpoint import Checkpoints
from grokjax.results import manifest
from grokjax.results import store as store_module
from grokjax.results.schema import CLOCK_COLUMNS

ORDER = {"runs": ["run_id"], "curves": ["run_id", "step"]}


def small():
    return grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=100,
        log_every=10,
    )


def swept(experiment, **axes):
    return dataclasses.replace(experiment, sweep=grokjax.grid(**axes))


def tables(folder):
    """Both tables as they lie on disk, without the columns that tell the time."""
    runs = pd.read_parquet(folder / "runs").drop(columns=list(CLOCK_COLUMNS))
    return runs, pd.read_parquet(folder / "curves")


def assert_same_tables(folder, other):
    for found, expected in zip(tables(folder), tables(other), strict=True):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def assert_same_rows(folder, other):
    """The same bits, in whatever order the runs were trained."""
    for name, found, expected in zip(ORDER, tables(folder), tables(other), strict=True):
        found, expected = (t.sort_values(ORDER[name], ignore_index=True) for t in (found, expected))
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def snapshot(folder):
    """Every file below a folder with its content."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs, no handler catches it."""


WRITES = (
    (store_module, "write_table"),
    (store_module, "write_atomically"),
    (Checkpoints, "save"),
    (manifest, "write"),
)
"""The file operations of the commit protocol."""
MOVES = ((pathlib.Path, "replace"), (pathlib.Path, "unlink"))
"""What makes their files count, and removes those that do not any more."""


def crash_before_nth_write(monkeypatch, n, after, operations=WRITES):
    """Die at the n-th of some operations, before or after doing it."""
    count = 0

    def deadly(operation):
        def wrapped(*args, **kwargs):
            nonlocal count
            if isinstance(args[0], pathlib.Path) and ".work" in args[0].parts:
                return operation(*args, **kwargs)  # the checkpoint is one operation
            count += 1
            mine = count  # the operations that this one is made of count too
            if mine == n and not after:
                raise Killed
            result = operation(*args, **kwargs)
            if mine == n:
                raise Killed
            return result

        return wrapped

    for owner, name in operations:
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
