"""What a figure function returns, and where it draws: in its own figure, or in what it is given.

A function for one panel takes `ax=`, one for several takes `subfigure=`. It touches nothing
outside of that, and its legend and colour bar lie inside.
"""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from grokjax.figures import style

PYPLOT = "matplotlib.pyplot"
ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.02), "borderaxespad": 0.0}
"""Where the legend of a panel lies that has no place for it inside: on top, from the left."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Drawn:
    """A figure or a panel of one, with what was drawn, in scikit-learn's manner.

    It shows itself as the last expression of a notebook's cell. Where pyplot is in use, a figure
    made here is one of pyplot's, so that `plt.show()` shows it.
    """

    what: str
    """What it shows, in words."""
    ax_: Any
    """The axes, or an array of them where it has several panels."""
    handles_: list[Artist]
    """What stands in the legend, for one that several panels share."""
    data_: dict[str, pd.DataFrame]
    """The tables that were drawn."""

    @property
    def figure_(self) -> Figure:
        """The whole figure."""
        figure: Any = np.ravel(self.ax_)[0].figure
        while isinstance(figure, SubFigure):
            figure = figure.figure
        return figure

    def save(self, path: str | Path) -> None:
        """Write the whole figure, in the format that the name ends in."""
        with style.paper():
            self.figure_.savefig(path)

    def close(self) -> None:
        """Let pyplot forget the figure, if it is one of its own."""
        if PYPLOT in sys.modules:
            sys.modules[PYPLOT].close(self.figure_)

    def __repr__(self) -> str:
        return f"<{self.what}; .ax_, .figure_, .handles_ and .data_ ({', '.join(self.data_)})>"

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        with style.paper():
            self.figure_.savefig(file, format="png", dpi=style.SCREEN_DPI)
        # A notebook shows pyplot's open figures when a cell ends: it has been shown by then.
        self.close()
        return file.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, one of pyplot's where that is in use; sizes in inches."""
    if PYPLOT in sys.modules:
        figure: Figure = sys.modules[PYPLOT].figure(figsize=(width, height))
        return figure
    return Figure(figsize=(width, height))


def panel(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes to draw in: those that were given, or those of a new figure of some inches."""
    return new_figure(width, height).subplots() if ax is None else ax


def add_legend(
    ax: Axes, given: Axes | None, handles: Sequence[Artist], wanted: bool, *, above: bool = False
) -> None:
    """The legend of a panel: over a figure of its own, else inside of what was given.

    Args:
      ax: the panel.
      given: the axes that the caller was given; None: the figure is its own.
      handles: what stands in it.
      wanted: whether there is to be one.
      above: whether data fill the panel, so that the legend stands on top of it.
    """
    if not (wanted and handles):
        return
    columns = 1 if len(handles) < 2 else 3 if len(handles) == 3 and not above else 2
    shown: Any = list(handles)
    if given is None:
        ax.figure.legend(handles=shown, loc="outside upper center", ncols=columns)
    elif above:
        ax.legend(handles=shown, ncols=2, fontsize=6, **ABOVE)
    else:
        ax.legend(handles=shown, loc="best", fontsize=6)


def save(shown: Drawn | Figure, folder: Path, name: str) -> list[Path]:
    """A figure as PNG and PDF; without dates, so that equal figures are equal files.

    Args:
      shown: the figure, which pyplot forgets.
      folder: to write to.
      name: of the files.
    """
    figure = shown.figure_ if isinstance(shown, Drawn) else shown
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("png", "pdf")]
    with style.paper():
        figure.savefig(paths[0], metadata={"Software": None})
        figure.set_layout_engine("none")  # laid out by now; doing it again takes most of the time
        figure.savefig(paths[1], metadata={"CreationDate": None})
    if isinstance(shown, Drawn):
        shown.close()
    return paths
