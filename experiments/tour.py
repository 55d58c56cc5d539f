# %% [markdown]
# # A tour of a map
#
# What a sweep's tables say, from the first glance to a paper's figures. Runs as a script
# (`python experiments/tour.py [RESULTS]`) or cell by cell in an editor that knows `# %%`.
# It reads tables only: nothing here needs JAX.

# %% The tables
import sys
from pathlib import Path

import grokjax
from grokjax import phase
from grokjax.analysis import fits, isotonic, law_checks
from grokjax.figures import curves, maps, trends

folder = sys.argv[1] if len(sys.argv) > 1 else "results/recorded/wd_vs_frac"
results = grokjax.load(folder)
summary = results.summary()  # over the two axes that the sweep varies
runs, x, y = summary.runs, summary.x, summary.y
print(runs[[x, y, "seed", "t_mem", "t_grok", "phase"]].head())

# %% Cells: how many grok, and when; censored runs count as later than their budget
cells = phase.cells(results, [x, y])
print(cells[[x, y, "n_grokked", "n", "median", "low", "high"]].head())

# %% The Goldilocks zone, with intervals over seeds; a sweep that shows none says why
zone = summary.zone
if zone is None:
    print(f"no zone: {summary.why_no_zone}")
else:
    print(zone.table.to_string(), zone.edges.to_string(), zone.places.to_string(), sep="\n\n")
    # Is "never" only "not yet"? The same runs, asked at smaller budgets.
    print(summary.budgets.to_string())
    print(isotonic.isotonic(runs, x, y).to_string())

# %% Laws, of a map on the side where more of x is faster
fast = summary.law_runs
for axis, law in summary.laws.items():
    print(law, law.parameters, sep="\n")
    print(law_checks.compare_forms(fast, axis, within=law.within).to_string())
    print(law_checks.diagnose(fast, law))
    print(law_checks.held_out(fast, law))

# %% What first crossings do not see
grokked = runs[runs["t_grok"].notna()]
print(f"{grokked['t_collapse'].notna().sum()} of {len(grokked)} grokked runs collapsed later")
print(runs[["partial", "early", "double_descent"]].mean())

# %% How sharp the transitions are: a logistic for every run at once (where the folder has curves)
if results.n_curve_rows:
    rises = fits.table(results).query("not failed").merge(runs[["run_id", x]])
    print(rises.groupby(x)[["centre", "width", "r2"]].median())

# %% Figures: each takes tables, and a notebook shows what it returns
phases = maps.phase_map(summary.placed_cells(), x, y, summary.boundary)
phases  # noqa: B018 - the last line of a cell is shown

# %% It has its axes, the handles of its legend, and the numbers that were drawn
print(phases.ax_, [handle.get_label() for handle in phases.handles_])
print(*(table.head() for table in phases.data_.values()), sep="\n\n")

# %% As files; `paper_figure.py` puts several into one figure
figures = {"phases": phases}
figures |= {f"law_{axis}": trends.law_plot(fast, law) for axis, law in summary.laws.items()}
latest = phase.cells(results, [x, y], "grok_gap")
latest = latest.sort_values("median", ascending=False)[[x, y]].head(1)
cell = runs.merge(latest)
if len(rows := results.curves_of(cell["run_id"])):
    group = {"the cell with the largest gap": cell}
    figures["curves"] = curves.learning_curves(rows, group)
for name, drawn in figures.items():
    drawn.save(Path(sys.argv[2] if len(sys.argv) > 2 else "results") / f"tour_{name}.png")
