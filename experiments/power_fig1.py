"""The classic pair of curves: division mod 97, half of the table.

Question:     does a two-layer transformer generalise long after it has memorised
              division modulo 97, as in figure 1 of Power et al. 2022 (arXiv 2201.02177)?
Command:      python -m grokjax.sweep experiments/power_fig1.py
Cost:         3 runs of 10,000 updates of 70 ms on two CPU cores, 35 minutes; results/README.md has
              what came of it.
Expectation:  train accuracy at 1 within some hundred steps, test accuracy near chance
              until it rises to 1, thousands of steps later. The paper trains without
              weight decay for 10^6 minibatch steps; here, as in its later figures, weight
              decay 1 and 10 warm-up steps bring the rise into a full-batch budget.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, SnapshotSchedule, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("div", p=97, format="a op b ="),
    model=Transformer(layers=2, width=128, heads=4, mlp_width=512, norm="pre", final_norm=True),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b2=0.98, warmup_steps=10),
    train_fraction=0.5,
    steps=10_000,
    log_every=20,
    snapshots=SnapshotSchedule(at=(0,), log_spaced=30, moments=("t_mem", "t_grok", "end")),
    sweep=grid(seed=range(3)),
)
