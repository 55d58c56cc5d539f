"""Figures for a paper, from DataFrames: each function returns what it drew, a `drawn.Drawn`.

`maps` (phases, probabilities, times over two axes), `curves` (over steps), `trends` (laws, scans,
variance), `instruments` (what was measured), `row_groups` and `forecasts` draw, into a figure of
their own or into `ax=` (of several panels: `subfigure=`), which is how panels come together in one
figure (`experiments/paper_figure.py`). `style` is that of a paper; `gallery` says which of them a
sweep has the axes for, and `registry.figure` puts one of your own beside them.
"""

import importlib
from typing import Any

__all__ = [
    "curves",
    "drawn",
    "forecasts",
    "gallery",
    "instruments",
    "maps",
    "registry",
    "row_groups",
    "style",
    "trends",
]


def __getattr__(name: str) -> Any:
    """Import a module when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
