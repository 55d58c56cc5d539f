"""Which of two operations in one table is grokked first, and does the operator's place matter?

Question:     sums and products mod 113, told apart by a token before, between or behind the
              operands: t_grok of each?
Command:      python -m grokjax.sweep experiments/public/two_operations_by_token.py
Cost:         3 runs of full-batch updates of 7,661 rows; experiments/public/README.md has it.
Expectation:  sums before products, since the products with 0 are a rule of their own.
Source:       a script after Nanda et al. 2023 with `op_pos` and `operators` in its configuration,
              logged to the W&B project ben-interp.
Printed:      nothing; it asks which operation is first.

Training ends 5,000 updates after test accuracy has come to the top.
"""

from grokjax import (
    AdamW,
    ClipNorm,
    Clipping,
    Experiment,
    ModularArithmetic,
    Operations,
    RowGroups,
    Transformer,
    grid,
)

both = [ModularArithmetic("add", p=113), ModularArithmetic("mul", p=113)]

experiment = Experiment(
    task=Operations(both),
    model=Transformer(
        layers=1,
        width=128,
        heads=4,
        mlp_width=512,
        biases=True,
        attention_biases=False,
        unembed_biases=False,
    ),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b2=0.98),
    modifiers=(ClipNorm(1.0),),
    instruments=(RowGroups(by="operation"), Clipping()),
    train_fraction=0.3,
    steps=500_000,
    settle_steps=5000,
    log_every=100,
    sweep=grid({"task.format": ["op a b =", "a op b =", "a b op ="]}),
)
