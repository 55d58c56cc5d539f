"""`report.html`: what the explorer page is given to show."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis import row_groups
from grokjax.analysis.cells import cells
from grokjax.analysis.summary import Summary
from grokjax.config.experiment import SEEDS
from grokjax.explorer.page import render
from grokjax.figures.axes import steps
from grokjax.figures.gallery import HEADLINE
from grokjax.results.schema import onset_columns
from grokjax.results.shapes import Manifest

MOST_CURVES = 2000
"""Runs whose curves are in the page; more would make it slow to open."""
POINTS = 80
MOST_AXES, MOST_LEVELS = 4, 60
MOST_MEASURES = 12
CURVES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")
METRICS = {
    "p_grok": ("share of runs that grokked", False, "probability"),
    "t_grok": ("median t_grok (steps)", True, "time"),
    "grok_gap": ("median gap t_grok − t_mem (steps)", True, "time"),
    "t_mem": ("median t_mem (steps)", True, "time"),
    "p_collapse": ("share of grokked runs that collapsed", False, "probability"),
    "spread": ("spread of log10 t_grok over seeds", False, "plain"),
}


def html(summary: Summary, curves: pd.DataFrame | None = None) -> str:
    """The page as text.

    Args:
      summary: what it is about.
      curves: of `curve_runs(summary)`, if they have been read already.
    """
    shown = curve_runs(summary)
    if curves is None:
        curves = summary.results.curves_of(shown, ["step", *CURVES])
    return render(payload(summary, curves[curves["run_id"].isin(shown)]))


def curve_runs(summary: Summary) -> list[str]:
    """The runs whose curves the page has: all, or as many of each cell as there is room for."""
    runs = summary.runs
    each = max(1, MOST_CURVES // max(1, len(summary.cells())))
    if len(runs) > MOST_CURVES:
        runs = runs.groupby([summary.x, summary.y], dropna=False).head(each).head(MOST_CURVES)
    return [str(run_id) for run_id in runs["run_id"]]


def payload(summary: Summary, curves: pd.DataFrame) -> dict[str, Any]:
    """What the page shows, in plain values; `explorer.page` says what each key holds."""
    runs, manifest = summary.runs, summary.results.manifest
    measures = ["status", "stop_reason", "last_step", "wall_s"]
    measures += list(onset_columns(summary.results.thresholds))
    axes = _axes(summary)
    n_curves = curves["run_id"].nunique()
    page = {
        "title": str(manifest.get("name", summary.results.path.name)),
        "command": str(manifest.get("command", "")),
        "provenance": _provenance(manifest),
        "thresholds": [[name, str(v)] for name, v in manifest.get("thresholds", {}).items()],
        "notes": summary.warnings,
        "runs": {str(name): _plain(runs[name]) for name in runs},
        "axes": axes,
        "measures": [name for name in measures if name in runs],
        # Results keep the names that they have in the tables.
        "labels": {"p": "modulus p", **{name: name for name in measures}},
        "metrics": [
            {"name": name, "label": label, "log": log, "scale": scale}
            for name, (label, log, scale) in METRICS.items()
        ],
        "maps": [_map(runs, x, y) for x, y in itertools.combinations(axes, 2)],
        "boundary": _boundary(summary),
        "curves": {"step_unit": "update", "metrics": list(CURVES), "runs": _thinned(curves)},
        "tables": _tables(summary),
    }
    if measured := _measured(summary, list(curves["run_id"].unique())):
        page["measured"] = measured
    if n_curves < len(runs):
        page["curves_note"] = f"curves of {n_curves} of the {len(runs)} runs are in this page"
    return page


def _axes(summary: Summary) -> list[str]:
    """Columns to span maps: x and y first, then what else the sweep varies, seeds last."""
    runs, swept = summary.runs, summary.results.axes
    names = dict.fromkeys([summary.x, summary.y, *(n for n in swept if n not in SEEDS), *SEEDS])
    found = [name for name in names if name in runs and 1 < runs[name].nunique() <= MOST_LEVELS]
    if "seed" in found and "split_seed" in found and (runs["seed"] == runs["split_seed"]).all():
        found.remove("split_seed")
    return found[:MOST_AXES]


def _map(runs: pd.DataFrame, x: str, y: str) -> dict[str, Any]:
    levels = [sorted(runs[axis].dropna().unique().tolist()) for axis in (x, y)]
    found: dict[str, Any] = {"x": x, "y": y, "xs": levels[0], "ys": levels[1], "layers": {}}
    tables = {metric: cells(runs, [x, y], metric) for metric in ("t_grok", "grok_gap", "t_mem")}
    for name in METRICS:
        table = tables.get(name, tables["t_grok"])
        if name in tables:
            censored = table["censored"]
            words = table["median"].map(steps).mask(censored, ">" + table["bound"].map(steps))
            values = table["median"]
        elif name in table:
            values, censored = table[name], table["censored"] & False
            words = values.map(lambda value: "–" if np.isnan(value) else f"{value:.2g}")
            if name == "p_grok":
                words = table["n_grokked"].astype(str) + "/" + table["n"].astype(str)
        else:
            continue
        layer = {"values": values, "text": words, "censored": censored}
        found["layers"][name] = {key: _wide(table, x, y, levels, v) for key, v in layer.items()}
    return found


def _wide(
    table: pd.DataFrame, x: str, y: str, levels: list[list], values: pd.Series
) -> list[list[Any]]:
    """Values of cells as rows of y; None where there is no run."""
    wide: list[list[Any]] = [[None] * len(levels[0]) for _ in levels[1]]
    places = [{level: i for i, level in enumerate(axis)} for axis in levels]
    for at_x, at_y, value in zip(table[x], table[y], values.tolist(), strict=True):
        if at_x in places[0] and at_y in places[1]:
            wide[places[1][at_y]][places[0][at_x]] = value
    return wide


def _boundary(summary: Summary) -> dict[str, Any] | None:
    found = summary.boundary
    if found is None:
        return None
    curve, names = found.curve(), [summary.x, summary.y]
    pieces = [line[names].to_numpy().tolist() for _, line in curve.groupby("line")]
    drawn = {"curve": pieces, "band": [ring.tolist() for ring in found.region()]}
    return {"x": summary.x, "y": summary.y, **drawn}


def _thinned(curves: pd.DataFrame) -> dict[str, dict[str, list]]:
    """Run id → its curve at about `POINTS` log-spaced log points."""
    found = {}
    for run_id, curve in curves.sort_values(["run_id", "step"]).groupby("run_id", sort=False):
        n = len(curve)
        at = np.arange(n)
        if n > POINTS:
            at = np.unique(np.concatenate([[0], np.geomspace(1, n - 1, POINTS).round()])).astype(
                int
            )
        # Between the log points of a value a line goes on, as it does in the figures.
        whole = curve.set_index("step")[list(CURVES)]
        part = whole.interpolate(method="index", limit_area="inside").iloc[at].reset_index()
        found[str(run_id)] = {name: part[name].tolist() for name in ("step", *CURVES)}
    return found


def _measured(summary: Summary, run_ids: list[str]) -> dict[str, Any] | None:
    """The measures that tell most, of the runs whose curves are shown; None where none were."""
    wide = summary.results.measures_wide()
    wide = wide[wide["run_id"].isin(run_ids)]
    if wide.empty:
        return None
    every = [str(name) for name in wide if name not in ("run_id", "step")]
    names = [name for name in HEADLINE if name in every]
    names += [name for name in every if name not in names and wide[name].nunique() > 1]
    names = names[:MOST_MEASURES]
    found = {}
    for run_id, of_run in wide.sort_values("step").groupby("run_id", sort=False):
        # The steps at which most were measured: gaps between them would break every line.
        known = of_run.dropna(subset=names, thresh=len(names) // 2 + 1)
        found[str(run_id)] = {name: known[name].tolist() for name in ("step", *names)}
    return {"names": names, "runs": found}


def _tables(summary: Summary) -> list[dict[str, Any]]:
    tables: list[tuple[str, pd.DataFrame]] = []
    if summary.zone is not None:
        tables += [
            ("Goldilocks zone", summary.zone.table),
            (f"Edges in {summary.x}; – is beyond the map", summary.zone.edges),
            ("Fastest cell and largest gap", summary.zone.places),
            ("The zone at several budgets", summary.budgets),
        ]
    for axis, law in summary.laws.items():
        table = law.parameters.reset_index(names="parameter")
        tables.append((f"Power law of t_grok in {axis}", table))
        tables.append((f"Forms of a law in {axis}, by AIC", summary.forms[axis]))
    groups = row_groups.medians(row_groups.table(summary.results))
    if len(groups):
        tables.append(("When groups of rows grok", groups))
    return [
        {
            "title": title,
            "columns": [str(name) for name in table],
            "rows": [list(row) for row in zip(*(_plain(table[n]) for n in table), strict=True)],
        }
        for title, table in tables
    ]


def _provenance(manifest: Manifest) -> list[list[str]]:
    git, device = manifest.get("git"), manifest.get("device") or {}
    curves: Mapping[str, Any] = manifest.get("curves_of") or {}
    rows: list[tuple[str, Any]] = [
        ("curves of", ", ".join(curves.get("sources", []))),
        ("taken for", ", ".join(f"{n} ← {v}" for n, v in curves.get("recognised", {}).items())),
        ("steps", curves.get("steps")),
        ("not known", "; ".join(curves.get("not_known", []))),
        ("created", manifest.get("created")),
        ("commit", f"{git['sha']}{' (changed)' if git.get('dirty') else ''}" if git else None),
        ("device", ", ".join(f"{name} {value}" for name, value in device.items())),
        ("versions", ", ".join(f"{n} {v}" for n, v in manifest.get("versions", {}).items())),
        ("matrix products", manifest.get("matmul_precision")),
        ("later starts", "; ".join(start["command"] for start in manifest.get("starts", [])[1:])),
    ]
    return [[name, str(value)] for name, value in rows if value]


def _plain(column: pd.Series) -> list[Any]:
    """Python values, None where there is none."""
    return column.astype(object).where(column.notna(), None).tolist()
