"""From runs to cells: how many grok, how long it takes, how much the seeds vary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from grokjax.analysis import survival
from grokjax.analysis.survival import Sample, censored_times, wilson
from grokjax.analysis.times import TIMES
from grokjax.config import ConfigError, Thresholds
from grokjax.config.experiment import SEEDS
from grokjax.config.synonyms import Known, explain
from grokjax.results.schema import onset_columns

_BESIDE_TIMES = ("run_id", "status", "stop_reason", "error", "last_step", "wall_s")
RESULTS = frozenset({*_BESIDE_TIMES, *onset_columns(Thresholds())})
"""Columns of the runs table that say what became of a run."""
PHASES = ("comprehension", "grokking", "memorization", "confusion")


def finished(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that an error did not end and that have a test set.

    Diverged and censored ones are results. Without test rows nothing can be said of grokking.
    """
    return runs[(runs["status"] != "failed") & ~untested(runs)]


def untested(runs: pd.DataFrame) -> pd.Series:
    """Whether a run has no test set, as with `train_fraction=1`."""
    if "n_test" not in runs:
        return pd.Series(False, index=runs.index)
    return (runs["n_test"] == 0).fillna(False).astype(bool)


def cells(runs: pd.DataFrame, axes: Sequence[str], metric: str = "t_grok") -> pd.DataFrame:
    """A row a cell of the columns `axes`, sorted by them; `finished` runs only.

        >>> import grokjax
        >>> from grokjax.analysis import onset
        >>> runs = onset.table(grokjax.load("results/recorded/quickstart"))
        >>> cells(runs, ["weight_decay"])[["weight_decay", "n", "n_grokked", "median", "bound"]]
           weight_decay  n  n_grokked  median   bound
        0           0.2  9          4     NaN  2500.0
        1           0.5  9          7  1440.0  2500.0
        2           1.0  9          7   380.0  2500.0

    Columns, intervals at 95 %:
      the axes; `n` runs; `n_grokked`, `p_grok` with Wilson's limits `p_grok_low`, `p_grok_high`,
      and the same for each phase (`p_grokking` …);
      `median`, `low`, `high`: Kaplan–Meier median of the metric and its limits, missing where
      the runs end before it is reached; `censored`: whether the median is missing for that
      reason; `n_censored`; `bound`, the longest that a run was followed without crossing;
      `spread`: standard deviation of log10 of the metric over the runs, censored ones included;
      `p_collapse`: share of the runs that grokked which collapsed, where the runs table has it.
    """
    check_columns(runs, axes, metric)
    kept = finished(runs).sort_values(list(axes), kind="stable")
    groups = kept.groupby(list(axes), dropna=False, sort=True)
    code = groups.ngroup().to_numpy()
    n = np.bincount(code) if len(code) else np.zeros(0, int)
    table = kept[list(axes)].iloc[np.unique(code, return_index=True)[1]].reset_index(drop=True)
    table["n"] = n

    def count(where: pd.Series) -> np.ndarray:
        chosen = where.to_numpy(bool, na_value=False)
        return np.bincount(code[chosen], minlength=len(n))

    table["n_grokked"] = count(kept["t_grok"].notna())
    _share(table, "grok", count(kept["t_grok"].notna()), n)
    if "phase" in kept:
        for name in PHASES:
            _share(table, name, count(kept["phase"] == name), n)
    if "n_collapses" in kept:
        collapsed = count(kept["n_collapses"].astype("float64") > 0)
        with np.errstate(invalid="ignore"):
            table["p_collapse"] = collapsed / np.where(
                table["n_grokked"] > 0, table["n_grokked"], np.nan
            )
    origin = TIMES[metric]
    started = np.ones(len(kept), bool) if origin is None else kept[origin].notna().to_numpy()
    times, seen = censored_times(kept, metric)
    sample = Sample.of(times, seen, code[started], len(n))
    late = (~sample.seen) & (sample.weights > 0)
    table["median"] = survival.medians(sample)
    table["low"], table["high"] = survival.median_intervals(sample)
    table["censored"] = table["median"].isna() & (sample.weights.sum(-1) > 0)
    table["n_censored"] = late.sum(-1)
    table["bound"] = np.where(late, sample.times, 0.0).max(-1, initial=0.0)
    table["spread"] = survival.spreads(sample)
    return table


def check_columns(runs: pd.DataFrame, axes: Sequence[str], metric: str = "t_grok") -> None:
    """Refuse axes and metrics that the table does not have."""
    if len(set(axes)) < len(axes):
        raise ConfigError(f"axes={list(axes)!r}: one of them is there twice, choose others.")
    for name in (*axes, metric):
        if name not in runs.columns:
            there = TIMES if name == metric and name not in axes else runs.columns
            known = [Known(str(column), "the runs", "column") for column in there]
            raise ConfigError(explain(name, known, whole="results.runs has them all"))
    if metric not in TIMES:
        raise ConfigError(f"metric={metric!r}: no time to map, choose from {', '.join(TIMES)}.")


def check_conditions(axes: Sequence[str]) -> None:
    """Refuse columns that say what became of a run and are no conditions that one chooses."""
    for name in axes:
        if name in RESULTS:
            raise ConfigError(
                f"{name}: it is a result of a run and no condition that one chooses, give a "
                "column of the configuration."
            )


def largest_crossed(runs: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """The largest cell of `conditions` that has every seed with every split; no runs without one.

    One run a pair, of two seeds and two splits at least, with times that differ and of which
    none is 0: `variance_shares` can speak about these.
    """
    best = runs[:0]
    if not set(SEEDS) <= set(runs.columns):
        return best
    cell_of = (
        runs.groupby(list(conditions), dropna=False).ngroup() if conditions else runs["seed"] * 0
    )
    for _, cell in runs.groupby(cell_of):
        n_seeds, n_splits = (cell[name].nunique() for name in SEEDS)
        whole = len(cell) == n_seeds * n_splits and not cell.duplicated([*SEEDS]).any()
        times, _ = censored_times(cell, "t_grok")
        told = whole and (times > 0).all() and np.ptp(times) > 0
        if min(n_seeds, n_splits) > 1 and told and len(cell) > len(best):
            best = cell
    return best


def variance_shares(
    runs: pd.DataFrame, metric: str = "t_grok", resamples: int = 400
) -> pd.DataFrame:
    """How much of the variance of log10 time is due to `seed`, to `split_seed` and to neither.

    Every seed must have been trained with every split. Components of a crossed random-effects
    analysis of variance, one run a pair, negative ones set to 0 (Searle, Casella & McCulloch
    1992, chapter 4); what is left is interaction and chaos, which one run a pair cannot tell
    apart. Intervals resample seeds and splits (Owen 2007). A censored run counts with the step
    at which it ended, which makes its share a lower bound: `n_censored` says how many did.

    Returns:
      A row a source: `variance`, `share`, `low`, `high`, `n_levels`, `n_censored`.
    """
    check_columns(runs, SEEDS, metric)
    kept = finished(runs).drop_duplicates([*SEEDS])
    origin = TIMES[metric]
    kept = kept if origin is None else kept[kept[origin].notna()]
    times, seen = censored_times(kept, metric)
    if not (times > 0).all():
        raise ConfigError(f"metric={metric!r}: a time that is not positive has no logarithm.")
    logs = pd.DataFrame({"seed": kept["seed"], "split": kept["split_seed"], "y": np.log10(times)})
    wide = logs.pivot(index="seed", columns="split", values="y")
    if min(wide.shape) < 2 or wide.isna().to_numpy().any():
        raise ConfigError(
            f"seed, split_seed: {len(kept)} runs do not cross {wide.shape[0]} seeds with "
            f"{wide.shape[1]} splits, sweep grid(seed=..., split_seed=...) in one cell."
        )
    y, rng = wide.to_numpy(), np.random.default_rng(0)
    found = _components(y)
    drawn = np.array(
        [
            _components(
                y[rng.integers(0, len(y), len(y))][:, rng.integers(0, y.shape[1], y.shape[1])]
            )
            for _ in range(resamples)
        ]
    )
    drawn = drawn[drawn.sum(1) > 0]  # the others have no variance to share
    shares = drawn / drawn.sum(1, keepdims=True) if len(drawn) else np.full((1, 3), np.nan)
    low, high = np.quantile(shares, [(1 - survival.LEVEL) / 2, (1 + survival.LEVEL) / 2], axis=0)
    return pd.DataFrame(
        {
            "source": ["seed", "split_seed", "interaction"],
            "variance": found,
            "share": found / found.sum() if found.sum() else np.nan,
            "low": low,
            "high": high,
            "n_levels": [len(y), y.shape[1], y.size],
            "n_censored": int((~seen).sum()),
        }
    )


def _components(y: np.ndarray) -> np.ndarray:
    """Variance components of rows, columns and the rest of a two-way table."""
    a, b = y.shape
    rows, columns = y.mean(1), y.mean(0)
    rest = y - rows[:, None] - columns + y.mean()
    mean_square = (rest**2).sum() / ((a - 1) * (b - 1))
    return np.maximum(
        [rows.var(ddof=1) - mean_square / b, columns.var(ddof=1) - mean_square / a, mean_square],
        0.0,
    )


def _share(table: pd.DataFrame, name: str, count: np.ndarray, n: np.ndarray) -> None:
    table[f"p_{name}"] = np.asarray(count) / np.maximum(n, 1)
    table[f"p_{name}_low"], table[f"p_{name}_high"] = wilson(count, n)
