"""What a figure function returns: the figure, its axes, its legend and the numbers in it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from grokjax.config.coercion import require
from grokjax.figures import pyplots, style

SCREEN_DPI = 144
"""Dots an inch of a picture in a notebook: a column is 480 of them wide."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """What was drawn. In a notebook it shows itself.

    >>> import grokjax
    >>> from grokjax import phase
    >>> from grokjax.figures import maps
    >>> results = grokjax.load("results/recorded/quickstart")
    >>> cells = phase.cells(results, ["weight_decay", "train_fraction"])
    >>> drawn = maps.phase_map(cells, "weight_decay", "train_fraction")
    >>> drawn
    phase map of 9 cells: weight_decay × train_fraction
    >>> list(drawn.data_)
    ['cells']
    """

    title: str
    """What it is, in a line."""
    figure_: Figure
    """The whole figure, also where only a part of it was drawn here."""
    ax_: Any
    """The Axes, or an array of them where there are several panels; colour bars apart."""
    handles_: list[Any]
    """Lines and patches with labels, for a legend that several panels share:
    `figure.legend(handles=[*a.handles_, *b.handles_], loc="outside upper center")`."""
    data_: dict[str, pd.DataFrame]
    """The numbers that were drawn, a table a layer; the function says which there are."""

    def __repr__(self) -> str:
        return self.title

    def save(self, path: str | Path) -> Path:
        """Write the whole figure as the path's ending says: `.png`, `.pdf`, `.svg` …."""
        path = Path(path)
        known = self.figure_.canvas.get_supported_filetypes()
        remedy = f"end it with one of {', '.join(f'.{ending}' for ending in sorted(known))}"
        require(path.suffix[1:].lower() in known, "path", str(path), remedy)
        path.parent.mkdir(parents=True, exist_ok=True)
        style.write(self.figure_, path)
        return path

    def _repr_png_(self) -> bytes | None:
        """The picture for a notebook; None where pyplot shows this figure by itself.

        In interactive mode pyplot shows what it has open at the end of a cell, or in a window:
        a picture from here as well would be the same figure twice. Once it is closed, as a
        notebook's are at the end of their cell, the picture comes from here.
        """
        if pyplots.shows(self.figure_):
            return None
        file = io.BytesIO()
        self.figure_.savefig(file, format="png", dpi=SCREEN_DPI)
        return file.getvalue()


def figure_of(drawn: Figure | Drawn) -> Figure:
    """The matplotlib figure of what a figure function returned, ours or a user's."""
    return drawn.figure_ if isinstance(drawn, Drawn) else drawn
