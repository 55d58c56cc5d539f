"""Is the delay of grokking the search for a sparse subnetwork?

Question:     Minegishi et al. (2023) train only the weights that are largest after grokking, from
              their initial values, and find no delay; masks from before grokking do not help. Here
              too, and is it the magnitudes or only how many weights each layer keeps?
Command:      python -m grokjax.sweep experiments/lottery_donor.py
              python -m grokjax.sweep experiments/lottery.py
Cost:         90 runs of at most 4,000 updates, seven minutes on two CPU cores.
Expectation:  masks from t_grok shorten t_grok much more than those from t_mem; random masks of the
              same sizes, in all or in every layer, do not.
"""

from grokjax import AdamW, Experiment, Mask, ModularArithmetic, Thresholds, Transformer, grid

experiment = Experiment(
    task=ModularArithmetic("sub", p=53),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.63, b2=0.98),
    train_fraction=0.6,
    mask=Mask("results/lottery_donor", step="t_grok"),
    steps=4000,
    settle_steps=300,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(
        {
            "mask.step": ["t_mem", "t_grok"],
            "mask.rule": ["magnitude", "random", "random_by_layer"],
            "mask.keep": [0.2, 0.4, 0.6],
        },
        seed=range(5),
    ),
)
