"""When each group of rows is memorised and grokked, as `RowGroups` has measured it.

Times are by the definitions of `onset` and the thresholds of whole runs, on the accuracies of a
group's own rows.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import pandas as pd

from grokjax.analysis import onset
from grokjax.analysis.cells import cells, finished
from grokjax.analysis.curves import Curves
from grokjax.config import Thresholds
from grokjax.results.load import Results

MEASURED = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
TIMES = ("t_mem", "t_mem_interpolated", "t_grok", "t_grok_sustained", "t_grok_interpolated")
KEYS = ["run_id", "instrument", "row_group"]
MOST_TOLD = 6
"""Groups that a sentence names."""
AS_FAR = ("status", "last_step", "steps")
"""Columns of the runs that say how long each was followed."""


@functools.lru_cache(maxsize=2)  # the text, the figures and the page of a report ask for them
def curves(results: Results) -> pd.DataFrame:
    """The curves of every group: `run_id`, `instrument`, `row_group`, `step` and `MEASURED`.

    Groups are in the order of their names, or of the numbers at the end of these. Empty where
    nothing was measured by groups.
    """
    empty = pd.DataFrame(columns=[*KEYS, "step", *MEASURED])
    rows = results.measures
    if rows.empty:
        return empty
    named = rows["part"].str.rsplit(".", n=1, expand=True).reindex(columns=[0, 1])
    rows = rows.assign(row_group=named[0], what=named[1])[named[1].isin(MEASURED)]
    # Another instrument may have a part that is called like one of these.
    whole = rows.groupby("instrument")["what"].nunique() == len(MEASURED)
    rows = rows[rows["instrument"].isin(whole.index[whole])]
    if rows.empty:
        return empty
    names = sorted(set(rows["row_group"]), key=_order)
    place = {name: at for at, name in enumerate(names)}
    wide = rows.pivot(index=[*KEYS, "step"], columns="what", values="value").reset_index()
    wide = wide.sort_values("row_group", key=lambda column: column.map(place), kind="stable")
    wide = wide.sort_values(["run_id", "instrument"], kind="stable")
    return wide.rename_axis(columns=None)[[*KEYS, "step", *MEASURED]].reset_index(drop=True)


def table(results: Results, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """A row a run and group: when it was memorised and grokked, and how it ended.

    Columns: `run_id`, `instrument` and `row_group`; `t_mem`, `t_grok`, `t_grok_sustained` and two
    of them interpolated; `censored`, whether the run ended before the group had grokked, missing
    where the group has no test row; `final_train_accuracy` and so on, of the last log point;
    `status`, `last_step` and `steps` of the run, and the axes of the sweep. Failed runs are left
    out.

    Args:
      results: with measures of `RowGroups`.
      thresholds: what counts as memorised and grokked; None: those of the results.
    """
    asked = thresholds or results.thresholds
    runs, of_groups = finished(results.runs), curves(results)
    of_groups = of_groups[of_groups["run_id"].isin(runs["run_id"])]
    axes = [name for name in results.axes if name in runs and name not in AS_FAR]
    told = runs[["run_id", *AS_FAR, *axes]]
    if of_groups.empty:
        finals = [f"final_{name}" for name in MEASURED]
        return pd.DataFrame(columns=[*KEYS, *TIMES, "censored", *finals, *AS_FAR, *axes])
    number = of_groups.groupby(KEYS, sort=False).ngroup()
    lines = Curves.of_table(of_groups.assign(run_id=number), ("step", *MEASURED))
    # Chance tells when a transition begins, which is no question here.
    found = onset.onsets(lines, np.zeros(len(lines.run_ids)), asked)
    chosen = [*TIMES, *(f"final_{name}" for name in MEASURED)]
    columns = {name: found[name].tolist() for name in chosen}
    groups = of_groups[KEYS].drop_duplicates(ignore_index=True)
    numbers = dict.fromkeys(("t_mem", "t_grok", "t_grok_sustained"), "Int64")
    known = groups.assign(**columns).astype({**dict.fromkeys(chosen, "float64"), **numbers})
    late = known["t_grok"].isna().astype("boolean")
    known.insert(len(KEYS) + len(TIMES), "censored", late.mask(known["final_test_accuracy"].isna()))
    return known.merge(told, on="run_id", how="left")


def medians(times: pd.DataFrame, metric: str = "t_grok") -> pd.DataFrame:
    """A row an instrument and group: `cells` of its times over the runs, and how often it is first.

    Groups without test rows are left out. `first` is the share of the runs in which no other group
    of the instrument has an earlier time; of those in which any group has one.

    Args:
      times: as `table` makes them.
      metric: the time, `t_grok`, `t_grok_sustained` or `t_mem`.
    """
    known = times[times["censored"].notna()] if metric != "t_mem" else times
    keys = ["instrument", "row_group"]
    if known.empty:
        return pd.DataFrame(columns=[*keys, "n", "n_grokked", "median", "first"])
    found = cells(known, keys, metric)
    time = known[metric].astype("float64")
    earliest = time.groupby([known["run_id"], known["instrument"]]).transform("min")
    decided = known[earliest.notna()]
    is_first = (time == earliest)[earliest.notna()]
    share = is_first.groupby([decided[key] for key in keys]).mean().rename("first")
    found = found.merge(share.reset_index(), on=keys, how="left")
    in_order = found.sort_values("row_group", key=lambda names: names.map(_order), kind="stable")
    return in_order.sort_values("instrument", kind="stable", ignore_index=True)


def _order(name: str) -> tuple[str, int]:
    """By the words of a name, and then by the number at its end."""
    match = re.fullmatch(r"(.*?)(-?\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


def headlines(results: Results) -> list[str]:
    """Which group groks first, a sentence for each instrument of groups."""
    return [
        _headline(part) for _, part in medians(table(results)).groupby("instrument", sort=False)
    ]


def _headline(groups: pd.DataFrame) -> str:
    """By medians; groups without one come last, the more often they grok the earlier."""
    order = groups.sort_values(["median", "n_grokked"], ascending=[True, False], na_position="last")
    rows: list[Any] = order.to_dict("records")
    if not sum(row["n_grokked"] for row in rows):
        return f"no group of rows grokked, of {', '.join(row['row_group'] for row in rows[:5])}"

    def told(row: dict[str, Any]) -> str:
        median = "beyond the budget" if np.isnan(row["median"]) else f"{row['median']:.0f}"
        return f"{row['row_group']} {median} ({row['n_grokked']} of {row['n']})"

    first = max(rows, key=lambda row: -1.0 if np.isnan(row["first"]) else row["first"])
    name, share = first["row_group"], first["first"]
    shown = rows if len(rows) <= MOST_TOLD else [*rows[: MOST_TOLD - 1], rows[-1]]
    times = ", ".join(map(told, shown))
    more = f", and {len(rows) - len(shown)} between" * (len(rows) > len(shown))
    return (
        f"{name} groks first, in {share:.0%} of the runs in which a group of rows does; "
        f"median t_grok (runs that grokked): {times}{more}"
    )
