"""Does Muon grok sooner than AdamW, over operations and losses?

Question:     greatest common divisors, sums, products, quotients and powers mod 97 and the parity of
              ten bits; cross-entropy, StableMax and sparsemax: epochs to 95 % with either optimiser?
Command:      python -m grokjax.sweep experiments/public/muon_gcd.py
Cost:         36 runs of at most 75,000 updates in batches of 32, four blocks of 128;
              experiments/public/README.md has it.
Expectation:  Muon sooner in most cells.
Source:       bangyen/muon, README.md, src/dataset.py, src/model.py and scripts/train_tasks.py, after
              arXiv 2504.16041.
Printed:      mean epoch of grokking 102.9 with Muon and 153.1 with AdamW (those of the paper).

An epoch of gcd is 147 updates. This is what is described, and the program does other things: its
attention has no mask, so that every position sees the next token, which it is to predict; its three
softmaxes are never called; its embeddings are drawn anew after they were set to the identity; and
its rotary positions turn half of each pair's dimensions.
"""

from grokjax import (
    AdamW,
    CrossEntropy,
    Experiment,
    Muon,
    Operation,
    ParameterGroups,
    SparseParity,
    Sparsemax,
    StableMax,
    Thresholds,
    Transformer,
    grid,
    zipped,
)

written = {"p": 97, "format": "BOS a op b ="}
of_tables = zipped(
    task=[
        Operation("gcd(x, y) % p", **written),
        Operation("(x + y) % p", **written),
        Operation("x / y % p", where="y", **written),
        Operation("x**y % p", **written),
        Operation("x*y % p", **written),
        SparseParity(n_bits=10, k_bits=10, samples=None),
    ],
    train_fraction=[0.5, 0.8, 0.8, 0.7, 0.5, 0.5],
)
tenth = dict.fromkeys(("embed_learning_rate", "unembed_learning_rate", "bias_learning_rate"), 0.1)
of_optimizers = zipped(
    optimizer=[
        Muon(learning_rate=5e-3, weight_decay=1e-2, momentum=0.95, b2=0.98, eps=1e-10),
        AdamW(learning_rate=5e-4, weight_decay=1e-2, b2=0.98),
    ],
    groups=[ParameterGroups(**tenth), ParameterGroups()],
)

experiment = Experiment(
    task=Operation("gcd(x, y) % p", **written),
    model=Transformer(
        layers=4,
        width=128,
        heads=8,
        mlp_width=512,
        activation="silu",
        norm="rms",
        norm_epsilon=1e-6,
        final_norm=True,
        positions="rotary",
        embed_init="identity",
        body_init_scale=0.02 * 128**0.5,
        unembed_init_scale=0.02 * 128**0.5,
        dropout=0.1,
        dropout_places=("weights", "hidden", "mlp"),
    ),
    batch_size=32,
    batches="keep_last",
    steps=75_000,
    settle_steps=1000,
    log_every=147,
    thresholds=Thresholds(grokked=0.95),
    sweep=of_tables * grid(loss=[CrossEntropy(), StableMax(), Sparsemax()]) * of_optimizers,
)
