"""A sweep on several machines: what may be lost is engines and workers, what counts is in files.

An *engine* (Ray, SLURM, processes of this machine) places *attempts* at *shards*, which are some
runs of one program. Attempts write into the *depot*, a folder or bucket that all machines see; one
*driver* joins what is done there into a results folder like any other.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """The room's driver, for those below it who ask for it by name."""
    if name != "drive":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return importlib.import_module("grokjax.cluster.drive")
