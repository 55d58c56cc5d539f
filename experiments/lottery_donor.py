"""Runs that give their weights to `lottery.py`: five seeds, kept before and after grokking.

Question:     none of its own.
Command:      python -m grokjax.sweep experiments/lottery_donor.py
Cost:         5 runs of at most 4,000 updates, half a minute on two CPU cores.
Expectation:  all five grok; snapshots of each at t_mem and at t_grok.
"""

from grokjax import (
    AdamW,
    Experiment,
    ModularArithmetic,
    SnapshotSchedule,
    Thresholds,
    Transformer,
    grid,
)

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.63, b2=0.98),
    train_fraction=0.6,
    snapshots=SnapshotSchedule(moments=("t_mem", "t_grok")),
    steps=4000,
    settle_steps=300,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(seed=range(5)),
)
