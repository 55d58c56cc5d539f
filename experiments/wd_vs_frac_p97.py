"""Where is the Goldilocks zone of a network of the usual size, coarsely?

Question:     at which weight decays and train fractions does a one-layer transformer of width 128
              grok addition mod 97 within 5,000 updates: is its zone that of small networks?
Command:      python -m grokjax.sweep experiments/wd_vs_frac_p97.py
Cost:         20 runs of a coarse grid and 12 more near its boundary, of at most 5,000 updates of
              21 to 44 ms on one CPU core: 123,000 updates, 1 h 46 min of a core beside others.
Expectation:  a lower edge that falls with the fraction, as a budget does: t_grok is about 10,000 at
              decay 1, rate 0.001 and 30 % for mod 113, halves at twice the rate, and falls as decay
              to the power -0.6 to -1.1. An upper edge where training accuracy fails, near decay 4
              or above. At 25 % of the table little groks in the budget.
              results/README.md says what came: the upper edge lies at 9 to 27.

Runs settle 300 updates after they have grokked. `wd_vs_frac_p113.py` is the dense map, for a GPU.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Refine, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=97),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
    optimizer=AdamW(learning_rate=2e-3, b2=0.98),
    steps=5000,
    settle_steps=300,
    log_every=25,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        train_fraction=[0.2, 0.25, 0.35, 0.45],
        weight_decay=[0.3, 1.0, 3.0, 9.0, 27.0],
        seed=range(1),
    ),
    refine=Refine(rounds=2, runs=12, seeds=3),
)
