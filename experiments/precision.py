"""Does the precision of the loss, or of matrix products, move the time of grokking?

Question:     is t_grok distributed alike with the loss in float32 and in float64, and with
              matrix products in one pass of a shorter format?
Command:      python -m grokjax.sweep experiments/precision.py
Cost:         128 runs of at most 6,000 updates, 13 minutes on two CPU cores beside a test suite.
Expectation:  alike where weight decay keeps logits small; at weak decay the training loss
              sinks below what float32 resolves (exactly 0, then a spike), and t_grok may move.

Same seeds throughout. On a processor `matmul_precision` changes nothing, bit for bit, and the
sweep leaves it alone; sweep it on a GPU. `grokjax.analysis.compare` tests the difference:
    compare(grokjax.load("results/precision").runs, "loss_dtype", by=["weight_decay"])
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    train_fraction=0.6,
    steps=6000,
    settle_steps=300,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        weight_decay=[0.1, 0.5],
        loss_dtype=["float32", "float64"],
        seed=range(32),
    ),
)
