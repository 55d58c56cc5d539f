"""All that a sweep says over two axes, computed once, for tables, figures and the report."""

from __future__ import annotations

import dataclasses
import functools
import html
from collections.abc import Callable
from functools import partial

import pandas as pd

from grokjax.analysis import law_checks, laws, onset, row_checks
from grokjax.analysis.boundary import Boundary, at_budgets
from grokjax.analysis.cells import RESULTS, cells, check_columns, finished
from grokjax.analysis.checks import CHECKS
from grokjax.analysis.errors import NotEnoughRunsError
from grokjax.analysis.laws import Law
from grokjax.analysis.scales import Scale
from grokjax.analysis.zone import Zone, goldilocks
from grokjax.config.experiment import SEEDS
from grokjax.results.load import Results

PREFERRED = ("weight_decay", "train_fraction")
"""Columns that a map is drawn over when they vary and nothing else is asked for."""
FILLED = 0.4
"""Share of the cells of x × y that must hold runs to make a map."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """The runs of a sweep, its two axes, and what follows from them, each computed when asked."""

    results: Results
    runs: pd.DataFrame
    """With every onset column, without failed runs."""
    x: str
    y: str
    left_out: frozenset[str] = frozenset()
    """Those of `parts` that could not be computed: they are as if the sweep had none."""

    def __repr__(self) -> str:
        grokked = int(self.runs["t_grok"].notna().sum())
        return (
            f"<Summary of {len(self.runs)} runs over {self.x} × {self.y}, {grokked} grokked; "
            "see .cells(), .zone, .laws and .warnings>"
        )

    def _repr_html_(self) -> str:
        zone = "" if self.zone is None else self.zone._repr_html_()
        said = [f"no zone: {self.why_no_zone}"] * (self.zone is None)
        said += [repr(law) for law in self.laws.values()]
        said += [f"warning: {text}" for text in self.warnings]
        items = "".join(f"<li>{html.escape(text)}</li>" for text in said)
        title = f"{len(self.runs)} runs over {self.x} × {self.y}"
        return f"<p><b>{html.escape(title)}</b></p>{zone}<ul>{items}</ul>"

    def parts(self) -> dict[str, Callable[[], object]]:
        """What a summary has beside its cells, under a name → what computes it."""
        return {
            "zone": lambda: (self.zone, self.budgets),
            **{f"law of {axis}": partial(self.forms_of, axis) for axis in (self.x, self.y)},
            "warnings": lambda: self.warnings,
        }

    @functools.cache  # noqa: B019 - a summary lives as long as its command
    def cells(self, metric: str = "t_grok") -> pd.DataFrame:
        """The cells of the map."""
        return cells(self.runs, [self.x, self.y], metric)

    def placed_cells(self, metric: str = "t_grok") -> pd.DataFrame:
        """Those of the cells that have a value on both axes, and so a place on the map."""
        found = self.cells(metric)
        return found[found[[self.x, self.y]].notna().all(axis=1)]

    @functools.cached_property
    def planned(self) -> pd.DataFrame | None:
        """The runs of an unfinished sweep with both axes, whether they have ended or not."""
        planned = self.results.planned
        return None if planned is None or not {self.x, self.y} <= set(planned) else planned

    @functools.cached_property
    def waiting(self) -> pd.DataFrame:
        """The cells of an unfinished sweep of which no run has ended: both axes, `n` = 0."""
        axes = [self.x, self.y]
        if self.planned is None:
            return pd.DataFrame(columns=[*axes, "n"])
        cells = self.planned[axes].dropna().drop_duplicates()
        there = pd.MultiIndex.from_frame(self.runs[axes])
        missing = cells[~pd.MultiIndex.from_frame(cells).isin(there)]
        return missing.assign(n=0).reset_index(drop=True)

    @functools.cached_property
    def is_map(self) -> bool:
        """Whether both axes vary and most of their cells hold runs."""
        axes = (self.runs if self.planned is None else self.planned)[[self.x, self.y]]
        n_x, n_y = axes.nunique()
        placed = axes.dropna().drop_duplicates()
        return bool(min(n_x, n_y) > 1 and len(placed) >= FILLED * n_x * n_y)

    @property
    def zone(self) -> Zone | None:
        """The Goldilocks zone; None where there is none to be drawn, and `why_no_zone` says why."""
        return self._zone[0]

    @property
    def why_no_zone(self) -> str:
        """Why there is no zone; empty where there is one."""
        return self._zone[1]

    @functools.cached_property
    def _zone(self) -> tuple[Zone | None, str]:
        if not self.is_map:
            return None, f"{self.x} and {self.y} do not span a map"
        if "zone" in self.left_out:
            return None, "it could not be computed"
        try:
            return goldilocks(self.runs, self.x, self.y), ""
        except NotEnoughRunsError as error:
            return None, str(error)

    @property
    def boundary(self) -> Boundary | None:
        """The boundary of the zone."""
        return None if self.zone is None else self.zone.boundary

    @functools.cached_property
    def budgets(self) -> pd.DataFrame:
        """The zone at several budgets of the same runs, to tell "never" from "not yet".

        A row a budget: `budget`, `share of the map`, `growth` since the budget before.
        """
        found = at_budgets(self.runs, self.x, self.y) if self.boundary else []
        shares = [float((b.fine_surface[0] >= 0).mean()) for b in found]
        table = pd.DataFrame({"budget": [b.budget for b in found], "share of the map": shares})
        return table.assign(growth=table["share of the map"].pct_change(fill_method=None))

    @functools.cached_property
    def laws(self) -> dict[str, Law]:
        """Axis → power law of t_grok, the other axis having a constant a level.

        They leave out the runs beyond the fastest cell of each y, where t_grok rises again.
        """
        laws_ = {axis: self.law(axis) for axis in (self.x, self.y)}
        return {axis: law for axis, law in laws_.items() if law is not None}

    @functools.cache  # noqa: B019 - as above
    def law(self, axis: str) -> Law | None:
        """The law of one of the two axes, where the runs show one."""
        if axis not in self.varying or axis in RESULTS or f"law of {axis}" in self.left_out:
            return None
        other = self.y if axis == self.x else self.x
        within = [other] if self.runs[other].nunique() > 1 else []
        try:
            return laws.fit(self.law_runs, axis, within=within)
        except NotEnoughRunsError:
            return None

    @functools.cached_property
    def law_runs(self) -> pd.DataFrame:
        """The runs that laws are about: of a map, those up to the fastest cell of each y."""
        ordered = Scale.of(self.runs[self.x]).kind != "ordinal"
        if not (self.is_map and ordered):
            return self.runs
        return law_checks.below_fastest(self.runs, self.x, self.y)

    @functools.cached_property
    def forms(self) -> dict[str, pd.DataFrame]:
        """Axis → every form of law on the same runs, by AIC."""
        return {axis: self.forms_of(axis) for axis in self.laws}

    @functools.cache  # noqa: B019 - as above
    def forms_of(self, axis: str) -> pd.DataFrame:
        """Every form of law of one of the two axes; none where it has no law."""
        law = self.law(axis)
        if law is None:
            return pd.DataFrame()
        return law_checks.compare_forms(self.law_runs, axis, law.within)

    @functools.cached_property
    def conditions(self) -> list[str]:
        """Axes of the sweep that vary, of whatever type, seeds apart."""
        axes = dict.fromkeys([self.x, self.y, *self.results.axes])
        known = [name for name in axes if name in self.runs and name not in SEEDS]
        return [name for name in known if self.runs[name].nunique(dropna=False) > 1]

    @functools.cached_property
    def varying(self) -> dict[str, int]:
        """Numeric axes of the sweep that vary, seeds apart: name → number of levels."""
        return _varying(self.results, self.runs)

    @functools.cached_property
    def warnings(self) -> list[str]:
        """What a reader should know before believing the map."""
        checks = () if "warnings" in self.left_out else CHECKS
        return [text for text in (check(self) for check in checks) if text]


def summarise(results: Results, x: str | None = None, y: str | None = None) -> Summary:
    """The summary over two columns; left out, those of the sweep's axes that vary.

    Numbers come before words, and numbers that a word brings along (the b2 of an optimiser) last.

    Raises:
      ConfigError: there is no such column.
    """
    runs = finished(onset.table(results))
    row_checks.check_tested(results.runs)
    varying = list(_varying(results, runs))
    words = [name for name in results.axes if name in runs and name not in (*varying, *SEEDS)]
    words = [name for name in words if runs[name].nunique() > 1]
    along = [n for n in varying if any(_follows(runs, n, word) for word in words)]
    alone = [name for name in varying if name not in along] or along
    chosen = [name for name in PREFERRED if name in alone]
    chosen += [name for name in alone if name not in chosen and name not in (x, y)]
    chosen += words
    rest = [name for name in (*chosen, *PREFERRED, *along) if name not in (x, y)]
    x = x or rest.pop(0)
    y = y or next(name for name in rest if name != x)
    check_columns(runs, [x, y])
    return Summary(results, runs, x, y)


def _follows(runs: pd.DataFrame, name: str, word: str) -> bool:
    """Whether a column has one value for each of another one's."""
    return bool((runs.groupby(word)[name].nunique(dropna=False) <= 1).all())


def _varying(results: Results, runs: pd.DataFrame) -> dict[str, int]:
    names = [name for name in results.axes or PREFERRED if name not in SEEDS and name in runs]
    counts = {name: int(runs[name].nunique()) for name in names}
    numeric = [name for name in names if Scale.of(runs[name]).kind != "ordinal"]
    return {name: counts[name] for name in numeric if counts[name] > 1}
