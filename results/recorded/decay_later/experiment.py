"""Is weight decay needed from the start, or only after memorisation?

Question:     a run without decay memorises and stays there. When decay is switched on later, does
              it grok as long after the switch as a run with decay does from the start?
Command:      python -m grokjax.sweep experiments/decay_later.py
Cost:         35 runs of at most 6,000 updates, three minutes on two CPU cores.
Expectation:  decay acts on the memorising network only, so t_grok − step is about the same for
              every switch after t_mem, and longer than t_grok from the start, because without
              decay the norm has grown meanwhile. Without any decay: censored.
"""

from grokjax import AdamW, Change, Experiment, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.0, b2=0.98),
    train_fraction=0.6,
    changes=(Change(1, weight_decay=0.63),),
    steps=6000,
    settle_steps=300,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid({"changes.0.step": [1, 50, 100, 300, 1000, 2000]}, seed=range(5))
    + grid(changes=[()], seed=range(5)),
)
