"""Do wider networks grok sooner?

Command:      python -m grokjax.atlas run width
Cost:         40 runs of at most 4,000 updates, two minutes of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, exponent, judge, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.7,
    steps=4000,
    settle_steps=200,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(mlp_width=[16, 32, 64, 128, 256], seed=range(8)),
)


def decide(table):
    effect = exponent(table, "mlp_width")
    medians = table["t_grok"].astype(float).groupby(table["mlp_width"]).median()
    grokked = table["t_grok"].notna().groupby(table["mlp_width"]).sum()
    return Decision(
        verdict=judge(effect, high=-0.1),
        effect=effect,
        because=f"t_grok ∝ width^{told(effect)}; of 8 runs "
        + ", ".join(
            f"{grokked[k]} grok with {k} units (median of these {medians[k]:.0f})"
            for k in medians.index
        )
        + ".",
    )


claim = Claim(
    topic="networks",
    sentence="Wider networks grok sooner.",
    source="A popular account of overparameterisation; results/README.md, scans, found no "
    "dependence on width in a transformer.",
    setting="Subtraction mod 23 from 70 % of the table, MLPs with embeddings of 32 and 16 to 256 "
    "ReLU units in standard scaling, AdamW at 0.01 with decay 1, not tuned for each width, 8 "
    "seeds, at most 4,000 updates.",
    confirms="the exponent of t_grok in width is below −0.1 (upper limit of a censored "
    "log-normal fit).",
    refutes="it is above −0.1 (lower limit).",
    unit="exponent of t_grok in the number of hidden units",
    experiments={"widths": experiment},
    cells=("mlp_width",),
    decide=decide,
)
