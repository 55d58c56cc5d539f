"""When a run memorised and when it grokked, from its curve.

Every definition is here and in `events`, once; thresholds come from `grokjax.Thresholds`.
A time that has not come by the last logged step is masked (`None`, `<NA>`): the run is
censored there, which says neither "never" nor "not a number".

Legend: R runs, K log points of the longest run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from grokjax.analysis import events
from grokjax.analysis.curves import Curves, crossing, extreme, first, in_chunks, last, pick, smooth
from grokjax.config import ConfigError, Thresholds
from grokjax.results.load import Results
from grokjax.results.schema import nullable, onset_columns

Columns = dict[str, np.ma.MaskedArray]
OF_THE_TEST_SET = ("phase", "n_collapses", "partial", "early", "double_descent")
"""Columns that would say something of a run without a test set, were they not left out there."""


def summarise(
    curve: Mapping[str, np.ndarray], chance: float, thresholds: Thresholds
) -> dict[str, Any]:
    """The onset columns of one run.

    Args:
      curve: `step` and the accuracies, losses and norms, each `[K]`, in the order of steps.
      chance: test accuracy of the best constant guess.
      thresholds: what counts as memorised, grokked and so on.
    """
    columns = onsets(Curves.of_run(curve), np.array([chance]), thresholds)
    return {name: values.tolist()[0] for name, values in columns.items()}


def table(results: Results, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """The runs table with every onset column.

    They are in it as the sweep stored them, unless its grokjax was an older one or other
    thresholds are asked for: then they are computed from the curves, some thousand runs at a
    time (`curves.in_chunks` says what that costs). Where an older sweep has lost its curves, what
    it stored stays and later columns are missing.

    Raises:
      ConfigError: other thresholds are asked for, and there are no curves.
    """
    asked = thresholds or results.thresholds
    columns = onset_columns(asked)
    as_stored = asked == results.thresholds
    if as_stored and set(columns) <= set(results.runs.columns):
        return results.runs
    if not results.n_curve_rows and (results.runs["status"] != "failed").any():
        if not as_stored:
            raise ConfigError(
                f"thresholds: the curves of {results.path} are not there, and times by other "
                "thresholds are read off these; restore its folder curves/."
            )
        none = typed(pd.DataFrame(columns=["run_id", *columns]), asked)
        return results.runs.merge(
            none.drop(columns=set(columns) & set(results.runs)), on="run_id", how="left"
        )
    runs = results.runs.drop(columns=[name for name in columns if name in results.runs])
    ended = runs[runs["status"] != "failed"].set_index("run_id")["chance"]
    found = []
    for part in in_chunks(results, list(ended.index)):
        measured = onsets(part, ended.loc[list(part.run_ids)].to_numpy(float), asked)
        plain = {name: values.tolist() for name, values in measured.items()}
        found.append(pd.DataFrame({"run_id": part.run_ids, **plain}, dtype=object))
    measures = pd.concat(found) if found else pd.DataFrame(columns=["run_id", *columns])
    measures = measures.astype({"run_id": runs["run_id"].dtype})
    return runs.merge(typed(measures, asked), on="run_id", how="left")


def so_far(results: Results) -> pd.DataFrame:
    """A row a run that has a curve and has not ended: its axes, how far it is, its times so far."""
    ended = set(results.runs["run_id"])
    curves = results.curves[~results.curves["run_id"].isin(ended)]
    planned = results.planned
    if planned is None or curves.empty:
        return pd.DataFrame(columns=["run_id"])
    of_runs = Curves.of_table(curves)
    times = onsets(of_runs, np.zeros(len(of_runs.run_ids)), results.thresholds)
    last_ = of_runs.length - 1
    accuracies = {name: of_runs.values[name] for name in ("train_accuracy", "test_accuracy")}
    now = {
        "last_step": pick(of_runs.step, last_),
        **{name: pick(values, last_) for name, values in accuracies.items()},
        **{name: times[name] for name in ("t_mem", "t_grok")},
    }
    plain = {name: values.tolist() for name, values in now.items()}
    table_ = pd.DataFrame({"run_id": list(of_runs.run_ids), **plain})
    whole = dict.fromkeys(["last_step", "t_mem", "t_grok"], "Int64")
    known = planned.drop(columns="program").merge(table_.astype(whole), on="run_id")
    return known.assign(status="running", steps=known["last_step"])


def typed(measures: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Onset columns in the types that the runs table has: whole numbers and flags may miss."""
    schema = pa.schema(list(onset_columns(thresholds).items()))
    numbers = [field.name for field in schema if field.type == pa.float64()]
    kinds = {**nullable(schema), **dict.fromkeys(numbers, "float64"), "phase": "str"}
    return measures.astype(kinds)


def onsets(curves: Curves, chance: np.ndarray, thresholds: Thresholds) -> Columns:
    """Every onset column, one value a run `[R]`.

    Args:
      curves: of the runs.
      chance: `[R]`, test accuracy of the best constant guess.
      thresholds: what counts as memorised, grokked and so on.
    """
    whole, memorising, curves = (
        curves,
        curves.logged("train_accuracy"),
        curves.logged("test_accuracy"),
    )
    step, inside = curves.step, curves.inside
    # Thresholds are compared in float32, in which 9 rows of 10 are ≥ 0.9 whether the
    # curve comes from a float32 network or from the float64 column of a table.
    train = memorising.values["train_accuracy"].astype(np.float32)
    test = curves.values["test_accuracy"].astype(np.float32)
    memorised = first(train >= np.float32(thresholds.memorised))
    at_grok = first(test >= np.float32(thresholds.grokked))
    t_mem, t_grok = pick(memorising.step, memorised), pick(step, at_grok)
    # The point of the test curve at which the run has memorised: its own where both are logged.
    at_mem = first(inside & (step >= t_mem.filled(np.iinfo(step.dtype).max)[:, None]))
    columns: Columns = {"t_mem": t_mem}
    for name, level in {"t_grok": thresholds.grokked, **_named(thresholds.also)}.items():
        columns[name] = pick(step, first(test >= np.float32(level)))
        columns[f"{name}_sustained"] = pick(step, sustained(test, level, curves, thresholds))
    rise = curves.values["test_accuracy"].astype(np.float64)
    columns |= {
        "t_mem_interpolated": _between(memorising.step, train, memorised, thresholds.memorised),
        "t_grok_interpolated": _between(step, rise, at_grok, thresholds.grokked),
        "grok_gap": t_grok - t_mem,
        "grok_ratio": t_grok / np.ma.masked_equal(t_mem, 0),
        "phase": phases(t_mem, t_grok, thresholds),
    }
    # Without a training curve nobody knows whether it had memorised.
    columns["phase"][memorising.length == 0] = np.ma.masked
    widths, rises = _transition(curves, rise, at_mem, at_grok, chance)
    columns |= widths
    smoothed = smooth(step, inside, rise, thresholds.smooth_steps)
    columns |= events.steepest(curves, smoothed, at_grok, chance, thresholds)
    columns |= events.plateau(curves, rise, at_mem, rises, at_grok)
    columns |= events.collapses(curves, test, at_grok, thresholds)
    columns |= events.labels(curves, rise, at_mem, at_grok, chance, thresholds)
    # Without a test set a run neither groks nor fails to.
    no_test = ~(np.isfinite(rise) & inside).any(axis=1)
    for name in OF_THE_TEST_SET:
        columns[name] = np.ma.array(columns[name], mask=no_test | np.ma.getmaskarray(columns[name]))
    for name in ("train_loss", "test_loss", "train_accuracy", "test_accuracy"):
        of = whole.logged(name)
        columns[f"final_{name}"] = pick(of.values[name].astype(float), of.length - 1)
    columns["max_test_accuracy"] = extreme(rise, inside, largest=True)
    for name, at, of in (("t_mem", memorised, memorising), ("t_grok", at_grok, curves)):
        norm = of.values.get("weight_norm", np.full(of.step.shape, np.nan))
        columns[f"weight_norm_at_{name}"] = np.ma.masked_invalid(pick(norm.astype(float), at))
    return columns


def sustained(
    accuracy: np.ndarray, level: float, curves: Curves, thresholds: Thresholds
) -> np.ndarray:
    """Index `[R]` of the log point from which accuracy stays ≥ level to the end of the run.

    The stretch must hold at least `settle` log points after the crossing, or the run is too
    short to tell and counts as censored.
    """
    start = last(~(accuracy >= np.float32(level)) & curves.inside) + 1
    return np.where(curves.length - start > thresholds.settle, start, -1)


def phases(t_mem: Any, t_grok: Any, thresholds: Thresholds) -> np.ma.MaskedArray:
    """The four phases of Liu et al. 2022 (arXiv 2205.10343, table 1), `[R]`.

    A run that generalises without memorising first has no gap: comprehension.
    """
    memorised, grokked = ~np.ma.getmaskarray(t_mem), ~np.ma.getmaskarray(t_grok)
    mem, grok = np.ma.filled(t_mem, 0), np.ma.filled(t_grok, 0)
    if thresholds.gap_rule == "steps":
        late = grok - mem >= thresholds.gap_steps
    else:
        late = grok >= thresholds.gap_ratio * np.maximum(mem, 1)
    names = np.select(
        [grokked & memorised & late, grokked, memorised],
        ["grokking", "comprehension", "memorization"],
        "confusion",
    )
    return np.ma.array(names.astype(object))


def settling(
    curve: Mapping[str, np.ndarray], thresholds: Thresholds, settle_steps: int, since: int | None
) -> tuple[int | None, int | None]:
    """The stop rule: a run has settled after `settle_steps` updates above both thresholds.

    Where there is no test set its accuracy is no number, and train accuracy decides alone.

    Args:
      curve: `step`, `train_accuracy` and `test_accuracy`, each `[K]`: the next log points.
      thresholds: `memorised` for the training set, `grokked` for the test set.
      settle_steps: how long both must be reached, at every log point.
      since: step of the log point since which they have been, if they are.

    Returns:
      The same for the last log point, and the index of the one at which the run settled.
    """
    step = np.asarray(curve["step"])
    calm = np.asarray(curve["train_accuracy"], np.float32) >= np.float32(thresholds.memorised)
    test = np.asarray(curve["test_accuracy"], np.float32)
    calm &= (test >= np.float32(thresholds.grokked)) | np.isnan(test)
    for at in range(len(step)):
        since = None if not calm[at] else int(step[at]) if since is None else since
        if since is not None and step[at] - since >= settle_steps:
            return since, at
    return since, None


def _named(levels: tuple[float, ...]) -> dict[str, float]:
    return {f"t_grok_{100 * level:g}": level for level in levels}


def _between(
    step: np.ndarray, values: np.ndarray, index: np.ndarray, level: float
) -> np.ma.MaskedArray:
    return np.ma.array(crossing(step, values, index, level), mask=index < 0)


def _transition(
    curves: Curves, test: np.ndarray, at_mem: np.ndarray, at_grok: np.ndarray, chance: np.ndarray
) -> tuple[Columns, np.ma.MaskedArray]:
    """Steps between 10 % and 90 % of the rise of test accuracy, interpolated, of runs that grok.

    The rise goes from the test accuracy when the training set was memorised (chance, where
    the run was not memorised before it grokked) to the largest one. The 10 % point is the last
    upward crossing before the 90 % point, so that a rise in two steps counts whole; it is
    returned too.
    """
    step = curves.step
    memorised_first = (at_mem >= 0) & (at_mem < at_grok)
    base = np.where(memorised_first, pick(test, at_mem).data, chance)
    rise = extreme(test, curves.inside, largest=True).filled(0.0) - base
    upper, lower = base + 0.9 * rise, base + 0.1 * rise
    high = first(test >= upper[:, None])
    before = np.arange(test.shape[1]) <= high[:, None]
    below = last((test < lower[:, None]) & before)
    known = (at_grok >= 0) & (rise > 0) & (high >= 0) & (below >= 0)
    begin = crossing(step, test, np.minimum(below + 1, test.shape[1] - 1), lower)
    width = np.ma.array(crossing(step, test, high, upper) - begin, mask=~known)
    t_grok = np.ma.masked_less_equal(pick(step, at_grok), 0)
    columns = {"transition_width": width, "relative_width": width / t_grok}
    return columns, np.ma.array(begin, mask=~known)
