"""Where is the Goldilocks zone of weight decay and train fraction?

Question:     at which weight decays and train fractions does the network grok within
              4,000 updates, how long does it take there, and does it last?
Command:      python -m grokjax.sweep experiments/wd_vs_frac.py
Cost:         405 runs of 4,000 updates, about half an hour on two CPU cores.
Expectation:  below some train fraction nothing groks at any weight decay; above it a
              zone with a lower edge in weight decay, where the budget ends first, and an
              upper edge, where the decay keeps the network from fitting its training
              set. Grokking times fall with the fraction and with weight decay inside it,
              as a power of weight decay with an exponent between -0.6 and -1.1.

Each cell has five seeds, of the weights and of the split together. No run ends early, so
that collapses late in the budget are seen. `wd_vs_frac_refined.py` finds the same boundary
with a third of the updates.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=4000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7],
        weight_decay=[0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 1.6, 2.5, 4.0],
        seed=range(5),
    ),
)
