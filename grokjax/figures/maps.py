"""Maps of cells over two axes: phases, probabilities, times, with the boundary on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
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
from grokjax.config.coercion import require
from grokjax.figures import style
from grokjax.figures.axes import CellAxis, label, round_numbers, steps
from grokjax.figures.drawn import Drawn
from grokjax.figures.place import Place, one_panel

HATCHED: dict[str, Any] = {
    "facecolor": style.CENSORED,
    "edgecolor": "0.55",
    "hatch": "////",
    "linewidth": 0,
}
BAND_DASHES = (0, (4, 2))
HEIGHT = 0.82 * style.COLUMN
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
      cells: as `phase.cells` makes them; those with `n` = 0 wait for their first run.
      x: column across.
      y: column up.
      boundary: as `phase.boundary` makes it; None: no curve.
      ax: to draw into; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `cells` with their `phase`, and of a boundary `curve`, `band`.
    """
    shares = cells[[f"p_{name}" for name in PHASES]].fillna(0).to_numpy()
    at, there = shares.argmax(1), shares.sum(1) > 0
    phases = pd.Series([PHASES[i] for i in at], cells.index, dtype=object)
    table = cells.assign(phase=phases.where(there))
    values = pd.Series(np.where(there, at, np.nan), cells.index)
    data = {"cells": table, **_boundary_data(boundary, x, y)}
    colours = ListedColormap([style.PHASES[name] for name in PHASES])
    with one_panel(ax, legend, HEIGHT) as place:
        norm = Normalize(-0.5, len(PHASES) - 0.5)
        _, grid = _map(place.axes, table, x, y, values, norm, colours)
        _draw_boundary(place.axes, grid, boundary)
        handles: list[Any] = [
            Patch(facecolor=style.PHASES[PHASES[i]], label=PHASES[i]) for i in np.unique(at[there])
        ]
        handles += _boundary_handles(boundary) + _no_runs(cells, x, y)
        return place.drawn(_title("phase map", cells, x, y), data, handles)


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

    Args:
      cells: as `phase.cells` makes them.
      x: column across.
      y: column up.
      boundary: as `phase.boundary` makes it; None: no curve.
      ax: to draw into, with a colour bar beside it; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `cells`, and of a boundary `curve`, `band`.
    """
    data = {"cells": cells, **_boundary_data(boundary, x, y)}
    with one_panel(ax, legend, HEIGHT) as place:
        mesh, grid = _map(
            place.axes, cells, x, y, cells["p_grok"], Normalize(0, 1), style.PROBABILITY_MAP
        )
        _annotate(place.axes, cells, mesh, grid, lambda cell: f"{cell.n_grokked:.0f}/{cell.n}")
        _draw_boundary(place.axes, grid, boundary)
        _bar(place, mesh, "runs that grokked")
        handles = _boundary_handles(boundary) + _no_runs(cells, x, y)
        return place.drawn(_title("probability map", cells, x, y), data, handles)


def time_map(
    cells: pd.DataFrame,
    x: str,
    y: str,
    metric: str = "t_grok",
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """Kaplan–Meier median of a time; hatched where fewer than half of the runs got there.

    Args:
      cells: as `phase.cells` makes them for the metric.
      x: column across.
      y: column up.
      metric: the time, in updates.
      ax: to draw into, with a colour bar beside it; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `cells`.
    """
    # A gap is negative where a run generalises before it has memorised. Such a cell has
    # the colour of the smallest positive time, and its own number in it.
    positive = cells["median"][cells["median"] > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    wide = high / low > 3
    norm = LogNorm(low, high) if wide else Normalize(low, max(high, low + 1))
    values = cells["median"].clip(lower=low)
    with one_panel(ax, legend, HEIGHT) as place:
        mesh, grid = _map(place.axes, cells, x, y, values, norm, style.TIME_MAP)
        _hatch(place.axes, cells[_censored(cells)], grid)
        _annotate(
            place.axes, cells, mesh, grid,
            lambda cell: f">{steps(cell.bound)}" if cell.censored else steps(cell.median),
        )  # fmt: skip
        bar = _bar(place, mesh, label(metric))
        if wide:
            ticks = round_numbers(low, high)
            bar.set_ticks(ticks, labels=[steps(tick) for tick in ticks])
            bar.set_ticks([], minor=True)
        handles = _median_handles(cells) + _no_runs(cells, x, y)
        return place.drawn(_title(f"{metric} map", cells, x, y), {"cells": cells}, handles)


Grid = tuple[CellAxis, CellAxis, list[int], list[int]]
"""The two axes, and the row and column of each cell."""


def _map(
    axis: Axes,
    cells: pd.DataFrame,
    x: str,
    y: str,
    values: pd.Series,
    norm: Normalize,
    colours: Any,
) -> tuple[QuadMesh, Grid]:
    across, up = CellAxis.of(cells[x]), CellAxis.of(cells[y])
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
    return mesh, (across, up, rows, columns)


def _title(what: str, cells: pd.DataFrame, x: str, y: str) -> str:
    return f"{what} of {len(cells)} cells: {x} × {y}"


def _annotate(
    axis: Axes, cells: pd.DataFrame, mesh: QuadMesh, grid: Grid, text: Callable[[Any], str]
) -> None:
    across, up, rows, columns = grid
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
            fontsize=mpl.rcParams["legend.fontsize"], color="white" if dark else "black",
            bbox=plate if cell.censored and np.isnan(value) else None,
        )  # fmt: skip


def _hatch(axis: Axes, cells: pd.DataFrame, grid: Grid) -> None:
    across, up, _, _ = grid
    corners = []
    for x, y in zip(cells[across.name], cells[up.name], strict=True):
        column, row = across.levels.index(x), up.levels.index(y)
        (left, right), (bottom, top) = across.edges[column:][:2], up.edges[row:][:2]
        corners.append([(left, bottom), (right, bottom), (right, top), (left, top)])
    axis.add_collection(PolyCollection(corners, **HATCHED), autolim=False)


def _draw_boundary(axis: Axes, grid: Grid, boundary: Boundary | None) -> None:
    """The curve solid, the band's borders dashed, on white so that they show on any colour."""
    if boundary is None:
        return
    across, up, _, _ = grid
    for points, pieces, width, dashes in (
        (boundary.curve(), ["line"], 1.4, "-"),
        (boundary.band(), ["side", "line"], 0.9, BAND_DASHES),
    ):
        for _, line in points.groupby(pieces, sort=False):
            x, y = (at.place(line[at.name].to_numpy()) for at in (across, up))
            axis.plot(x, y, color="white", lw=width + 1.2, zorder=3)
            axis.plot(x, y, color="black", lw=width, ls=dashes, zorder=3)


def _boundary_data(boundary: Boundary | None, x: str, y: str) -> dict[str, pd.DataFrame]:
    if boundary is None:
        return {}
    axes = (boundary.x.name, boundary.y.name)
    require({*axes} == {x, y}, "boundary", " × ".join(axes), f"give one over {x} and {y}")
    return {"curve": boundary.curve(), "band": boundary.band()}


def _boundary_handles(boundary: Boundary | None) -> list[Any]:
    if boundary is None:
        return []
    half = f"$P$(grok by {steps(boundary.budget)}) = ½"
    return [
        Line2D([], [], color="black", lw=1.4, label=half),
        Line2D([], [], color="black", lw=0.9, ls=BAND_DASHES, label="95 % band"),
    ]


def _no_runs(cells: pd.DataFrame, x: str, y: str) -> list[Any]:
    full = len(cells) == cells[x].nunique() * cells[y].nunique()
    waits = bool((cells["n"] == 0).any())
    text = "no run has ended yet" if waits else "no runs"
    return [] if full and not waits else [Patch(facecolor=style.NO_RUNS, label=text)]


def _censored(cells: pd.DataFrame) -> pd.Series:
    """Which cells have runs, and no median because they end before it."""
    return cells["censored"].eq(True) & (cells["n"] > 0)


def _median_handles(cells: pd.DataFrame) -> list[Any]:
    """Of the cells that have no median."""
    handles = []
    if _censored(cells).any():
        handles.append(Patch(**HATCHED, label="median beyond the budget"))
    if (~_censored(cells) & cells["median"].isna() & (cells["n"] > 0)).any():
        handles.append(Patch(facecolor="white", edgecolor="0.7", label="none memorised"))
    return handles


def _bar(place: Place, mesh: ScalarMappable, text: str) -> Any:
    bar: Any = place.figure.colorbar(mesh, ax=place.axes, label=text, pad=0.02)
    bar.outline.set_linewidth(0.6)
    return bar


def value_map(
    runs: pd.DataFrame,
    x: str,
    y: str,
    column: str,
    boundary: Boundary | None = None,
    *,
    ax: Axes | None = None,
    legend: bool = True,
) -> Drawn:
    """The median over runs of any number, a measure say, in each cell.

    Args:
      runs: rows with the two axes and the number.
      x: column across.
      y: column up.
      column: the number.
      boundary: as `phase.boundary` makes it; None: no curve.
      ax: to draw into, with a colour bar beside it; None: a figure of its own.
      legend: whether to draw one.

    Returns:
      What was drawn; `data_` has `cells`, with `median`, `n` and the spread over runs.
    """
    grouped = runs.groupby([x, y])[column]
    cells = grouped.agg(median="median", n="size", spread="std").reset_index()
    cells = cells.assign(censored=False)
    low, high = cells["median"].min(), cells["median"].max()
    wide = low > 0 and high / low > 100
    norm = LogNorm(low, high) if wide else Normalize(low, high if high > low else low + 1)
    data = {"cells": cells, **_boundary_data(boundary, x, y)}
    with one_panel(ax, legend, HEIGHT) as place:
        mesh, grid = _map(place.axes, cells, x, y, cells["median"], norm, "viridis")
        _annotate(place.axes, cells, mesh, grid, lambda cell: f"{cell.median:.2g}")
        _draw_boundary(place.axes, grid, boundary)
        _bar(place, mesh, f"median {column.replace('_', ' ')}")
        handles = _boundary_handles(boundary) + _no_runs(cells, x, y)
        return place.drawn(_title(f"{column} map", cells, x, y), data, handles)
