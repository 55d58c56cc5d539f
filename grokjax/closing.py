"""The closing report of a sweep: what it says as text, its figures, its page.

Whatever one figure, one law or the page raises is said in a sentence on standard error, and the
others appear.
"""

from __future__ import annotations

import dataclasses
import math
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from grokjax.analysis import law_checks
from grokjax.analysis.cells import check_columns, finished
from grokjax.analysis.summary import Summary, summarise
from grokjax.command import say
from grokjax.config import ConfigError
from grokjax.results.files import write_text
from grokjax.results.load import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokjax.figures.drawn import Drawn

MOST_COLUMNS = 20
"""Columns of a table that a terminal shows; a wider one is left out."""

T = TypeVar("T")


def show(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    metric: str = "t_grok",
    out: Path | None = None,
) -> bool:
    """Print what the sweep says, write the figures and the page; whether there was any of it."""
    if results.runs.empty:
        raise ConfigError(f"{results.path}: no run has ended yet, wait for the sweep.")
    if finished(results.runs).empty:
        print("every run failed: there is nothing to map; see the column `error` of the runs")
        return True
    if out is None and not results.path.exists():
        raise ConfigError("out=None: these results have no folder, say where figures are to go.")
    summary = summarise(results, x, y)
    check_columns(summary.runs, [summary.x, summary.y], metric)
    folder = out or results.path
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"out={str(folder)!r}: it is a file, give a folder for the figures.")
    summary = computed(summary)
    text = describe(summary, metric)
    print(text, flush=True)
    paths = write(summary, metric, folder)
    for path in paths:
        print(f"wrote {path}", flush=True)
    return bool(text or paths)


def attempted(what: str, work: Callable[[], T], instead: T) -> T:
    """What `work` returns; where it raises, a sentence is printed and `instead` is returned."""
    try:
        return work()
    except Exception as error:
        # The one place that catches everything: behind it lie hours of training, and a fault in
        # one figure must cost neither their status nor the other figures.
        if isinstance(error, ConfigError):
            reason = str(error)
        else:
            *_, frame = traceback.extract_tb(error.__traceback__)
            first = (str(error).splitlines() or ["no message"])[0]
            place = f"{Path(frame.filename).name}, line {frame.lineno}"
            reason = f"{type(error).__name__}: {first} ({place})"
        say(f"{what} is left out: {reason}")
        return instead


def computed(summary: Summary) -> Summary:
    """The summary without those of its parts that cannot be computed."""
    for what in summary.parts():
        compute = summary.parts()[what]  # of the summary that lacks what was left out before
        if not attempted(f"the {what}", partial(_works, compute), False):
            summary = dataclasses.replace(summary, left_out=summary.left_out | {what})
    return summary


def _works(compute: Callable[[], object]) -> bool:
    compute()
    return True


def describe(summary: Summary, metric: str = "t_grok") -> str:
    """The cells, the zone, the laws and the warnings as text."""
    texts: dict[str, Callable[[], str]] = {
        "the table of cells": partial(_cells_text, summary, metric),
        "the text of the zone": partial(_zone_text, summary),
    }
    for axis in summary.laws:
        texts[f"the text of the law of {axis}"] = partial(_law_text, summary, axis)
    parts = [attempted(what, text, "") for what, text in texts.items()]
    parts += [f"warning: {text}" for text in summary.warnings]
    return "\n\n".join(part for part in parts if part)


def _cells_text(summary: Summary, metric: str) -> str:
    found = summary.cells(metric)
    wide = found[summary.x].nunique() > MOST_COLUMNS
    return "" if wide else table(found, summary.x, summary.y, metric)


def table(found: pd.DataFrame, x: str, y: str, metric: str) -> str:
    """The cells as text: how many grokked, and the median time or that it is censored."""
    median = found["median"].map("{:.0f}".format)
    median = median.mask(found["censored"], found["bound"].map(">{:.0f}".format))
    median = median.mask(found["median"].isna() & ~found["censored"], "-")
    counts = found["n_grokked"].astype(str) + "/" + found["n"].astype(str)
    wide = found.assign(text=counts + " " + median)
    wide = wide.pivot_table(index=y, columns=x, values="text", aggfunc="first")
    wide = wide.sort_index(ascending=False).fillna("")
    note = f"grokked/runs and median {metric}; > marks cells censored at their budgets"
    return f"{wide.to_string()}\n{note}"


def _zone_text(summary: Summary) -> str:
    found = summary.zone
    if found is None:
        return f"no zone: {summary.why_no_zone}"
    edge, x, y = found.boundary, summary.x, summary.y
    lines = [f"Goldilocks zone, P(grok within {edge.budget:.0f} updates) ≥ ½ [95 %]:"]
    for row in _rows(found.table):
        plain = row["unit"] == "1" or row["unit"] in row["quantity"]
        unit = "" if plain else f" {row['unit']}"
        lines.append(f"  {row['quantity']:<30}{_interval(row)}{unit}")
    for row in _rows(found.places):
        where = f"{y} {row[y]:g}" if math.isnan(row[x]) else f"{x} {row[x]:g}, {y} {row[y]:g}"
        line = f"  {row['place']:<30}{where}: median {row['median']:.0f}"
        resampled = not math.isnan(row["agree"])
        lines.append(line + f", in {row['agree']:.0%} of the resamples" * resampled)
    lines.append(f"edges in {x} [95 %]; – is beyond the map:")
    every = -(-len(found.edges) // MOST_COLUMNS)
    for row in _rows(found.edges.iloc[::every]):
        names = [[f"{side}{end}" for end in ("", "_low", "_high")] for side in ("lower", "upper")]
        sides = " to ".join(_interval(row, *name) for name in names)
        lines.append(f"  {y} {row[y]:<10g}{sides if row['inside'] else 'no zone'}")
    shares = [f"{r['share of the map']:.0%} by {r['budget']:.0f}" for r in _rows(summary.budgets)]
    lines.append(f"share of the map inside: {', '.join(shares)}")
    return "\n".join(lines)


def _law_text(summary: Summary, axis: str) -> str:
    law, runs = summary.laws[axis], summary.law_runs
    (b,) = _rows(law.parameters.loc[["b"]])
    within = f", a constant for each {' and '.join(law.within)}" if law.within else ""
    side = f" up to the fastest cell of each {summary.y}" * (len(runs) < len(summary.runs))
    lines = [
        f"t_grok ∝ {axis}^b{within}: b = {_interval(b)} "
        f"({law.n} runs{side}, {law.n_censored} censored)"
    ]
    best = summary.forms[axis]
    best = best[(best["data"] == "all") & (best["distribution"] == law.distribution)]
    forms = ", ".join(f"{row['form']} {row['delta']:.1f}" for row in _rows(best))
    lines.append(f"  AIC above the best form: {forms}")
    checks = ", ".join(f"{n} {v:.2g}" for n, v in law_checks.diagnose(runs, law).items())
    lines.append(f"  residuals: {checks}")
    out = law_checks.held_out(runs, law)
    if len(out):
        gain = (out["score"] - out["score_constant"]).mean()
        lines.append(
            f"  seeds held out: {out['inside'].mean():.0%} inside their 95 % intervals, "
            f"{gain:+.2f} nats a run over no dependence on {axis}"
        )
    return "\n".join(lines)


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _interval(
    row: Mapping[str, Any], value: str = "value", low: str = "low", high: str = "high"
) -> str:
    words = ["–" if math.isnan(row[name]) else f"{row[name]:.3g}" for name in (value, low, high)]
    return "{} [{}, {}]".format(*words)


def write(summary: Summary, metric: str, folder: Path) -> list[Path]:
    """Every figure that the sweep has the axes for, as PNG and PDF, and `report.html`."""
    from grokjax import report
    from grokjax.figures import gallery, pyplots, registry, style
    from grokjax.figures.drawn import figure_of

    groups: dict[str, pd.DataFrame] = {}
    groups = attempted("the choice of curves", partial(gallery.curve_groups, summary), groups)
    drawn = [str(run_id) for runs in groups.values() for run_id in runs["run_id"]]
    wanted = list(dict.fromkeys([*report.curve_runs(summary), *drawn]))
    needed = [name for kind in registry.KINDS.values() for name in kind.columns]
    columns = dict.fromkeys(["step", *report.CURVES, *needed])
    curves = summary.results.curves_of(wanted, list(columns))

    def save(name: str, draw: Callable[[], Figure | Drawn]) -> list[Path]:
        with pyplots.apart():
            return style.save(figure_of(draw()), folder / "figures", name)

    def page() -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "report.html", report.html(summary, curves))
        return [folder / "report.html"]

    paths: list[Path] = []
    shown = registry.Shown(summary, metric, curves)
    for kind in registry.KINDS.values():
        drawings: registry.Drawings = {}
        drawings = attempted(f"the choice of {kind.name}", partial(kind.choose, shown), drawings)
        for name, draw in drawings.items():
            paths += attempted(f"the figure {name}", partial(save, name, draw), [])
    no_page: list[Path] = []
    return paths + attempted("the page report.html", page, no_page)
