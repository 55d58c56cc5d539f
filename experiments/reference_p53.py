"""Does grokjax reproduce an independent JAX implementation, step for step in distribution?

Question:     575-lab/grokking-mechanism prints for addition mod 53, half of the table,
              seed 0: train accuracy above 0.99 at step 93, test accuracy above 0.90 at
              1,637 (Flax NNX, optax AdamW). Do five seeds of ours bracket these numbers?
Command:      python -m grokjax.sweep experiments/reference_p53.py
Cost:         5 runs of 4,000 updates, about 3 minutes on two CPU cores.
Expectation:  both medians within a factor 1.5 of the printed numbers, which come from one
              seed of another random stream, so that only the distribution can agree.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=53),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512, init="lecun"),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b2=0.98),
    train_fraction=0.5,
    steps=4000,
    settle_steps=None,
    log_every=5,
    sweep=grid(seed=range(5)),
)
