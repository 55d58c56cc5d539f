"""Curves of other programs in, and ours out: what a PyTorch loop leaves, and what others read.

Nothing here trains, and no JAX is imported. `read.read_curves` makes a results folder of the
store's schema out of tables, logs, event files and trackers; `write` goes the other way.

| module | what it does |
|---|---|
| `names` | what a column of another program is called here: the recorded synonyms |
| `formats`, `json_curves`, `text_logs`, `event_files` | files → their tables |
| `config_files` | the hyperparameters that stand beside them |
| `wandb_files`, `wandb_runs` | what Weights & Biases has, on disk and in a project |
| `columns`, `runs` | tables → the curve and the hyperparameters of each run |
| `sources` | what is given, in files or in memory → all tables of it |
| `read`, `measured`, `folder` | runs → a results folder, whose manifest says what is not known |
| `write` | results → CSV, TensorBoard, Weights & Biases, xarray |
"""

import importlib
from typing import Any

__all__ = ["names", "read", "write"]


def __getattr__(name: str) -> Any:
    """Import a module when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
