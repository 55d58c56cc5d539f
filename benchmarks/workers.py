"""What workers cost beside one process: 48 runs of 21,000 updates, none of which ends early.

    python -m grokjax.sweep benchmarks/workers.py --out /tmp/alone
    python -m grokjax.sweep benchmarks/workers.py --out /tmp/workers --cluster local

The seconds of both, on a machine that does nothing else, stand in docs/clusters.md; with
`--steps 15000` and `--steps 1500` those of shorter ones, whose workers cost what does not depend
on the length.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("add", p=43),
    model=Transformer(width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-3),
    steps=21_000,
    settle_steps=None,
    log_every=50,
    sweep=grid(weight_decay=[0.3, 1.0], train_fraction=[0.3, 0.4, 0.5], seed=range(8)),
)
