"""Does a network grok a parity of a few hidden bits among many?

Question:     with 40 bits of which k matter, and 500 to 1,500 rows, when is the parity of the k
              bits found (Barak et al. 2022; Merrill et al. 2023 call it grokking at k = 3)?
Command:      python -m grokjax.sweep experiments/sparse_parity.py
Cost:         30 runs of at most 8,000 updates, about three minutes on two CPU cores.
Expectation:  k = 2 groks soon everywhere, k = 3 late and only with enough rows.
"""

from grokjax import MLP, AdamW, Experiment, Hinge, SparseParity, Thresholds, grid

experiment = Experiment(
    task=SparseParity(n_bits=40, k_bits=3, samples=2000),
    model=MLP(layers=1, mlp_width=128, biases=True, init="torch"),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.1, b2=0.98),
    loss=Hinge(),
    steps=8000,
    settle_steps=400,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(k_bits=[2, 3], train_fraction=[0.25, 0.5, 0.75], seed=range(5)),
)
