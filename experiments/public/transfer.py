"""Does a network that has grokked one operation grok another sooner?

Question:     all 72 ordered pairs of nine operations mod 113: how long does the second take, from
              the weights that have grokked the first?
Command:      python -m grokjax.sweep experiments/public/transfer_donors.py
              python -m grokjax.sweep experiments/public/transfer.py
Cost:         72 runs of at most 50,000 full-batch updates of 3,831 rows;
              experiments/public/README.md has it.
Expectation:  sooner than from nothing where both are functions of x + y, or both products.
Source:       hbin0701/Grok-Grok, run.sh and train_grok.py.
Printed:      nothing in the repository; its paper says that a grokked donor speeds the other
              operation.

The optimiser starts anew. Pairs are cells of `start.where`, which donor, and `task.formula`.
"""

from grokjax import AdamW, Experiment, Operation, StartFrom, Thresholds, Transformer

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
    start=StartFrom("results/transfer_donors", step="end"),
    thresholds=Thresholds(grokked=0.99),
    sweep=[
        {"start.where": [f"formula={donor}"], "task.formula": formula}
        for donor in formulas
        for formula in formulas
        if formula != donor
    ],
)
