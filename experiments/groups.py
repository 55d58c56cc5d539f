"""Do networks grok the products of non-commutative groups, and is that harder?

Question:     at the same share of the table, which groups are grokked, and when: cyclic, dihedral,
              alternating and symmetric ones, three pairs and triples of about the same order?
Command:      python -m grokjax.sweep experiments/groups.py
Cost:         35 runs of at most 4,000 updates, about ten minutes on two CPU cores, most of it S_5.
Expectation:  the larger the order the sooner, because rows matter; at equal order the commutative
              group first, because half of its table says what the other half is. S_4 is too small.

Chughtai et al. (2023) use the same kind of network on S_5.
"""

from grokjax import MLP, AdamW, Experiment, FiniteGroup, Thresholds, grid

experiment = Experiment(
    task=FiniteGroup("S5", format="a b"),
    model=MLP(width=64, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.5,
    steps=4000,
    settle_steps=300,
    log_every=50,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(group=["C24", "D12", "S4", "C60", "D30", "A5", "S5"], seed=range(5)),
)
