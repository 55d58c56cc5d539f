"""Do networks grok later with more rows?

Command:      python -m grokjax.atlas run data_share
Cost:         48 runs of at most 5,000 updates, a minute and a half of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, all_of, judge, ratio, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    steps=5000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(train_fraction=[0.5, 0.55, 0.6, 0.7, 0.8, 0.9], seed=range(8)),
)


def decide(table):
    shares = sorted(table["train_fraction"].unique())
    of = {share: table[table["train_fraction"] == share] for share in shares}
    grokking = ratio(of[0.9], of[0.6])
    memorising = ratio(of[0.9], of[0.6], "t_mem")
    return Decision(
        verdict=all_of(judge(grokking, low=1.0)),
        effect=grokking,
        because=f"From 60 to 90 % of the table t_grok changes by a factor of {told(grokking)} "
        f"and t_mem by "
        f"{told(memorising)}; of 8 runs each "
        + ", ".join(
            f"{int(of[share]['t_grok'].notna().sum())} grok at {share:.0%}" for share in shares
        )
        + ".",
    )


claim = Claim(
    topic="data",
    sentence="The larger the training set, the later a network groks.",
    source="A popular account, told of datasets that take longer to be fitted; Power et al. 2022 "
    "(arXiv 2201.02177), figure 1, Liu et al. 2022 (arXiv 2205.10343) and Notsawo et al. 2023 "
    "(arXiv 2306.13253) show the opposite.",
    setting="Subtraction mod 23, an MLP (32, 64), AdamW at 0.01 with decay 1, 50 to 90 % of the "
    "table, 8 seeds, at most 5,000 updates.",
    confirms="the ratio of median t_grok at 90 % and at 60 % lies above 1.",
    refutes="it lies below 1.",
    unit="t_grok at 90 % of the table over t_grok at 60 %",
    experiments={"shares": experiment},
    cells=("train_fraction",),
    decide=decide,
)
