"""The Goldilocks zone of a map: where at least half of the runs grok by the budget.

This is the zone in hyperparameter space of Liu et al. 2022, not Omnigrok's shell in weight
norm. Its extent comes from the fitted boundary; the fastest cell and the largest gap from the
cells themselves.

Legend: R runs, C cells, B resamples.
"""

from __future__ import annotations

import dataclasses
import html

import numpy as np
import pandas as pd

from grokjax.analysis.boundary import RESAMPLES, Boundary, boundary, cell_indicators, seed_weights
from grokjax.analysis.cells import cells, finished
from grokjax.analysis.survival import LEVEL, Sample, censored_times, medians
from grokjax.analysis.times import TIMES


@dataclasses.dataclass(frozen=True, repr=False)
class Zone:
    """The zone and what was found in it."""

    boundary: Boundary
    table: pd.DataFrame
    """A row a quantity: `quantity`, `value`, `low`, `high`, `unit`."""
    edges: pd.DataFrame
    """A row a level of y: `lower`, `upper` and their limits; NaN is beyond the map."""
    places: pd.DataFrame
    """A row each for the fastest cell, the cell and the y level of the largest gap: where it is,
    its median, and the share of the resamples that agree."""

    def __repr__(self) -> str:
        (share,) = self.table[self.table["quantity"] == "share of the map"].to_dict("records")
        limits = f" [{share['low']:.0%}, {share['high']:.0%}]" * bool(np.isfinite(share["low"]))
        where = ", ".join(
            f"{axis.name} {value:.3g}"
            for axis, value in zip(
                (self.boundary.x, self.boundary.y), self.table["value"].iloc[2:4], strict=True
            )
        )
        return (
            f"<Zone of {share['value']:.0%}{limits} of the map around {where}, where "
            f"P(grok by {self.boundary.budget:g}) ≥ ½>"
        )

    def _repr_html_(self) -> str:
        tables = (self.table, self.edges, self.places)
        return f"<p>{html.escape(repr(self))}</p>" + "".join(t.to_html(index=False) for t in tables)


def goldilocks(
    runs: pd.DataFrame,
    x: str = "weight_decay",
    y: str = "train_fraction",
    budget: float | None = None,
) -> Zone:
    """Area, centre, edges, fastest cell and largest gap, with bootstrap intervals over seeds.

    Seeds are resampled whole (`boundary.seed_weights`), and intervals are Student's with as
    many degrees of freedom, for the few seeds that there are. The limits of the edges are where
    the band of the boundary crosses their level of y.

    Raises:
      NotEnoughRunsError: the data do not show both sides.
    """
    found = boundary(runs, x, y, budget)
    kept = finished(runs)
    extent = _extent(found, np.vstack([found.fit.coefficients, found.draws]))
    u, v = found.x.forward(found.fine[0]), found.y.forward(found.fine[1])
    extent_of_map = float(np.ptp(u) * np.ptp(v))
    units = {
        "area": f"{found.x.unit} × {found.y.unit}",
        "share of the map": "1",
        f"centre in {x}": x,
        f"centre in {y}": y,
    }
    rows = []
    for name, values in zip(units, extent.T, strict=True):
        value, low, high = _interval(values[0], values[1:], found.degrees)
        scale = {f"centre in {x}": found.x, f"centre in {y}": found.y}.get(name)
        if scale is not None:
            value, low, high = (float(scale.back(v)) for v in (value, low, high))
        else:
            most = 1.0 if name == "share of the map" else extent_of_map
            low, high = (float(np.clip(limit, 0.0, most)) for limit in (low, high))
        rows.append(
            {"quantity": name, "value": value, "low": low, "high": high, "unit": units[name]}
        )
    return Zone(found, pd.DataFrame(rows), found.edges(), _places(found, kept))


def _extent(found: Boundary, coefficients: np.ndarray) -> np.ndarray:
    """Area, share of the map and centre of the zone, `[B, 4]`; the centre in positions."""
    xs, ys = found.fine
    u, v = found.x.forward(xs), found.y.forward(ys)
    features = found.features(*np.meshgrid(xs, ys)).reshape(len(ys) * len(xs), -1)
    inside = (coefficients @ features.T >= 0).astype(float)
    share = inside.mean(1)
    across, up = (grid.ravel() for grid in np.meshgrid(u, v))
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = [inside @ at / inside.sum(1) for at in (across, up)]
    return np.column_stack([share * np.ptp(u) * np.ptp(v), share, *centre])


def _places(found: Boundary, runs: pd.DataFrame) -> pd.DataFrame:
    """The fastest cell, the largest-gap cell and the largest-gap level of y."""
    x, y = found.x.name, found.y.name
    placed = runs[[x, y]].notna().all(axis=1)  # a run without a value is nowhere on the map
    runs = runs[placed & (runs["steps"].to_numpy(float) >= found.budget)]
    weights, degrees = seed_weights(runs, RESAMPLES)
    table = cells(runs, [x, y])
    into = cell_indicators(runs, table, [x, y])
    code = into.indices
    grokked = (runs["t_grok"] <= found.budget).to_numpy(bool, na_value=False)
    every = np.vstack([np.ones(len(runs)), weights])
    with np.errstate(invalid="ignore"):
        zone = (every * grokked) @ into / (every @ into) >= 0.5
    time = _weighted_medians(runs, "t_grok", code, len(table), every)
    gap = np.where(zone, _weighted_medians(runs, "grok_gap", code, len(table), every), np.nan)
    up = table[y].to_numpy(float)
    levels = np.unique(up)
    by_level = np.stack([_row_median(gap[:, up == level]) for level in levels], 1)
    rows = []
    for name, values, best in (
        ("fastest cell", np.where(zone, -time, np.nan), table),
        ("largest-gap cell", gap, table),
        (f"largest-gap {y}", by_level, pd.DataFrame({y: levels})),
    ):
        chosen = np.where(np.isfinite(values), values, -np.inf).argmax(1)
        known = np.isfinite(values).sum(1) > 0
        if known[0]:
            here = best.iloc[chosen[0]]
            rows.append(
                {
                    "place": name,
                    x: here.get(x, np.nan),
                    y: here[y],
                    "median": abs(values[0, chosen[0]]),
                    "agree": (chosen == chosen[0])[1:][known[1:]].mean() if degrees else np.nan,
                }
            )
    return pd.DataFrame(rows, columns=["place", x, y, "median", "agree"])


def _weighted_medians(
    runs: pd.DataFrame, metric: str, code: np.ndarray, n_cells: int, weights: np.ndarray
) -> np.ndarray:
    """Kaplan–Meier medians `[B, C]` under each weighting of the runs."""
    origin = TIMES[metric]
    started = runs[origin].notna().to_numpy() if origin else np.ones(len(runs), bool)
    times, seen = censored_times(runs, metric)
    sample = Sample.of(times, seen, code[started], n_cells)
    return medians(sample, weights[:, started][:, sample.entry] * sample.weights)


def _row_median(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values).any(1)
    return np.where(known, np.nanmedian(np.where(known[:, None], values, 0.0), axis=1), np.nan)


def _interval(value: float, drawn: np.ndarray, degrees: int) -> tuple[float, float, float]:
    """The value and its limits; open (NaN) where a tenth of the resamples has none."""
    from scipy.special import stdtrit

    known = drawn[np.isfinite(drawn)]
    if degrees == 0 or not np.isfinite(value) or len(known) < 0.9 * len(drawn):
        return value, np.nan, np.nan
    half = float(stdtrit(degrees, (1 + LEVEL) / 2)) * known.std()
    return value, value - half, value + half
