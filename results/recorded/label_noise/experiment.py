"""Can a network generalise from labels of which a third are wrong?

Question:     Doshi et al. (2023) corrupt 35 % of the labels of modular addition: with enough decay
              a quadratic network gives up the corrupted rows and generalises. Does it here?
Command:      python -m grokjax.sweep experiments/label_noise.py
Cost:         45 runs of 3,000 updates, about five minutes on two CPU cores.
Expectation:  without decay the network memorises every label, right or wrong. With strong decay
              train accuracy (by the labels trained on) falls to about 65 % and test accuracy, like
              train accuracy by the true labels, reaches 100 %. With labels that are all random
              (`label_noise=1`) test accuracy stays at chance whatever the decay.
"""

from grokjax import MLP, AdamW, Experiment, MeanSquaredError, ModularArithmetic, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=47, format="a b"),
    model=MLP.quadratic(mlp_width=256, scaling="standard"),
    optimizer=AdamW(learning_rate=5e-3, b2=0.98),
    loss=MeanSquaredError(),
    train_fraction=0.7,
    steps=3000,
    settle_steps=None,
    log_every=50,
    sweep=grid(weight_decay=[0.0, 3.0, 10.0], label_noise=[0.0, 0.35, 1.0], seed=range(5)),
)
