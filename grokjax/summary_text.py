"""What a sweep says over two axes as text: for a terminal, for a mail, and for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis import law_checks, row_groups
from grokjax.analysis.laws import Law
from grokjax.analysis.summary import Summary
from grokjax.command import attempted

MOST_COLUMNS = 20
"""Columns of a table that a terminal shows; a wider one is left out."""
MOST_IN_MAIL = 8
"""The same of a summary that is to be mailed."""


def describe(summary: Summary, metric: str = "t_grok") -> str:
    """The cells, the zone, the laws and the warnings as text."""
    texts: dict[str, Callable[[], str]] = {
        "the table of cells": partial(_cells_text, summary, metric),
        "the text of the zone": partial(_zone_text, summary),
        "the text of the refinement": partial(_refinement_text, summary),
    }
    for axis in summary.laws:
        texts[f"the text of the law of {axis}"] = partial(_law_text, summary, axis)
    texts["the text of groups of rows"] = lambda: "\n".join(row_groups.headlines(summary.results))
    parts = [attempted(what, text, "") for what, text in texts.items()]
    parts += [f"warning: {text}" for text in summary.warnings]
    return "\n\n".join(part for part in parts if part)


def markdown(summary: Summary, metric: str = "t_grok") -> str:
    """One screen to be mailed: how many runs, the zone, the laws, the warnings."""
    results = summary.results
    told = results.manifest
    grokked = int(summary.runs["t_grok"].notna().sum())
    lines = [
        f"# {told.get('name', results.path.name)}",
        "",
        f"{len(summary.runs)} runs, {grokked} grokked; {_axes_text(summary)}.",
    ]
    if not results.finished:
        lines.append(f"**Not finished**: {results.how_much_is_in}.")
    git = told.get("git")
    made = [told.get("created", ""), str((told.get("device") or {}).get("kind", ""))]
    made += [f"commit {git['sha'][:10]}"] if git else []
    lines += ["", f"`{told.get('command', '')}` ({', '.join(word for word in made if word)})", ""]
    cells = summary.cells(metric)
    if cells[summary.x].nunique() <= MOST_IN_MAIL:
        text = table(cells, summary.x, summary.y, metric, summary.waiting)
        lines += ["```", text, "```", ""]
    said = [repr(summary.zone)[1:-1] if summary.zone else no_zone(summary)]
    said += [text] if (text := _refinement_text(summary)) else []
    said += [repr(law)[1:-1] for law in summary.laws.values()]
    said += row_groups.headlines(results)
    said += [f"*Warning*: {text}" for text in summary.warnings]
    return "\n".join([*lines, *(f"- {text}" for text in said)]) + "\n"


def as_json(summary: Summary, metric: str = "t_grok") -> dict[str, Any]:
    """The same as plain values, for a program to read; None where there is no number."""
    results, zone = summary.results, summary.zone
    told: dict[str, Any] = {
        "name": results.manifest.get("name", results.path.name),
        "results": str(results.path),
        "finished": results.finished,
        "how_much_is_in": results.how_much_is_in,
        "runs": len(summary.runs),
        "grokked": int(summary.runs["t_grok"].notna().sum()),
        "failed": int((results.runs["status"] == "failed").sum()),
        "x": summary.x,
        "y": summary.y,
        "metric": metric,
        "cells": summary.cells(metric),
        "zone": None,
        "why_no_zone": summary.why_no_zone,
        "budgets": summary.budgets,
        "row_groups": row_groups.medians(row_groups.table(results)),
        "laws": {axis: _law_json(law) for axis, law in summary.laws.items()},
        "warnings": summary.warnings,
    }
    if zone is not None:
        tables = {"quantities": zone.table, "edges": zone.edges, "places": zone.places}
        told["zone"] = {"budget": zone.boundary.budget, **tables}
    plain: dict[str, Any] = _plain(told)
    return plain


def _law_json(law: Law) -> dict[str, Any]:
    parameters = law.parameters.reset_index(names="parameter")
    return {"form": law.form, "parameters": parameters, "n": law.n, "n_censored": law.n_censored}


def _plain(value: Any) -> Any:
    """Tables as lists of rows, numbers as JSON has them."""
    if isinstance(value, pd.DataFrame):
        return _plain(value.astype(object).where(value.notna(), None).to_dict("records"))
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _axes_text(summary: Summary) -> str:
    axes = {name: len(values) for name, values in summary.results.axes.items() if len(values) > 1}
    return " × ".join(f"{name} ({n})" for name, n in axes.items()) or "a single configuration"


def no_zone(summary: Summary) -> str:
    """That there is no zone, or none yet, and why."""
    return f"no zone{' yet' * (not summary.results.finished)}: {summary.why_no_zone}"


def _cells_text(summary: Summary, metric: str) -> str:
    found = summary.cells(metric)
    wide = found[summary.x].nunique() > MOST_COLUMNS
    if wide:
        return ""
    return table(found, summary.x, summary.y, metric, summary.waiting)


def table(
    found: pd.DataFrame, x: str, y: str, metric: str, waiting: pd.DataFrame | None = None
) -> str:
    """The cells as text: how many grokked, and the median time or that it is censored.

    Args:
      found: cells, as `analysis.cells.cells` gives them.
      x: column across.
      y: column up.
      metric: whose medians these are.
      waiting: cells of which no run has ended yet.
    """
    median = found["median"].map("{:.0f}".format)
    median = median.mask(found["censored"], found["bound"].map(">{:.0f}".format))
    median = median.mask(found["median"].isna() & ~found["censored"], "-")
    counts = found["n_grokked"].astype(str) + "/" + found["n"].astype(str)
    wide = found.assign(text=counts + " " + median)
    for axis in (x, y):
        if found[axis].isna().all():  # curves of others that say nothing of it
            wide = wide.assign(**{axis: "not known"})
    if waiting is not None and len(waiting):
        wide = pd.concat([wide, waiting.assign(text="…")], ignore_index=True)
    wide = wide.pivot_table(index=y, columns=x, values="text", aggfunc="first")
    wide = wide.sort_index(ascending=False).fillna("")
    empty = {"": "none"}  # a list without anything in it, of modifiers say
    wide = wide.rename(index=empty, columns=empty)
    note = f"grokked/runs and median {metric}; > marks cells censored at their budgets"
    note += ", … those of which no run has ended yet" * (waiting is not None and len(waiting) > 0)
    return f"{wide.to_string()}\n{note}"


def _refinement_text(summary: Summary) -> str:
    """How many runs were put where the boundary is least certain, and why no more were."""
    rounds = summary.results.manifest.get("rounds", [])
    n = sum(len(one["cells"]) for one in rounds)
    made = [f"refined by {n} runs in {sum(bool(one['cells']) for one in rounds)} rounds"] * bool(n)
    reason = rounds[-1].get("reason") if rounds else None
    return ", ".join([*made, *([f"no further round: {reason}"] if reason else [])])


def _zone_text(summary: Summary) -> str:
    found = summary.zone
    if found is None:
        return no_zone(summary)
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
    lines.append(f"edges in {x} [95 %]:")
    every = -(-len(found.edges) // MOST_COLUMNS)
    for row in _rows(found.edges.iloc[::every]):
        sides = " to ".join(_edge(row, side) for side in ("lower", "upper"))
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


def _interval(row: Mapping[str, Any]) -> str:
    value, low, high = (row[name] for name in ("value", "low", "high"))
    if math.isnan(value):
        return "unknown"
    if math.isnan(low) and math.isnan(high):
        return f"{value:.3g} (no interval)"
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _edge(row: Mapping[str, Any], side: str) -> str:
    """Where the zone ends on one side, with what its band says of that."""
    value, low, high = (row[f"{side}{end}"] for end in ("", "_low", "_high"))
    beyond = "the map's edge" if math.isnan(value) else f"{value:.3g}"
    if math.isnan(low) and math.isnan(high):
        return beyond if math.isnan(value) else f"{beyond} (limits beyond the map)"
    words = ["beyond" if math.isnan(limit) else f"{limit:.3g}" for limit in (low, high)]
    return f"{beyond} [{', '.join(words)}]"
