"""How does t_grok depend on the width of the network and on the modulus?

Question:     at a fixed share of the table, do wider networks and larger tables grok sooner?
Command:      python -m grokjax.sweep experiments/scans.py
Cost:         50 runs of at most 4,000 updates, a few minutes on two CPU cores.
Expectation:  a larger table groks sooner at the same fraction, because the number of training
              rows matters more than their share, until small tables do not grok at all; wider
              networks grok sooner, with less and less to gain.

`grokjax.figures.scans.scan(runs, "p")` draws one of the two, `grokjax.analysis.laws.fit(runs,
"width")` fits it. Weight decay 0.63 and 60 % of the table lie inside the zone of `wd_vs_frac`.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.63, b2=0.98),
    train_fraction=0.6,
    steps=4000,
    settle_steps=300,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(p=[23, 31, 41, 53, 67, 83], seed=range(5))
    + grid(width=[16, 24, 32, 64, 128], seed=range(5)),
)
