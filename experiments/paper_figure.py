"""A figure for a paper, of several panels: a map with its band, curves beside it, one legend.

Question:     how do grokjax's figures come together in one of your own?
Command:      python experiments/paper_figure.py [RESULTS] [FILE]
Cost:         three seconds; it reads tables, and trains nothing.
Expectation:  `results/paper_figure.pdf`, two columns wide: left the phases of a sweep,
              right the learning curves of the cell with a star, where the gap is largest.

Every figure function draws into what it is given, `ax=` or, for several panels, `subfigure=`, and
returns its axes, the handles of its legend and the numbers in it, to go on with.
"""

import sys

from matplotlib.figure import Figure

import grokjax
from grokjax import phase
from grokjax.figures import curves, maps, style

results = grokjax.load(sys.argv[1] if len(sys.argv) > 1 else "results/recorded/wd_vs_frac")
sweep = phase.summarise(results)
x, y = sweep.x, sweep.y
star = sweep.cells("grok_gap").sort_values("median", ascending=False)[[x, y]].head(1)
runs = sweep.runs.merge(star)
rows = results.curves_of(runs["run_id"])

with style.paper():
    figure = Figure(figsize=(style.PAGE, 2.9))
    left, right = figure.subfigures(1, 2)
    phases = maps.phase_map(sweep.cells(), x, y, sweep.boundary, ax=left.subplots(), legend=False)
    phases.ax_.set_title("most common phase")
    phases.ax_.plot(star[x], star[y], "*", color="white", mec="black", ms=9, zorder=4)
    lines = curves.learning_curves(rows, {"the cell ★": runs}, subfigure=right, legend=False)
    handles = [*phases.handles_, *lines.handles_]
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
phases.save(sys.argv[2] if len(sys.argv) > 2 else "results/paper_figure.pdf")
