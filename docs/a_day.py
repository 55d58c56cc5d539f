# %% [markdown]
# # A day with grokjax
#
# From a question to a figure, in a notebook: a map of one's own, a budget that was too short, other
# thresholds, a loss of one's own, weights taken out, and a figure for a paper. All of it takes a
# minute or two on two processor cores. `python -m grokjax.sweep FILE.py` does the same from a
# terminal, where it can be killed and goes on.

# %%
import jax
import jax.numpy as jnp
import numpy as np

import grokjax
from grokjax import (
    AdamW,
    Experiment,
    ModularArithmetic,
    SnapshotSchedule,
    Thresholds,
    Transformer,
    grid,
    own,
    traced,
)

experiment = Experiment(
    task=ModularArithmetic("sub", p=41),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=300,
    settle_steps=200,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio"),
    snapshots=SnapshotSchedule(moments=("t_grok",)),
    sweep=grid(weight_decay=[0.5, 1.5], train_fraction=[0.5, 0.7], seed=range(2)),
)
experiment

# %% [markdown]
# ## A map of one's own
#
# Eight runs, which train together. Killed here, the same cell goes on to the same bits.

# %%
results = grokjax.run(experiment, "a_day")
results

# %%
results.cells()[["weight_decay", "train_fraction", "n", "n_grokked", "median", "bound"]]

# %%
results.plot("t_grok")

# %% [markdown]
# ## A budget that was too short
#
# Cells that are hatched did not grok by 300 updates, which says nothing about 1,200. A larger
# budget goes on from where these runs ended; the others stay as they are.

# %%
results = grokjax.run(experiment.replaced(steps=1200), "a_day")
results.cells()[["weight_decay", "train_fraction", "n", "n_grokked", "median", "bound"]]

# %%
results.plot("t_grok")

# %%
results.plot("curves")

# %% [markdown]
# ## Other thresholds
#
# What counts as grokked is read off the curves again; nothing is trained.

# %%
{
    level: int(results.with_thresholds(grokked=level).runs["t_grok"].count())
    for level in (0.5, 0.9, 0.99)
}

# %% [markdown]
# ## A loss of one's own
#
# Its number marked `traced` is an axis: all of these runs share one compiled program.


# %%
@own.loss
def smoothed(outputs, targets, *, smoothing: float = traced(0.1)):
    log_p = jax.nn.log_softmax(outputs)
    right = jnp.take_along_axis(log_p, targets[:, None], axis=-1)[:, 0]
    return -(1 - smoothing) * right - smoothing * log_p.mean(axis=-1)


own_loss = experiment.replaced(
    loss=smoothed(),
    snapshots=None,
    sweep=grid(smoothing=[0.0, 0.1], seed=range(2), weight_decay=[1.5], train_fraction=[0.7]),
)
grokjax.run(own_loss).runs[["smoothing", "seed", "t_mem", "t_grok", "final_test_accuracy"]]

# %% [markdown]
# ## Weights taken out
#
# The parameters of a run at the moment when it grokked, as a function of rows.

# %%
run_id = results.snapshots["run_id"].iloc[0]
network = results.network(run_id, "t_grok")
network.parameters

# %%
split = results.split(run_id)
right = np.asarray(network()).argmax(-1) == split.targets
shares = [f"{right[rows].mean():.0%}" for rows in (split.train, split.test)]
f"{split}: {shares[0]} of training rows right, {shares[1]} of test rows"

# %% [markdown]
# ## A figure for a paper
#
# Every figure draws in what `ax=` or `subfigure=` gives it, and returns what it drew.

# %%
from matplotlib.figure import Figure

from grokjax.figures import curves, gallery, maps, style

summary = results.summary()
groups = dict(list(gallery.curve_groups(summary).items())[:1])
rows = results.curves_of([i for runs in groups.values() for i in runs["run_id"]])
with style.paper():
    page = Figure(figsize=(style.PAGE, 3.0))
    left, right_half = page.subfigures(1, 2)
    map_ = maps.time_map(summary.cells(), summary.x, summary.y, ax=left.subplots(), legend=False)
    lines = curves.learning_curves(rows, groups, subfigure=right_half, legend=False)
    page.legend(handles=map_.handles_ + lines.handles_, loc="outside upper center", ncols=5)
    page.savefig("a_day.pdf")
lines
