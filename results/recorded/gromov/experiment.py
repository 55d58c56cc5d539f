"""Does a network grok without weight decay, by plain gradient descent?

Question:     Gromov (2023) trains a quadratic network on modular addition by full-batch gradient
              descent on squared errors, without momentum and without decay. Does it grok here?
Command:      python -m grokjax.sweep experiments/gromov.py
Cost:         15 runs of at most 12,000 updates, about five minutes on two CPU cores.
Expectation:  yes, at all three fractions, later with fewer rows; the norm of the weights grows.

In mean-field scaling gradients are small, hence the learning rate of 10,000.
"""

from grokjax import MLP, SGD, Experiment, MeanSquaredError, ModularArithmetic, Thresholds, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=47, format="a b"),
    model=MLP.quadratic(mlp_width=256),
    optimizer=SGD(learning_rate=1e4),
    loss=MeanSquaredError(),
    steps=12_000,
    settle_steps=500,
    log_every=50,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=1.2),
    sweep=grid(train_fraction=[0.5, 0.6, 0.7], seed=range(5)),
)
