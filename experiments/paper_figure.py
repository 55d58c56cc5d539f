"""A figure for a paper: a map with its band beside the curves of its cells, one legend for both.

Question: how does one compose figures of grokjax in a layout of one's own? Reads tables, trains
nothing: `python experiments/paper_figure.py [RESULTS [FILE.pdf]]`, a second or two. Every function
of `grokjax.figures` takes `ax=`, or `subfigure=` where it has several panels, and returns what it
drew.
"""

import sys

import matplotlib.figure

import grokjax
from grokjax.figures import curves, gallery, maps, style

given = dict(enumerate(sys.argv))
folder, file = given.get(1, "results/recorded/wd_vs_frac"), given.get(2, "paper_figure.pdf")
summary = grokjax.load(folder).summary()
groups = dict(list(gallery.curve_groups(summary).items())[:2])
rows = summary.results.curves_of([i for runs in groups.values() for i in runs["run_id"]])
with style.paper():
    page = matplotlib.figure.Figure(figsize=(style.PAGE, 3.2))
    left, right = page.subfigures(1, 2, width_ratios=[1, 1.3])
    cells, x, y = summary.placed_cells(), summary.x, summary.y
    on_left = maps.phase_map(cells, x, y, summary.boundary, ax=left.subplots(), legend=False)
    on_right = curves.learning_curves(rows, groups, subfigure=right, legend=False)
    handles = on_left.handles_ + on_right.handles_
    page.legend(handles=handles, loc="outside upper center", ncols=5)
    page.savefig(file)
