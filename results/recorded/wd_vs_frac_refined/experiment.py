"""Where is the Goldilocks zone, for a third of the price?

Question:     does a coarse grid, refined where its boundary is least certain, find the
              boundary that the dense grid of `wd_vs_frac.py` finds?
Command:      python -m grokjax.sweep experiments/wd_vs_frac_refined.py
Cost:         140 runs of 4,000 updates, about ten minutes on two CPU cores.
Expectation:  the same boundary, inside the dense one's confidence band, from 35 % of its
              updates: a run in the middle of a region tells little about its border.

25 cells with two seeds each, then 90 runs in four rounds. A cell may have up to five seeds; its
lattice is the dense grid, so that the two sweeps' runs are the same ones.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Refine, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=4000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.3, 0.4, 0.5, 0.6, 0.7],
        weight_decay=[0.1, 0.25, 0.63, 1.6, 4.0],
        seed=range(2),
    ),
    refine=Refine(rounds=4, runs=90, halvings=1, seeds=5),
)
