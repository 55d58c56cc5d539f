"""Is there a gap between memorising and generalising at half of the table, or at a quarter only?

Question:     the default configuration of a much forked implementation does not show the curves of
              its own page any more, say its readers: at half of the table there is hardly a gap.
Command:      python -m grokjax.sweep experiments/public/division_post_norm.py
Cost:         2 runs in batches of 512, two blocks of 128; experiments/public/README.md has it.
Expectation:  at 0.5 test accuracy follows training accuracy within some hundred updates; at 0.25
              there is a plateau of thousands.
Source:       danielmamay/grokking, issue 1; model.py, training.py and cli.py.
Printed:      curves only: at 0.5 hardly a gap, at 0.25 a long plateau.

Maps have no biases, norms do. The learning rate starts at a tenth. The last batch of an epoch has
the rows that are left. There are 99 classes, the words = and / among them.
"""

from grokjax import AdamW, Experiment, Operation, Transformer, grid

experiment = Experiment(
    task=Operation("x / y % p", p=97, where="y", format="a op b =", classes=99),
    model=Transformer(
        layers=2,
        width=128,
        heads=4,
        mlp_width=512,
        norm="post",
        norm_biases=True,
        init="torch",
        attention_init="multihead",
    ),
    optimizer=AdamW(
        learning_rate=1e-3,
        weight_decay=1.0,
        b2=0.98,
        warmup_steps=10,
        warmup_shape="linear_from_start",
        warmup_start=0.1,
    ),
    batch_size=512,
    batches="keep_last",
    steps=100_000,
    log_every=100,
    sweep=grid(train_fraction=[0.5, 0.25]),
)
