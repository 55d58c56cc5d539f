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
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokjax.analysis.boundary import Boundary
from grokjax.analysis.cells import PHASES
from grokjax.figures import style
from grokjax.figures.axes import CellAxis, label, round_numbers, steps

HATCHED: dict[str, Any] = {
    "facecolor": style.CENSORED,
    "edgecolor": "0.55",
    "hatch": "////",
    "linewidth": 0,
}
MOST_ANNOTATED = 7
"""Columns of a map beyond which numbers no longer fit into its cells."""


def phase_map(cells: pd.DataFrame, x: str, y: str, boundary: Boundary | None = None) -> Figure:
    """The phase that most runs of each cell are in, with the boundary of grokking and its band."""
    shares = cells[[f"p_{name}" for name in PHASES]].to_numpy()
    colours = ListedColormap([style.PHASES[name] for name in PHASES])
    with style.paper():
        figure, axis, _, places = _map(
            cells, x, y, pd.Series(shares.argmax(1).astype(float), cells.index),
            Normalize(-0.5, len(PHASES) - 0.5), colours,
        )  # fmt: skip
        _draw_boundary(axis, places, boundary)
        found = np.unique(shares.argmax(1))
        handles: list[Any] = [
            Patch(facecolor=style.PHASES[PHASES[i]], label=PHASES[i]) for i in found
        ]
        handles += _boundary_handles(boundary) + _no_runs(cells, x, y)
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def probability_map(
    cells: pd.DataFrame, x: str, y: str, boundary: Boundary | None = None
) -> Figure:
    """Share of runs that grokked within their budget; counts where they fit into the cells."""
    with style.paper():
        figure, axis, mesh, places = _map(
            cells, x, y, cells["p_grok"], Normalize(0, 1), style.PROBABILITY_MAP
        )
        _annotate(axis, cells, mesh, places, lambda cell: f"{cell.n_grokked}/{cell.n}")
        _draw_boundary(axis, places, boundary)
        _bar(figure, axis, mesh, "runs that grokked")
        if handles := _boundary_handles(boundary) + _no_runs(cells, x, y):
            figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def time_map(cells: pd.DataFrame, x: str, y: str, metric: str) -> Figure:
    """Kaplan–Meier median of a time; hatched where fewer than half of the runs got there."""
    # A gap is negative where a run generalises before it has memorised. Such a cell has
    # the colour of the smallest positive time, and its own number in it.
    positive = cells["median"][cells["median"] > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    wide = high / low > 3
    norm = LogNorm(low, high) if wide else Normalize(low, max(high, low + 1))
    values = cells["median"].clip(lower=low)
    with style.paper():
        figure, axis, mesh, places = _map(cells, x, y, values, norm, style.TIME_MAP)
        _hatch(axis, cells[cells["censored"]], places)
        _annotate(
            axis, cells, mesh, places,
            lambda cell: f">{steps(cell.bound)}" if cell.censored else steps(cell.median),
        )  # fmt: skip
        bar = _bar(figure, axis, mesh, label(metric))
        if wide:
            ticks = round_numbers(low, high)
            bar.set_ticks(ticks, labels=[steps(tick) for tick in ticks])
            bar.set_ticks([], minor=True)
        handles = []
        if cells["censored"].any():
            handles.append(Patch(**HATCHED, label="median beyond the budget"))
        if (~cells["censored"] & values.isna()).any():
            handles.append(Patch(facecolor="white", edgecolor="0.7", label="none memorised"))
        handles += _no_runs(cells, x, y)
        if handles:
            figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


Places = tuple[CellAxis, CellAxis, list[int], list[int]]
"""The two axes, and the row and column of each cell."""


def _map(
    cells: pd.DataFrame, x: str, y: str, values: pd.Series, norm: Normalize, colours: Any
) -> tuple[Figure, Axes, QuadMesh, Places]:
    across, up = CellAxis.of(cells[x]), CellAxis.of(cells[y])
    figure = Figure(figsize=(style.COLUMN, 0.82 * style.COLUMN))
    axis = figure.subplots()
    rows = [up.levels.index(level) for level in cells[y]]
    columns = [across.levels.index(level) for level in cells[x]]
    grid = np.full((len(up.levels), len(across.levels)), np.nan)
    grid[rows, columns] = values
    shown = np.ma.masked_invalid(grid)
    axis.set_facecolor(style.NO_RUNS)
    there = np.full(grid.shape, np.nan)
    there[rows, columns] = 1.0
    axis.pcolormesh(
        across.edges, up.edges, np.ma.masked_invalid(there), cmap="gray", vmin=0, vmax=1
    )
    mesh = axis.pcolormesh(across.edges, up.edges, shown, cmap=colours, norm=norm, rasterized=True)
    across.apply(axis, "x")
    up.apply(axis, "y")
    axis.spines[["top", "right"]].set_visible(True)
    return figure, axis, mesh, (across, up, rows, columns)


def _annotate(
    axis: Axes, cells: pd.DataFrame, mesh: QuadMesh, places: Places, text: Callable[[Any], str]
) -> None:
    across, up, rows, columns = places
    if max(len(across.levels), len(up.levels)) > MOST_ANNOTATED:
        return
    values: np.ndarray = np.ma.filled(np.ma.asarray(mesh.get_array()), np.nan)
    values = values.reshape(len(up.levels), len(across.levels))
    for row, column, cell in zip(rows, columns, cells.itertuples(), strict=True):
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
    for points, pieces, width, dashes in (
        (boundary.curve(), ["line"], 1.4, "-"),
        (boundary.band(), ["side", "line"], 0.9, (0, (4, 2))),
    ):
        for _, line in points.groupby(pieces, sort=False):
            x, y = (at.place(line[at.name].to_numpy()) for at in (across, up))
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
    return [] if full else [Patch(facecolor=style.NO_RUNS, label="no runs")]


def _bar(figure: Figure, axis: Axes, mesh: ScalarMappable, text: str) -> Any:
    bar: Any = figure.colorbar(mesh, ax=axis, label=text, pad=0.02)
    bar.outline.set_linewidth(0.6)
    return bar
