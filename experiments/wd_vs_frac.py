"""Where is the Goldilocks zone of weight decay and train fraction?

Question:     at which weight decays and train fractions does the network grok within
              4,000 updates, and how long does it take there?
Command:      python -m grokjax.sweep experiments/wd_vs_frac.py
Cost:         150 runs of at most 4,000 updates, 9:30 on two CPU cores.
Expectation:  below some train fraction nothing groks at any weight decay; above it a
              zone with a lower edge in weight decay, where the budget ends first, and an
              upper edge, where the decay keeps the network from fitting its training
              set. Grokking times fall with the fraction and with weight decay inside it.

Each cell has five seeds, of the weights and of the split together. A run ends 500 updates
after it has settled above the thresholds.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=4000,
    settle_steps=500,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.3, 0.4, 0.5, 0.6, 0.7],
        weight_decay=[0.1, 0.2, 0.5, 1.0, 2.0, 5.0],
        seed=range(5),
    ),
)
