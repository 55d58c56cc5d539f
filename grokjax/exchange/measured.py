"""Runs of other programs → rows of our tables: steps in updates, accuracies as shares."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis.cells import RESULTS
from grokjax.analysis.summary import PREFERRED
from grokjax.config import ConfigError, Thresholds
from grokjax.config.identity import digest
from grokjax.exchange.runs import AXIS, OtherRun
from grokjax.results.schema import METRICS

ACCURACIES = ("train_accuracy", "test_accuracy", "train_accuracy_true")
LOGGED = "logged"
"""Instrument under which numbers stand that are no metric of ours."""
STATUSES = ("done", "diverged", "failed")
_ID = re.compile(r"[0-9a-f]{8,64}")
_WHOLE = 1e-6


@dataclasses.dataclass(frozen=True)
class Units:
    """What the user says of the numbers."""

    updates_per_epoch: float | None
    log_every: int | None
    accuracies: str | None
    chance: float | None


@dataclasses.dataclass
class Read:
    """The rows of our tables."""

    rows: list[dict[str, Any]]
    curves: pd.DataFrame
    measures: pd.DataFrame
    steps: str
    accuracies: str
    notes: list[str]


def of_runs(found: Sequence[OtherRun], units: Units, thresholds: Thresholds) -> Read:
    """The rows of the tables.

    Raises:
      ConfigError: no column counts updates or epochs, or numbers are none that these can be.
    """
    notes: list[str] = []
    whole = [run for run in found if "test_accuracy" in run.curve or _failed(run)]
    if len(whole) < len(found) and whole:
        lacking = [run.name for run in found if run not in whole]
        notes.append(
            f"the test accuracy of {', '.join(lacking[:5])}, left out ({len(lacking)} runs)"
        )
    counted: dict[str, int] = {}
    curves, measures, rows = [], [], []
    factor, in_words = _percent(whole, units)
    repeated = 0
    for run, name in zip(whole, _distinct(whole), strict=True):
        settings = dict(run.config)
        settings.pop("run", None)
        run_id = _run_id(run, name, settings)
        row = {
            "run_id": run_id,
            "run": str(run.config.get("run", name)) or "run",
            **_plain(settings),
        }
        if _failed(run):
            rows.append(row)
            continue
        steps, what = _steps(run, units)
        counted[what] = counted.get(what, 0) + 1
        curve, twice = _curve(run, steps, factor)
        repeated += twice
        row["diverged"] = _diverged(curve)
        known = curve.loc[np.isfinite(curve["test_accuracy"])]
        if known.empty:
            notes.append(f"the test accuracy of {name}, left out")
            continue
        row |= _ended(known, thresholds)
        row["chance"] = _chance(settings, units)
        rows.append(row)
        curves.append(curve.assign(run_id=run_id))
        if set(curve) - {*METRICS, "step"}:
            measures.append(_other(curve, run_id))
    if not curves:
        return Read([], pd.DataFrame(), pd.DataFrame(), "", "", notes)
    _end(rows)
    table = pd.concat(curves, ignore_index=True)
    table = table.reindex(columns=["run_id", "step", *METRICS])
    table[list(METRICS)] = table[list(METRICS)].where(
        np.isfinite(table[list(METRICS)].astype(float))
    )
    if repeated:
        notes.append(
            f"which of two rows of a step counts: the later one was taken ({repeated} rows)"
        )
    notes += _missing(table, rows)
    numbers = [part for part in measures if len(part)]
    empty = pd.DataFrame(columns=["run_id", "step", "instrument", "part", "value"])
    told = ", ".join(
        f"{what} ({n} runs)" * (len(counted) > 1) or what for what, n in counted.items()
    )
    return Read(rows, table, pd.concat(numbers) if numbers else empty, told, in_words, notes)


def _failed(run: OtherRun) -> bool:
    return run.config.get("status") == "failed"


def _distinct(found: Sequence[OtherRun]) -> list[str]:
    """Names of runs; those of the same name get a number."""
    seen: dict[str, int] = {}
    told = []
    for run in found:
        seen[run.name] = seen.get(run.name, 0) + 1
        told.append(run.name if seen[run.name] == 1 else f"{run.name} ({seen[run.name]})")
    return told


def _run_id(run: OtherRun, name: str, settings: dict[str, Any]) -> str:
    """The run's own where it has one such as ours, else a hash of its name and settings."""
    for candidate in (settings.pop("run_id", None), run.name):
        if isinstance(candidate, str) and _ID.fullmatch(candidate):
            return candidate
    return digest({"run": name, **{key: str(value) for key, value in settings.items()}})


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that are columns; what the tables compute themselves is left out."""
    ours = {*RESULTS, "last_step", "updates_per_epoch", "classes", "budget_epochs"}
    told = {name: value for name, value in settings.items() if name not in ours}
    if settings.get("status") in STATUSES:
        told |= {n: settings[n] for n in ("status", "stop_reason", "error") if n in settings}
    if isinstance(settings.get("wall_s"), (int, float)):
        told["wall_s"] = float(settings["wall_s"])
    if "updates_per_epoch" in settings and "budget_epochs" in settings:
        told["steps"] = round(settings["budget_epochs"] * settings["updates_per_epoch"])
    return {**dict.fromkeys(PREFERRED), **told}


def _steps(run: OtherRun, units: Units) -> tuple[np.ndarray, str]:
    """The update of each row `[K]`, NaN where it has none; and what was counted."""
    rows = run.curve["test_accuracy"].notna()
    axes = [name for name in AXIS if name in run.curve and run.curve.loc[rows, name].notna().all()]
    axes = [name for name in axes if run.curve[name].nunique() > 1] or axes
    if not axes:
        if units.log_every is None:
            raise ConfigError(
                f"{run.source}: no column counts updates or epochs, say which with --columns "
                "step=NAME or epoch=NAME, or how many updates lie between rows with --log-every."
            )
        return np.arange(len(run.curve)) * float(units.log_every), "rows, evenly spaced"
    axis = axes[0]
    values = run.curve[axis].to_numpy(float)
    values = np.where(values >= 0, values, np.nan)
    if axis == "epoch":
        told = units.updates_per_epoch or run.config.get("updates_per_epoch")
        if told is not None:
            return np.round(values * float(told)), f"epochs, of {float(told):g} updates each"
        _check_whole(values, run, "epochs are fractions, say how many updates one has with "
                     "--updates-per-epoch")  # fmt: skip
        return values, "epochs, each counted as one update (else say --updates-per-epoch)"
    _check_whole(values, run, "steps are fractions; where they are epochs, say --columns "
                 "epoch=NAME and --updates-per-epoch")  # fmt: skip
    if axis == "counter":
        return values, "the calls of the logger (_step), each counted as one update"
    return values, "updates"


def _check_whole(values: np.ndarray, run: OtherRun, remedy: str) -> None:
    known = values[np.isfinite(values)]
    if len(known) and np.abs(known - np.round(known)).max() > _WHOLE:
        raise ConfigError(f"{run.source}: {remedy}.")


def _curve(run: OtherRun, steps: np.ndarray, percent: float) -> tuple[pd.DataFrame, int]:
    """The rows of a run in the order of steps, one a step, and how many were there twice."""
    curve = run.curve.drop(columns=[name for name in AXIS if name in run.curve])
    for name in ACCURACIES:
        if name in curve:
            values = curve[name].where(np.isfinite(curve[name])) / percent
            wrong = values[(values > 1 + _WHOLE) | (values < -_WHOLE)]
            if len(wrong):
                raise ConfigError(
                    f"{run.source}: {name} has {wrong.iloc[0] * percent:g} in it, which is no "
                    f"accuracy, name another column with --columns {name}=NAME."
                )
            curve[name] = values.clip(0, 1)
    curve = curve.assign(step=steps)[np.isfinite(steps)]
    curve = curve.assign(step=curve["step"].round().astype("int64"))
    twice = curve.loc[curve["test_accuracy"].notna(), "step"].duplicated().sum()
    by_step = (
        curve.groupby("step").last()
        if curve["step"].duplicated().any()
        else curve.set_index("step")
    )
    return by_step.sort_index().dropna(how="all").reset_index(), int(twice)


def _percent(found: Sequence[OtherRun], units: Units) -> tuple[float, str]:
    """What accuracies are divided by, and what they stood there as."""
    largest = {}
    for name in ACCURACIES:
        columns = [run.curve[name].to_numpy(float) for run in found if name in run.curve]
        known = np.concatenate(columns) if columns else np.zeros(0)
        if (known := known[np.isfinite(known)]).size:
            largest[name] = known.max()
    if units.accuracies is not None:
        return (100.0, "percent") if units.accuracies == "percent" else (1.0, "shares")
    above = {name: top for name, top in largest.items() if top > 1 + _WHOLE}
    if above and len(above) < len(largest):
        (name, top), (other, small) = (
            next(iter(above.items())),
            min(largest.items(), key=lambda pair: pair[1]),
        )
        raise ConfigError(
            f"accuracies: {name} goes up to {top:g} and {other} up to {small:g}, say with "
            "--accuracies percent or share what both of them are in."
        )
    return (100.0, "percent") if above else (1.0, "shares")


def _diverged(curve: pd.DataFrame) -> bool:
    """Whether a loss was written as no number at the last log point of an accuracy."""
    name = next((n for n in ("train_loss", "test_loss") if n in curve), None)
    known = curve[[n for n in ACCURACIES if n in curve]].notna().any(axis=1)
    return bool(name and known.any() and np.isinf(curve.loc[known, name].iloc[-1]))


def _ended(known: pd.DataFrame, thresholds: Thresholds) -> dict[str, Any]:
    """How far a run was followed, and whether it had grokked by then."""
    gaps = np.diff(known["step"].to_numpy())
    last = known["test_accuracy"].iloc[-1]
    return {
        "last_step": int(known["step"].iloc[-1]),
        "log_every": int(np.median(gaps)) if len(gaps) else None,
        "grokked": bool(np.float32(last) >= np.float32(thresholds.grokked)),
    }


def _end(rows: Sequence[dict[str, Any]]) -> None:
    """Status, stop reason and budget of each run.

    The budget is the last step, for none is known. A run that ended before others because it had
    grokked, or because its numbers were none any more, would have gone on to where these went.
    """
    longest = max(row.get("last_step", 0) for row in rows)
    for row in rows:
        diverged, grokked = row.pop("diverged", False), row.pop("grokked", False)
        if row.get("status") == "failed":
            continue
        ended = row["last_step"]
        budget = row.get("steps") or longest
        done = "diverged" if diverged else "settled" if grokked and ended < budget else "budget"
        row["status"] = row.get("status") or ("diverged" if diverged else "done")
        row["stop_reason"] = row.get("stop_reason") or done
        row["steps"] = int(max(budget, ended)) if row["stop_reason"] != "budget" else ended


def _chance(settings: Mapping[str, Any], units: Units) -> float:
    """Accuracy of the best constant guess, where it is told or follows from what is."""
    if units.chance is not None:
        return units.chance
    if isinstance(told := settings.get("chance"), (int, float)):
        return float(told)
    n = settings.get("classes", settings.get("p"))
    return 1 / n if isinstance(n, int) and n > 1 else np.nan


def _other(curve: pd.DataFrame, run_id: str) -> pd.DataFrame:
    """Numbers that are no metric of ours, a row each."""
    parts = [name for name in curve if name not in (*METRICS, "step", "run_id")]
    long = curve.melt("step", parts, "part", "value").dropna()
    long = long[np.isfinite(long["value"].astype(float))]
    return long.assign(run_id=run_id, instrument=LOGGED)[
        ["run_id", "step", "instrument", "part", "value"]
    ]


def _missing(table: pd.DataFrame, rows: Sequence[dict[str, Any]]) -> list[str]:
    """What the curves do not say."""
    lacking = [name for name in METRICS[:-1] if table[name].isna().all()]
    found = []
    if "train_accuracy" in lacking:
        found.append("when runs memorise (t_mem), and their phases: there is no train accuracy")
        lacking.remove("train_accuracy")
    if lacking:
        found.append(", ".join(lacking))
    if any(np.isnan(row.get("chance", 0.0)) for row in rows):
        found.append("the accuracy of a constant guess (--chance), for partial and early runs")
    if unset := [name for name in PREFERRED if all(row[name] is None for row in rows)]:
        found.append(" and ".join(unset))
    early = [row["last_step"] for row in rows if row.get("stop_reason") == "budget"]
    longest = max(row.get("last_step", 0) for row in rows)
    if short := [step for step in early if step < longest]:
        found.append(
            f"what became of {len(short)} runs that ended before the longest one ({min(short)} of "
            f"{longest}) without having grokked; maps are by the shortest"
        )
    found.append("budgets: each run's is taken to be its last step")
    return found
