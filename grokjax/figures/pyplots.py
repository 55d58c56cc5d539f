"""Who looks after a figure: pyplot, if it is in use, or nobody but its user.

pyplot keeps the figures that it makes open, so that `plt.show()` shows them. A session that has
not imported it has no use for that, and a report that draws dozens must not leave them open.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Iterator
from typing import Any

from matplotlib._pylab_helpers import Gcf  # the list that pyplot and its backends keep
from matplotlib.figure import Figure

_apart = contextvars.ContextVar("_apart", default=False)


def new_figure(width: float, height: float, dpi: float) -> Figure:
    """An empty figure; pyplot's, for `plt.show()`, where a user has imported it.

    Args:
      width: in inches.
      height: in inches.
      dpi: of pyplot's windows and pictures; files have their own.
    """
    pyplot = _pyplot()
    if pyplot is None or _apart.get():
        return Figure(figsize=(width, height))
    figure: Figure = pyplot.figure(figsize=(width, height), dpi=dpi)
    return figure


def shows(figure: Figure) -> bool:
    """Whether pyplot has the figure open and shows such figures without being asked."""
    pyplot = _pyplot()
    return pyplot is not None and pyplot.isinteractive() and figure in _open()


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Leave pyplot as it was: our figures are not its own, and those made with it are closed."""
    before, token = _open(), _apart.set(True)
    try:
        yield
    finally:
        _apart.reset(token)
        for figure in _open():
            if figure not in before:
                sys.modules["matplotlib.pyplot"].close(figure)


def _pyplot() -> Any:
    """The module if it has been imported: importing it may choose a backend, or fail to."""
    return sys.modules.get("matplotlib.pyplot")


def _open() -> list[Figure]:
    return [manager.canvas.figure for manager in Gcf.get_all_fig_managers()]
