"""How soon does a network learn a whole table, and how do its weights grow?

Question:     a + b mod 23 with all 529 rows in the training set and no weight decay: loss, accuracy
              and norm of the weights, with ReLU and with squares.
Command:      python -m grokjax.sweep experiments/public/features_of_the_whole_table.py
Cost:         2 runs of 5,000 full-batch updates of 529 rows; experiments/public/README.md has it.
Expectation:  the printed curves, for these networks start alike up to the seed.
Source:       Y-Agent/modular-addition-feature-learning, precompute/prime_config.py, the
              configurations standard and quad_random, and precomputed_results/p_023.
Printed:      ReLU: loss 3.131, 2.860, 2.123, 0.0477 and norm 3.24, 8.78, 15.7, 34.9 at updates 50,
              1,000, 2,000 and 4,999, accuracy 0.964 at 1,000 and 1 at 4,000. Squares: loss 3.028,
              2.459, 0.0083 and norm 9.41, 16.8, 36.6 at 1,000, 2,000 and 4,999.

Both operands have the same weights: embeddings are unit vectors that are not trained, and the norm
without them is √(weight_norm² − 23). Initial weights are N(0, 0.01 / 23) in both layers. The loss
is in float64, as theirs is.
"""

from grokjax import MLP, AdamW, Experiment, Fourier, ModularArithmetic, ParameterGroups, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=23, format="a b"),
    model=MLP(
        width=23,
        mlp_width=512,
        token_inputs="sum",
        embed_init="identity",
        body_init_scale=0.1,
        unembed_init_scale=0.1 * (512 / 23) ** 0.5,
    ),
    optimizer=AdamW(
        learning_rate=5e-5,
        weight_decay=0.0,
        b2=0.98,
        warmup_steps=10,
        warmup_shape="linear_from_start",
    ),
    groups=ParameterGroups(embed_learning_rate=0.0),
    instruments=(Fourier(),),
    loss_dtype="float64",
    train_fraction=1.0,
    steps=5000,
    settle_steps=None,
    log_every=50,
    sweep=grid(activation=["relu", "square"]),
)
