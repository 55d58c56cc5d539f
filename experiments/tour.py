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
from grokjax.analysis import boundary, fits, isotonic, law_checks, laws, onset
from grokjax.figures import curves, maps, trends

folder = sys.argv[1] if len(sys.argv) > 1 else "results/recorded/wd_vs_frac"
results = grokjax.load(folder)
runs = onset.table(results)
print(runs[["weight_decay", "train_fraction", "seed", "t_mem", "t_grok", "phase"]].head())

# %% Cells: how many grok, and when; censored runs count as later than their budget
cells = phase.cells(results, ["weight_decay", "train_fraction"])
print(cells[["weight_decay", "train_fraction", "n_grokked", "n", "median", "low", "high"]].head())

# %% The Goldilocks zone, with intervals over seeds
zone = phase.goldilocks(results)
print(zone.table.to_string(), zone.edges.to_string(), zone.places.to_string(), sep="\n\n")

# %% Is "never" only "not yet"? The same runs, asked at smaller budgets
for found in boundary.at_budgets(runs, "weight_decay", "train_fraction"):
    print(f"{found.budget:6.0f} updates: {(found.fine_surface[0] >= 0).mean():.0%} of the map")
print(isotonic.isotonic(runs, "weight_decay", "train_fraction").to_string())

# %% A law of weight decay, on the side where more of it is faster
fast = law_checks.below_fastest(runs, "weight_decay", "train_fraction")
law = laws.fit(fast, "weight_decay", within=["train_fraction"])
print(law.parameters)
print(law_checks.compare_forms(fast, "weight_decay", within=["train_fraction"]).to_string())
print(law_checks.diagnose(fast, law))
print(law_checks.held_out(fast, law))

# %% What first crossings do not see
grokked = runs[runs["t_grok"].notna()]
print(f"{grokked['t_collapse'].notna().sum()} of {len(grokked)} grokked runs collapsed later")
print(runs[["partial", "early", "double_descent"]].mean())

# %% How sharp the transitions are: a logistic for every run at once
rises = fits.table(results).query("not failed").merge(runs[["run_id", "weight_decay"]])
print(rises.groupby("weight_decay")[["centre", "width", "r2"]].median())

# %% Figures: each takes tables, and a notebook shows what it returns
phases = maps.phase_map(cells, "weight_decay", "train_fraction", zone.boundary)
phases  # noqa: B018 - the last line of a cell is shown

# %% It has its axes, the handles of its legend, and the numbers that were drawn
print(phases.ax_, [handle.get_label() for handle in phases.handles_])
print(phases.data_["curve"].head(), phases.data_["band"].head(), sep="\n\n")

# %% As files; `paper_figure.py` puts several into one figure
latest = phase.cells(results, ["weight_decay", "train_fraction"], "grok_gap")
latest = latest.sort_values("median", ascending=False)[["weight_decay", "train_fraction"]].head(1)
cell = runs.merge(latest)
rows = results.curves_of(cell["run_id"])
figures = {
    "phases": phases,
    "law": trends.law_plot(fast, law),
    "curves": curves.learning_curves(rows, {"the cell with the largest gap": cell}),
}
for name, drawn in figures.items():
    drawn.save(Path(sys.argv[2] if len(sys.argv) > 2 else "results") / f"tour_{name}.png")
