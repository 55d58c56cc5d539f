"""Where is the Goldilocks zone of a network of the usual size, coarsely?

Question:     at which weight decays and train fractions does a one-layer transformer of width 128
              grok addition mod 97 within 20,000 updates: is its zone that of small networks?
Command:      python -m grokjax.sweep experiments/wd_vs_frac_p97.py
Cost:         20 runs of a coarse grid and 16 more near its boundary, of at most 20,000 updates:
              720,000 updates of 8 to 16 ms on two CPU cores, two to three hours. Not run yet.
Expectation:  a lower edge that falls with the fraction, as a budget does: t_grok is about 10,000 at
              decay 1 and 30 % for mod 113, and falls as decay to the power -0.6 to -1.1. An upper
              edge where training accuracy fails, near decay 4 or above. Below about 20 % of the
              table nothing groks in the budget.

Runs settle 1,000 updates after they have grokked. `wd_vs_frac_p113.py` is the dense map, for a GPU.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Refine, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=97),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    steps=20_000,
    settle_steps=1000,
    log_every=50,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.2, 0.3, 0.4, 0.5],
        weight_decay=[0.1, 0.3, 1.0, 3.0, 9.0],
        seed=range(1),
    ),
    refine=Refine(rounds=2, runs=16, seeds=3),
)
