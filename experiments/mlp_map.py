"""Which decays, fractions and widths let a small MLP generalise on modular addition?

Question:     a map like those published with small MLPs: addition mod 97, two embeddings of 16
              side by side, one layer of ReLU units, 60 runs of 2,500 full-batch updates. At which
              weight decays, train fractions and widths does test accuracy get to the top?
Command:      python -m grokjax.sweep experiments/mlp_map.py
Cost:         60 runs of 2,500 updates: 209 s on two cores (AMD EPYC, 2026-11-25), compilations and
              figures included.
Expectation:  the widest layer gets there within the budget at decays near 1, earlier with more
              rows; little decay is too slow, a decay of 3 keeps the network from fitting its
              training set, and a narrower layer leaves less room between the two.

No run ends early, so that the time is that of 150,000 updates whoever trains them:
`python -m benchmarks.peers.torch_map` does with a plain PyTorch loop, one run after another. The
first twelve runs have every width and fraction once. One seed a cell shows what a map looks like
and is no basis for a claim about it.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=97, format="a b"),
    model=MLP(width=16, biases=True, init="torch"),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    steps=2500,
    settle_steps=None,
    log_every=25,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        weight_decay=[0.03, 0.1, 0.3, 1.0, 3.0],
        mlp_width=[16, 32, 64],
        train_fraction=[0.4, 0.5, 0.6, 0.7],
    ),
)
