"""Does Muon grok the greatest common divisor sooner than AdamW?

Question:     epochs to 95 % test accuracy with either optimiser, for the greatest common divisor
              mod 97 and, with other flags, for other tables and losses.
Command:      python -m grokjax.sweep experiments/public/muon_gcd.py
Cost:         2 runs of at most 73,500 updates in batches of 32, four blocks of 128;
              experiments/public/README.md has it.
Expectation:  Muon sooner.
Source:       bangyen/muon, README.md, src/dataset.py, src/model.py and scripts/train_tasks.py,
              after arXiv 2504.16041.
Printed:      mean epoch of grokking 102.9 with Muon and 153.1 with AdamW (those of the paper).

An epoch of gcd is 147 updates. The other tables are `(x + y) % p` and `x / y % p` with
`where="y"` at 0.8, `x**y % p` at 0.7, `x*y % p` at 0.5, and
`SparseParity(n_bits=10, k_bits=10, samples=None, bits="tokens")` at 0.5; the other losses
`StableMax()` and `Sparsemax()`.

This is what is described. The program does other things: its attention has no mask, so that every
position sees the next token, which it is to predict; its three softmaxes are never called; its
embeddings are drawn anew after they were set to the identity; and its rotary positions turn a
quarter of each head's dimensions.
"""

from grokjax import (
    AdamW,
    Experiment,
    Muon,
    Operation,
    ParameterGroups,
    Thresholds,
    Transformer,
    zipped,
)

tenth = {f"{name}_learning_rate": 0.1 for name in ("embed", "unembed", "bias")}

experiment = Experiment(
    task=Operation("gcd(x, y) % p", p=97, format="BOS a op b ="),
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
    train_fraction=0.5,
    batch_size=32,
    batches="keep_last",
    steps=73_500,
    settle_steps=1470,
    log_every=147,
    thresholds=Thresholds(grokked=0.95),
    sweep=zipped(
        optimizer=[
            Muon(learning_rate=5e-3, weight_decay=1e-2, momentum=0.95, b2=0.98, eps=1e-10),
            AdamW(learning_rate=5e-4, weight_decay=1e-2, b2=0.98),
        ],
        groups=[ParameterGroups(**tenth), ParameterGroups()],
    ),
)
