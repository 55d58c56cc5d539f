"""Figures for a paper, from DataFrames.

Each function draws in a figure of its own, or in what `ax=` or `subfigure=` gives it, and returns a
`drawn.Drawn`: the axes, the figure, the handles of its legend and the tables that it shows.

`maps` (phases, probabilities, times over two axes), `curves` (over steps), `trends` (laws, scans,
variance) draw; `drawn` saves them as PNG and PDF; `gallery` says which of them a sweep has the axes
for, and `registry.figure` puts one of your own beside them.
"""

import importlib
from typing import Any

__all__ = ["curves", "drawn", "gallery", "maps", "registry", "style", "trends"]


def __getattr__(name: str) -> Any:
    """Import a module when it is first asked for."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
