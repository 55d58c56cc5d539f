"""Where a figure function draws: a figure of its own, or a part of somebody's.

A function of one panel takes `ax=`, one of several `subfigure=`. What it was given keeps the style
that is set (`style.paper()` is ours), and nothing outside of it is touched: the legend goes on top
of the axes, below their title, or to the top of the subfigure, the colour bar beside the axes. With
`legend=False` there is none, and the handles of what was drawn go into one that panels share.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.transforms import Bbox

from grokjax.config.coercion import require
from grokjax.figures import pyplots, style
from grokjax.figures.drawn import SCREEN_DPI, Drawn

WIDENED = 1.15
"""Width of an axes in a layout over its width before, roughly."""
GAP = 4 / 72
"""Inches below and above a legend on top of an axes, together."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Axes to draw into, and where their legend goes."""

    figure: Figure | SubFigure
    """What holds the axes."""
    axes: Any
    """One Axes, or an array of them."""
    legend_above: bool
    """Whether the legend belongs to the one axes, and not to the figure."""
    legend: bool
    """Whether there is to be one."""

    def drawn(
        self,
        name: str,
        data: dict[str, pd.DataFrame],
        handles: Sequence[Any],
        columns: int = 2,
        title: str = "",
    ) -> Drawn:
        """Add the legend and the title; what was drawn.

        Args:
          name: in a line, what it is.
          data: the numbers that were drawn, a table a layer.
          handles: of the legend, with labels; without any there is none.
          columns: of the legend.
          title: above the one axes.
        """
        if title:
            self.axes.set_title(title, loc="left")
        if handles and self.legend and self.legend_above:
            _legend_above(self.axes, handles, columns)
        elif handles and self.legend:
            width, loc = self.figure.bbox.width, "outside upper center"
            _legend(self.figure, handles, columns, width, loc=loc)
        # The canvas is the whole figure's, also where a subfigure holds the axes.
        return Drawn(name, self.figure.canvas.figure, self.axes, list(handles), data)


@dataclasses.dataclass(frozen=True)
class _OnTop:
    """Says where a box on top of an axes is: as wide as the axes, as high as the legend in it."""

    axes: Axes
    legend: Legend

    def __call__(self, box: Any, renderer: Any) -> Bbox:
        below, legend = self.axes.bbox, self.legend.get_window_extent(renderer)
        height = legend.height + GAP * self.axes.figure.dpi
        pixels = Bbox.from_bounds(below.x0, below.y1, below.width, height)
        return pixels.transformed(self.axes.figure.transSubfigure.inverted())


def _legend_above(axes: Axes, handles: Sequence[Any], columns: int) -> None:
    """A legend on top of an axes, which takes room from its height alone.

    It lies in an inset axes, since titles are put above these, and a layout counts them. A legend
    that is counted itself gets all the width by which it sticks out, and the axes none.
    """
    box = axes.inset_axes((0, 1, 1, 1))
    box.set_axis_off()
    width = WIDENED * axes.bbox.width
    legend = _legend(box, handles, columns, width, loc="center left", borderaxespad=0)
    legend.set_in_layout(False)
    box.set_axes_locator(_OnTop(axes, legend))


def _legend(owner: Any, handles: Sequence[Any], columns: int, width: float, **where: Any) -> Legend:
    """A legend of `columns` columns, or of fewer if these are wider than `width` pixels."""
    for n in range(columns, 0, -1):
        legend: Legend = owner.legend(handles=handles, ncols=n, **where)
        if n == 1 or legend.get_window_extent().width <= width:
            break
        legend.remove()
    return legend


@contextlib.contextmanager
def one_panel(ax: Axes | None, legend: bool, height: float) -> Iterator[Place]:
    """One axes: the given one, or in a figure of our own a paper's column wide.

    Args:
      ax: what the user gave.
      legend: whether to draw one.
      height: of our own figure, in inches.
    """
    if ax is not None:
        require(isinstance(ax, Axes), "ax", ax, "give one matplotlib Axes to draw into")
        yield Place(ax.figure, ax, True, legend)
        return
    with style.paper():
        figure = pyplots.new_figure(style.COLUMN, height, SCREEN_DPI)
        yield Place(figure, figure.subplots(), False, legend)


@contextlib.contextmanager
def several_panels(
    subfigure: Figure | SubFigure | None, legend: bool, size: tuple[float, float], **panels: Any
) -> Iterator[Place]:
    """An array of axes: in the given part of a figure, or in a figure of our own.

    Args:
      subfigure: what the user gave.
      legend: whether to draw one.
      size: of our own figure, in inches.
      **panels: as `Figure.subplots` takes them.
    """
    if subfigure is not None:
        _check(subfigure, legend)
        yield Place(subfigure, subfigure.subplots(**panels), False, legend)
        return
    with style.paper():
        figure = pyplots.new_figure(*size, SCREEN_DPI)
        yield Place(figure, figure.subplots(**panels), False, legend)


def _check(subfigure: Figure | SubFigure, legend: bool) -> None:
    part = isinstance(subfigure, Figure | SubFigure)
    remedy = "give an empty matplotlib SubFigure or Figure to draw several panels into"
    require(part and not subfigure.axes, "subfigure", subfigure, remedy)
    room = isinstance(subfigure.get_layout_engine(), ConstrainedLayoutEngine)
    remedy = "make its figure with layout='constrained', which gives a legend room, or legend=False"
    require(room or not legend, "subfigure", subfigure, remedy)
