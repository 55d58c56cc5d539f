"""Nine operations mod 113, each grokked by itself: the donors of transfer.py.

Question:     when is each of nine operations grokked from nothing?
Command:      python -m grokjax.sweep experiments/public/transfer_donors.py
Cost:         9 runs of at most 50,000 full-batch updates of 3,831 rows;
              experiments/public/README.md has it.
Expectation:  linear ones and products within 10,000 updates; (x + y)³ last, if at all.
Source:       hbin0701/Grok-Grok, train_grok.py, run.sh and model.py.
Printed:      nothing in the repository; a paper behind a link.

Their token embeddings go through a linear map with biases, which ours do not, so that training is
not the same; at first embeddings have the variance 1/3 here as there, where N(0, 1) goes through a
map U(±1/√128). Their runs end at a test loss of 10⁻⁹; ours 5,000 updates after 99 % test accuracy.
Quotients by 0 are 0.
"""

from grokjax import AdamW, Experiment, Operation, SnapshotSchedule, Thresholds, Transformer, grid

formulas = [
    "(x + y) % p",
    "(x - y) % p",
    "(x + y)**2 % p",
    "(x**2 + y**2) % p",
    "x*y**(p - 2) % p",
    "2*x*y % p",
    "(x**3 + y**3) % p",
    "(x + y)**3 % p",
    "x*y % p",
]

experiment = Experiment(
    task=Operation("(x + y) % p", p=113, classes=114),
    model=Transformer(
        layers=1,
        width=128,
        heads=4,
        mlp_width=512,
        biases=True,
        attention_biases=False,
        unembed_biases=False,
        embed_init_scale=(128 / 3) ** 0.5,
        unembed_init_scale=(128 / 114) ** 0.5,
    ),
    optimizer=AdamW(
        learning_rate=1e-3,
        weight_decay=1.0,
        b2=0.98,
        warmup_steps=10,
        warmup_shape="linear_from_start",
    ),
    loss_dtype="float64",
    train_fraction=0.3,
    steps=50_000,
    settle_steps=5000,
    log_every=100,
    snapshots=SnapshotSchedule(moments=("end",)),
    thresholds=Thresholds(grokked=0.99),
    sweep=grid({"task.formula": formulas}),
)
