"""Curves of many runs side by side, and the few operations that every definition needs.

Legend: R runs, K log points of the longest. Shorter curves are padded: `inside` is False
there, values are NaN and steps repeat the last one. A time that has not come is masked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from grokjax.results.load import Results

NAMES = ("train_accuracy", "test_accuracy", "train_loss", "test_loss", "weight_norm")
"""What the definitions of `onset` look at."""


@dataclasses.dataclass(frozen=True)
class Curves:
    """The dense scalars of R runs."""

    run_ids: Sequence[str]
    step: np.ndarray
    """`[R, K]`, growing along a run; logs may be irregular."""
    inside: np.ndarray
    """`[R, K]`, whether the run has this log point."""
    values: Mapping[str, np.ndarray]
    """Name → `[R, K]`."""
    sparse: bool = False
    """Whether NaN says that a value was not logged there, as in curves of other programs; in ours
    it is a value that is no number."""

    @classmethod
    def of_run(cls, curve: Mapping[str, np.ndarray]) -> Curves:
        """One run's curve: `step` and values, each `[K]`."""
        step = np.asarray(curve["step"])[None]
        values = {name: np.asarray(curve[name])[None] for name in NAMES if name in curve}
        return cls([""], step, np.ones(step.shape, bool), values)

    @classmethod
    def of_table(
        cls, table: pd.DataFrame, names: Sequence[str] = NAMES, *, sparse: bool = False
    ) -> Curves:
        """The curves in a part of the curves table, in whatever order its rows are."""
        codes, run_ids = pd.factorize(table["run_id"], sort=True)
        step = table["step"].to_numpy(np.int64)
        order = np.lexsort((step, codes))
        codes, step = codes[order], step[order]
        counts = np.bincount(codes, minlength=len(run_ids))
        place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (len(run_ids), int(counts.max(initial=0)))
        steps = np.zeros(shape, np.int64)
        steps[codes, place] = step
        inside = np.arange(shape[1]) < counts[:, None]
        values = {}
        for name in names:
            padded = np.full(shape, np.nan)
            padded[codes, place] = table[name].to_numpy(np.float64)[order]
            values[name] = padded
        return cls(list(run_ids), np.maximum.accumulate(steps, 1), inside, values, sparse)

    def logged(self, name: str) -> Curves:
        """The log points at which a value was logged: other programs have some for each of them."""
        known = self.inside & np.isfinite(self.values[name])
        if not self.sparse or (known == self.inside).all():
            return self
        order = np.argsort(~known, axis=1, kind="stable")  # known points first, in their order
        order = order[:, : max(1, int(known.sum(1).max(initial=0)))]
        inside = np.take_along_axis(known, order, 1)
        step = np.where(inside, np.take_along_axis(self.step, order, 1), 0)
        values = {
            other: np.where(inside, np.take_along_axis(column, order, 1), np.nan)
            for other, column in self.values.items()
        }
        return Curves(self.run_ids, np.maximum.accumulate(step, 1), inside, values, sparse=True)

    @property
    def length(self) -> np.ndarray:
        """Log points of each run, `[R]`."""
        return self.inside.sum(1)


def in_chunks(
    results: Results, run_ids: Sequence[str], names: Sequence[str] = NAMES, rows: int = 2_000_000
) -> Iterator[Curves]:
    """The curves of these runs, so many that about `rows` rows are in memory at once.

    Every chunk reads the columns that it needs of the whole curves table once, which costs
    about 2 s for 10 million rows on two cores.
    """
    each = max(1, results.n_curve_rows // max(len(results.runs), 1))
    size = max(1, rows // each)
    for start in range(0, len(run_ids), size):
        chosen = list(run_ids[start : start + size])
        table = results.curves_of(chosen, ["step", *names])
        if len(table):
            yield Curves.of_table(table, names, sparse="curves_of" in results.manifest)


def first(where: np.ndarray) -> np.ndarray:
    """Index `[R]` of the first True of each row of `where [R, K]`; -1 where there is none."""
    return np.where(where.any(1), where.argmax(1), -1)


def last(where: np.ndarray) -> np.ndarray:
    """Index `[R]` of the last True of each row; -1 where there is none."""
    return np.where(where.any(1), where.shape[1] - 1 - where[:, ::-1].argmax(1), -1)


def pick(values: np.ndarray, index: np.ndarray) -> np.ma.MaskedArray:
    """`values[r, index[r]]` of each row, masked where the index is -1."""
    chosen = np.take_along_axis(values, np.maximum(index, 0)[:, None], 1)[:, 0]
    return np.ma.array(chosen, mask=index < 0)


def crossing(step: np.ndarray, values: np.ndarray, index: np.ndarray, level: object) -> np.ndarray:
    """Where the line from point `index - 1` to point `index` meets `level`, `[R]`.

    The log point itself where there is none before it; meaningless where `index` is -1.
    """
    before = np.maximum(index - 1, 0)
    x0, x1 = (pick(step, at).data.astype(float) for at in (before, index))
    y0, y1 = (pick(values, at).data.astype(float) for at in (before, index))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (np.asarray(level, float) - y0) / (y1 - y0)
    share = np.where(np.isfinite(share), np.clip(share, 0, 1), 1.0)
    return x0 + share * (x1 - x0)


def smooth(step: np.ndarray, inside: np.ndarray, values: np.ndarray, width: int) -> np.ndarray:
    """Moving average `[R, K]` over the log points within `width / 2` steps of each."""
    known = inside & np.isfinite(values)
    # One ascending line of steps, a run behind the other, so that a single search finds the
    # windows of all of them.
    span = int(step.max(initial=0)) + 2 * width + 2
    line = (step + span * np.arange(len(step))[:, None]).ravel()
    begin = np.searchsorted(line, line - width / 2, "left")
    end = np.searchsorted(line, line + width / 2, "right")
    count = np.concatenate([[0], np.cumsum(known.ravel())])
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0).ravel())])
    n = count[end] - count[begin]
    mean = (total[end] - total[begin]) / np.maximum(n, 1)
    return np.where(known, np.where(n > 0, mean, np.nan).reshape(step.shape), np.nan)


def median(values: np.ndarray, where: np.ndarray) -> np.ma.MaskedArray:
    """Median `[R]` of the finite values in `where [R, K]`; masked where there is none."""
    chosen = np.sort(np.where(where & np.isfinite(values), values, np.inf), axis=1)
    n = np.isfinite(chosen).sum(1)
    low, high = (pick(chosen, np.where(n > 0, at, -1)) for at in ((n - 1) // 2, n // 2))
    return (low + high) / 2


def extreme(values: np.ndarray, where: np.ndarray, largest: bool) -> np.ma.MaskedArray:
    """Largest or smallest finite value `[R]` in `where`; masked where there is none."""
    known = where & np.isfinite(values)
    worst = -np.inf if largest else np.inf
    filled = np.where(known, values, worst)
    return np.ma.array(filled.max(1) if largest else filled.min(1), mask=~known.any(1))
