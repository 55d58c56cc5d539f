"""Maps of cells over two axes: phases, probabilities, times, with the boundary on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokjax.analysis.boundary import Boundary
from grokjax.analysis.cells import PHASES
from grokjax.figures import style
from grokjax.figures.axes import CellAxis, label, round_numbers, steps
from grokjax.figures.drawn import Drawn, add_legend, panel

HATCHED: dict[str, Any] = {
    "facecolor": style.CENSORED,
    "edgecolor": "0.55",
    "hatch": "////",
    "linewidth": 0,
}
MOST_ANNOTATED = 7
"""Columns of a map beyond which numbers no longer fit into its cells."""


def phase_map(
    cells: pd.DataFrame,
    x: str,
    y: str,
    boundary: Boundary | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """The phase that most runs of each cell are in, with the boundary of grokking and its band.

    Args:
      cells: as `analysis.cells.cells` gives them; those with `n` = 0 wait for their first run.
      x: column across.
      y: column up.
      boundary: to be drawn over them.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    shares = cells[[f"p_{name}" for name in PHASES]].to_numpy(float)
    known = ~np.isnan(shares).all(1)
    most = np.where(known, np.nan_to_num(shares).argmax(1), np.nan)
    colours = ListedColormap([style.PHASES[name] for name in PHASES])
    with style.paper():
        axis, _, places = _map(
            ax, cells, x, y, pd.Series(most, cells.index),
            Normalize(-0.5, len(PHASES) - 0.5), colours,
        )  # fmt: skip
        _draw_boundary(axis, places, boundary)
        handles: list[Any] = [
            Patch(facecolor=style.PHASES[PHASES[int(i)]], label=PHASES[int(i)])
            for i in np.unique(most[known])
        ]
        handles += _boundary_handles(boundary) + _no_runs(cells, x, y)
        add_legend(axis, ax, handles, legend, above=True)
    return _drawn("phase map", axis, handles, cells, x, y, boundary)


def probability_map(
    cells: pd.DataFrame,
    x: str,
    y: str,
    boundary: Boundary | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Share of runs that grokked within their budget; counts where they fit into the cells.

    Arguments are those of `phase_map`.
    """
    with style.paper():
        axis, mesh, places = _map(
            ax, cells, x, y, cells["p_grok"], Normalize(0, 1), style.PROBABILITY_MAP
        )
        _annotate(axis, cells, mesh, places, lambda cell: f"{cell.n_grokked:.0f}/{cell.n}")
        _draw_boundary(axis, places, boundary)
        _bar(axis, mesh, "runs that grokked")
        handles = _boundary_handles(boundary) + _no_runs(cells, x, y)
        add_legend(axis, ax, handles, legend, above=True)
    return _drawn("map of the share that grokked", axis, handles, cells, x, y, boundary)


def time_map(
    cells: pd.DataFrame,
    x: str,
    y: str,
    metric: str,
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Kaplan–Meier median of a time; hatched where fewer than half of the runs got there.

    Args:
      cells: with medians of this time, as `analysis.cells.cells` gives them.
      x: column across.
      y: column up.
      metric: the time.
      ax: axes to draw in; None: a new figure.
      legend: whether to draw one; `handles_` of what is returned make another.
    """
    # A gap is negative where a run generalises before it has memorised. Such a cell has
    # the colour of the smallest positive time, and its own number in it.
    positive = cells["median"][cells["median"] > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    wide = high / low > 3
    norm = LogNorm(low, high) if wide else Normalize(low, max(high, low + 1))
    values = cells["median"].clip(lower=low)
    there = cells["n"] > 0
    censored = cells["censored"].fillna(False).astype(bool) & there
    with style.paper():
        axis, mesh, places = _map(ax, cells, x, y, values, norm, style.TIME_MAP)
        _hatch(axis, cells[censored], places)
        _annotate(
            axis, cells, mesh, places,
            lambda cell: f">{steps(cell.bound)}" if cell.censored else steps(cell.median),
        )  # fmt: skip
        bar = _bar(axis, mesh, label(metric))
        if wide:
            ticks = round_numbers(low, high)
            bar.set_ticks(ticks, labels=[steps(tick) for tick in ticks])
            bar.set_ticks([], minor=True)
        handles: list[Any] = []
        if censored.any():
            handles.append(Patch(**HATCHED, label="median beyond the budget"))
        if (~censored & values.isna() & there).any():
            handles.append(Patch(facecolor="white", edgecolor="0.7", label="none memorised"))
        handles += _no_runs(cells, x, y)
        add_legend(axis, ax, handles, legend, above=True)
    return _drawn(f"map of {metric}", axis, handles, cells, x, y, None)


def _drawn(
    what: str,
    axis: Axes,
    handles: list[Any],
    cells: pd.DataFrame,
    x: str,
    y: str,
    boundary: Boundary | None,
) -> Drawn:
    data = {"cells": cells}
    if boundary is not None:
        data |= {"curve": boundary.curve(), "band": boundary.band()}
    return Drawn(f"{what} of {len(cells)} cells over {x} × {y}", axis, handles, data)


Places = tuple[CellAxis, CellAxis, list[int], list[int]]
"""The two axes, and the row and column of each cell."""


def _map(
    ax: Axes | None,
    cells: pd.DataFrame,
    x: str,
    y: str,
    values: pd.Series,
    norm: Normalize,
    colours: Any,
) -> tuple[Axes, QuadMesh, Places]:
    across, up = CellAxis.of(cells[x]), CellAxis.of(cells[y])
    axis = panel(ax, style.COLUMN, 0.82 * style.COLUMN)
    rows = [up.levels.index(level) for level in cells[y]]
    columns = [across.levels.index(level) for level in cells[x]]
    grid = np.full((len(up.levels), len(across.levels)), np.nan)
    grid[rows, columns] = values
    shown = np.ma.masked_invalid(grid)
    axis.set_facecolor(style.NO_RUNS)
    there = np.full(grid.shape, np.nan)
    there[rows, columns] = np.where(cells["n"] > 0, 1.0, np.nan)
    axis.pcolormesh(
        across.edges, up.edges, np.ma.masked_invalid(there), cmap="gray", vmin=0, vmax=1
    )
    mesh = axis.pcolormesh(across.edges, up.edges, shown, cmap=colours, norm=norm, rasterized=True)
    across.apply(axis, "x")
    up.apply(axis, "y")
    axis.spines[["top", "right"]].set_visible(True)
    return axis, mesh, (across, up, rows, columns)


def _annotate(
    axis: Axes, cells: pd.DataFrame, mesh: QuadMesh, places: Places, text: Callable[[Any], str]
) -> None:
    across, up, rows, columns = places
    if max(len(across.levels), len(up.levels)) > MOST_ANNOTATED:
        return
    values: np.ndarray = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan)
    values = values.reshape(len(up.levels), len(across.levels))
    for row, column, cell in zip(rows, columns, cells.itertuples(), strict=True):
        if cell.n == 0:
            continue
        value = values[row, column]
        dark = not np.isnan(value) and sum(mesh.to_rgba(value)[:3]) < 1.5
        plate = {"facecolor": style.CENSORED, "edgecolor": "none", "pad": 0.6}
        axis.text(
            across.positions[column], up.positions[row], text(cell), ha="center", va="center",
            fontsize=7, color="white" if dark else "black",
            bbox=plate if cell.censored and np.isnan(value) else None,
        )  # fmt: skip


def _hatch(axis: Axes, cells: pd.DataFrame, places: Places) -> None:
    across, up, _, _ = places
    corners = []
    for x, y in zip(cells[across.name], cells[up.name], strict=True):
        column, row = across.levels.index(x), up.levels.index(y)
        (left, right), (bottom, top) = across.edges[column:][:2], up.edges[row:][:2]
        corners.append([(left, bottom), (right, bottom), (right, top), (left, top)])
    axis.add_collection(PolyCollection(corners, **HATCHED), autolim=False)


def _draw_boundary(axis: Axes, places: Places, boundary: Boundary | None) -> None:
    """The curve solid, the band's borders dashed, on white so that they show on any colour."""
    if boundary is None:
        return
    across, up, _, _ = places
    drawings: tuple[tuple[float, float, Any], ...] = (
        (0.0, 1.4, "-"),
        *((side, 0.9, (0, (4, 2))) for side in (1.0, -1.0)),
    )
    for shift, width, dashes in drawings:
        for line in boundary.lines(shift):
            x, y = across.place(line[:, 0]), up.place(line[:, 1])
            axis.plot(x, y, color="white", lw=width + 1.2, zorder=3)
            axis.plot(x, y, color="black", lw=width, ls=dashes, zorder=3)


def _boundary_handles(boundary: Boundary | None) -> list[Any]:
    if boundary is None:
        return []
    half = f"$P$(grok by {steps(boundary.budget)}) = ½"
    return [
        Line2D([], [], color="black", lw=1.4, label=half),
        Line2D([], [], color="black", lw=0.9, ls=(0, (4, 2)), label="95 % band"),
    ]


def _no_runs(cells: pd.DataFrame, x: str, y: str) -> list[Any]:
    full = len(cells) == cells[x].nunique() * cells[y].nunique()
    waits = bool((cells["n"] == 0).any())
    text = "no run has ended yet" if waits else "no runs"
    return [] if full and not waits else [Patch(facecolor=style.NO_RUNS, label=text)]


def _bar(axis: Axes, mesh: ScalarMappable, text: str) -> Any:
    bar: Any = axis.figure.colorbar(mesh, ax=axis, label=text, pad=0.02)
    bar.outline.set_linewidth(0.6)
    return bar
