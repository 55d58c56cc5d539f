"""Is it the initial weights or the train/test split that makes seeds differ?

Question:     of the variance of log t_grok inside one cell, how much is due to `seed` (the
              initial weights), to `split_seed`, and to their interaction?
Command:      python -m grokjax.sweep experiments/seed_vs_split.py
Cost:         64 runs of at most 6,000 updates, three minutes on two CPU cores.
Expectation:  unknown; most published maps tie the two together or fix the split.

Every seed is trained with every split. `grokjax.analysis.cells.variance_shares` says the rest.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.63, b2=0.98),
    train_fraction=0.6,
    steps=6000,
    settle_steps=200,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(seed=range(8), split_seed=range(8)),
)
