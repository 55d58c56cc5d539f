"""What happens inside of the network whose grokking is understood best?

Question:     addition mod 113 from 30 % of the table, the run that Nanda et al. 2023 took apart
              (arXiv 2301.05217): which measures move during its plateau, in which order?
Command:      python -m grokjax.sweep experiments/mainline_p113.py
              python -m grokjax.measure results/mainline_p113 --instruments all
Cost:         one run of 30,000 updates, 8 minutes on two CPU cores; its snapshots take 170 MB.
Expectation:  the test loss rises while restricted loss falls and excluded loss rises; test accuracy
              jumps when the memorising part of the weights is taken down by weight decay. Their
              phases, of another random stream: 0 – 1,400 – 9,400 – 14,000 updates, five key
              frequencies.
"""

from grokjax import AdamW, Experiment, ModularArithmetic, SnapshotSchedule, Transformer

experiment = Experiment(
    task=ModularArithmetic("add", p=113),
    model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
    optimizer=AdamW(learning_rate=1e-3, weight_decay=1.0, b1=0.9, b2=0.98, warmup_steps=10),
    train_fraction=0.3,
    steps=30_000,
    settle_steps=None,
    log_every=10,
    snapshots=SnapshotSchedule(
        at=(0,), log_spaced=60, moments=("t_mem", "t_grok", "end"), with_optimizer=True
    ),
)
