"""What a reader should know before believing a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from grokjax.analysis import row_checks
from grokjax.config.experiment import SEEDS

if TYPE_CHECKING:
    from grokjax.analysis.summary import Summary

FEW_SEEDS = 5
MOVING = 0.1
"""Growth of the zone over the second half of the budget from which on it is still moving."""
RESOLVED = 3
"""Log points that a transition should span."""


def _damaged(summary: Summary) -> str | None:
    return "; ".join(gap.rstrip(".") for gap in summary.results.gaps) or None


def _unfinished(summary: Summary) -> str | None:
    said = summary.results.how_much_is_in
    if not said:
        return None
    return (
        f"not finished: {said}; those that are in ended first, so that shares and times so far "
        "lean towards the quick ones"
    )


def _few_seeds(summary: Summary) -> str | None:
    n = summary.cells()["n"]
    if n.median() >= FEW_SEEDS:
        return None
    half = 100 * 0.98 / np.sqrt(n.median())
    return (
        f"too few seeds: {n.median():.0f} runs in the usual cell, so that a share of one half is "
        f"known to ± {half:.0f} %; {FEW_SEEDS} are the least for a map"
    )


def _moving(summary: Summary) -> str | None:
    growth = summary.budgets["growth"].iloc[-1] if len(summary.budgets) > 1 else 0.0
    if not MOVING < growth < np.inf:
        return None
    before, whole = summary.budgets["budget"].iloc[-2:]
    return (
        f"budget too short: between {before:.0f} and {whole:.0f} updates the zone grew by "
        f"{growth:.0%}, so that cells beyond its lower edge are not yet, and perhaps not never; "
        "the same sweep with larger --steps goes on with the runs that their budget ended"
    )


def _sparse_log(summary: Summary) -> str | None:
    runs = summary.runs[summary.runs["transition_width"].notna()]
    if "log_every" not in runs or runs.empty:
        return None
    share = (runs["transition_width"] < RESOLVED * runs["log_every"]).mean()
    if share < 0.1:
        return None
    return (
        f"log too sparse: {share:.0%} of the transitions take less than {RESOLVED} log points, so "
        "that widths and slopes are those of the log; lower log_every"
    )


def _collapses(summary: Summary) -> str | None:
    grokked = summary.runs[summary.runs["t_grok"].notna()]
    lost = grokked["t_collapse"].notna()
    if not lost.any():
        return None
    for_good = int((~grokked.loc[lost, "recovered"].astype(bool)).sum())
    return (
        f"grokking did not last: {lost.sum()} of {len(grokked)} runs that grokked collapsed "
        f"later, {for_good} of them to the end; t_grok_sustained is a crossing that lasts"
    )


def _settled(summary: Summary) -> str | None:
    if "stop_reason" not in summary.runs:
        return None
    settled = int((summary.runs["stop_reason"] == "settled").sum())
    if not settled:
        return None
    return (
        f"late collapse unseen: {settled} runs ended soon after they had settled; train with "
        "settle_steps=None to see what becomes of them"
    )


def _ended_before(summary: Summary) -> str | None:
    """By stricter thresholds than those of the training, runs that were quick count as slow."""
    if "stop_reason" not in summary.runs:
        return None
    without = summary.runs["t_grok"].isna()
    n = int((without & (summary.runs["stop_reason"] == "settled")).sum())
    if not n:
        return None
    return (
        f"quick runs count as slow: {n} of {int(without.sum())} runs without t_grok had settled by "
        "the thresholds of their training, which are weaker than these, and ended before they "
        "could cross; train with settle_steps=None or with these thresholds"
    )


def _at_start(summary: Summary) -> str | None:
    n = int((summary.runs["t_grok"] == 0).sum())
    if not n:
        return None
    return (
        f"grokked at step 0: {n} runs were above the threshold before any update; a time of 0 has "
        "no logarithm, so that laws leave them out"
    )


def _bad_fit(summary: Summary) -> str | None:
    if summary.boundary is None or summary.boundary.p_fit >= 0.05:
        return None
    return (
        f"the boundary fits badly (p = {summary.boundary.p_fit:.3f}): the map has more structure "
        "than a cubic surface, or runs of a cell depend on each other"
    )


def _left_out(summary: Summary) -> str | None:
    n = summary.boundary.n_left_out if summary.boundary else 0
    return f"{n} runs have no place on the axes of the boundary and are not in it" if n else None


def _placeless(summary: Summary) -> str | None:
    missing = summary.runs[[summary.x, summary.y]].isna()
    n = int(missing.any(axis=1).sum())
    names = " or ".join(missing.columns[missing.any()])
    return f"{n} runs have no value of {names} and no place on the map" if n else None


def _pooled(summary: Summary) -> str | None:
    names = [n for n in summary.results.axes if n not in (summary.x, summary.y, *SEEDS)]
    cells = summary.runs.groupby([summary.x, summary.y], dropna=False)
    pooled = [n for n in names if n in summary.runs and (cells[n].nunique(dropna=False) > 1).any()]
    return f"each cell pools runs that differ in {', '.join(pooled)}" if pooled else None


def _failed(summary: Summary) -> str | None:
    n = int((summary.results.runs["status"] == "failed").sum())
    return f"{n} runs failed and are left out; see the column `error` of the runs" if n else None


CHECKS: tuple[Callable[[Summary], str | None], ...] = (
    _damaged, _unfinished, _failed, row_checks.untested_runs, row_checks.of_the_table,
    _few_seeds, _moving, _sparse_log, _ended_before, _collapses, _settled, _at_start, _bad_fit,
    _left_out, _placeless, _pooled,
)  # fmt: skip
