"""Memorisation, grokking and early generalisation side by side.

Question:     what do weight decay and the share of the table in training decide?
Command:      python -m grokjax.sweep experiments/quickstart.py
Cost:         27 runs of at most 2,500 updates, about 1.5 minutes on two CPU cores.
Expectation:  every run memorises within some 200 updates. With 40 % of the table and
              weight decay 0.2 none groks within the budget; in the middle of the map they
              grok ten to thirty times later than they memorise, from a plateau at chance;
              with 60 % and weight decay 1 they generalise almost as they memorise.

A run ends 300 updates after it has settled above the thresholds.
Subtraction has no symmetry that gives test accuracy away, so the plateau is at chance.
The learning rate is ten times the usual 1e-3, which makes everything earlier; the gap
that counts as grokking is therefore a ratio here and not Liu et al.'s 1000 steps.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=2500,
    settle_steps=300,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(train_fraction=[0.4, 0.5, 0.6], weight_decay=[0.2, 0.5, 1.0], seed=range(3)),
)
