"""Does test accuracy rise in stages where three quarters of a small table are trained on?

Question:     a + b mod 23 at three quarters of the table with a weight decay of 2: are there the
              printed stages, with a rise that ends below the top?
Command:      python -m grokjax.sweep experiments/public/grokking_in_stages.py
Cost:         2 runs of 24,000 full-batch updates of 397 rows; experiments/public/README.md has it.
Expectation:  the printed curves, times and plateaus varying with the split.
Source:       Y-Agent/modular-addition-feature-learning, precompute/prime_config.py, the
              configuration grokking, and precomputed_results/p_023.
Printed:      train accuracy 0.98 at 1,920; test accuracy 0.218 at 1,440, 0.69 at 1,920, 0.737 from
              2,400 to 4,800, 0.797 at 7,200, 0.962 from 9,600 on; norm 30.0 at 2,880, 50.7 at
              9,600, 48.5 at 24,000; training loss 7·10⁻⁶ from 12,000 on.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, ParameterGroups, grid

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
        learning_rate=1e-4,
        weight_decay=2.0,
        b2=0.98,
        warmup_steps=10,
        warmup_shape="linear_from_start",
    ),
    groups=ParameterGroups(embed_learning_rate=0.0),
    loss_dtype="float64",
    train_fraction=0.75,
    steps=24_000,
    settle_steps=None,
    log_every=240,
    sweep=grid(seed=range(2)),
)
