"""Does a large initial scale make an image classifier grok?

Question:     Liu et al. (2022b, Omnigrok) start networks for MNIST from weights eight times as
              large as usual and see generalisation long after memorisation. Does that hold for
              scikit-learn's bundled 8×8 digits, which are not MNIST, with 200 labels?
Command:      pip install -e '.[digits]' && python -m grokjax.sweep experiments/omnigrok_digits.py
Cost:         50 runs of at most 10,000 updates, about three minutes on two CPU cores.
Expectation:  at scale 1 train and test accuracy rise together; the gap grows with the scale and
              shrinks with weight decay.
"""

from grokjax import MLP, AdamW, Digits, Experiment, MeanSquaredError, Thresholds, grid

experiment = Experiment(
    task=Digits(),
    model=MLP(layers=2, mlp_width=128, biases=True, init="torch"),
    optimizer=AdamW(learning_rate=1e-3, b2=0.98),
    loss=MeanSquaredError(),
    train_fraction=200 / 1797,
    steps=10_000,
    settle_steps=500,
    log_every=50,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(init_scale=[1.0, 2.0, 4.0, 6.0, 8.0], weight_decay=[0.1, 1.0], seed=range(5)),
)
