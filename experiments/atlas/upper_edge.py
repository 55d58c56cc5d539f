"""What fails above the zone?

Command:      python -m grokjax.atlas run upper_edge
Cost:         64 runs of 4,000 updates, a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, share, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    train_fraction=0.7,
    steps=4000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(weight_decay=[1.0, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0], seed=range(8)),
)


def decide(table):
    grokked = table["t_grok"].notna().groupby(table["weight_decay"]).mean()
    above = table[table["weight_decay"].isin(grokked.index[grokked < 0.5])]
    failed = above[above["t_grok"].isna()]
    unfit = share(failed["final_train_accuracy"] < 0.99)
    first = f"{above['weight_decay'].min():g}" if len(above) else "none"
    return Decision(
        verdict=judge(unfit, low=0.5),
        effect=unfit,
        because=f"Fewer than half grok from decay {first} on; of {len(failed)} runs there that "
        f"do not, "
        f"{told(unfit)} end with a train accuracy below 99 %.",
    )


claim = Claim(
    topic="zone",
    sentence="Above the upper edge of the zone networks fail because they do not fit their "
    "training set.",
    source="Liu et al. 2022 (arXiv 2205.10343), phase diagrams: confusion at large decay; "
    "wd_vs_frac in results/README.md saw none of 45 runs fit.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW at 0.01, decays 1 "
    "to 16, 8 seeds, 4,000 updates. Tried before: at decay 6 and 12 train accuracy ends at 0.6 "
    "and 0.1 (seeds 900 to 902).",
    confirms="of the runs that do not grok, at decays where fewer than half do, more than half "
    "end below 99 % train accuracy (lower limit).",
    refutes="fewer than half do (upper limit).",
    unit="share of failing runs that do not fit",
    experiments={"decays": experiment},
    cells=("weight_decay",),
    shown="final_train_accuracy",
    decide=decide,
)
