"""Does plain gradient descent grok without decay?

Command:      python -m grokjax.atlas run gradient_descent_without_decay
Cost:         16 runs of at most 6,000 updates, half a minute of one core.
"""

from grokjax import MLP, SGD, Experiment, MeanSquaredError, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, all_of, judge, resampled, share, told

experiment = Experiment(
    task=ModularArithmetic("add", p=23, format="a b"),
    model=MLP.quadratic(mlp_width=128),
    optimizer=SGD(learning_rate=2e3),
    loss=MeanSquaredError(),
    train_fraction=0.75,
    steps=6000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=1.2),
    sweep=grid(train_fraction=[0.7, 0.75], seed=range(8)),
)


def decide(table):
    late = (table["t_grok"].astype(float) >= 1.2 * table["t_mem"].astype(float)).fillna(False)
    effect = share(late)
    growth = resampled(
        table,
        lambda runs: float((runs["weight_norm_at_t_grok"] / runs["weight_norm_at_t_mem"]).median()),
    )
    return Decision(
        verdict=all_of(judge(effect, low=0.5), judge(growth, low=1.0)),
        effect=effect,
        because=f"{told(effect)} of the runs generalise later than 1.2 times t_mem, and the norm "
        f"is {told(growth)} times "
        "at t_grok what it was at t_mem.",
    )


claim = Claim(
    topic="without decay",
    sentence="A quadratic network groks by plain gradient descent without weight decay, and its "
    "norm grows meanwhile.",
    source="Gromov 2023 (arXiv 2301.02679), figure 1: p = 97, squared errors, no decay; that the "
    "norm grows is said against Omnigrok by Kumar et al. 2023 (arXiv 2310.06110).",
    setting="Addition mod 23, 128 quadratic units in mean-field scaling, squared errors, "
    "full-batch gradient descent at 2,000, 70 and 75 % of the table, 8 seeds, at most 6,000 "
    "updates. Tried before: t_mem 1,200 and t_grok 1,800 at 75 %, none by 8,000 at 60 % (seeds "
    "900 to 902). The delay is small here, so late is 1.2 times t_mem.",
    confirms="more than half of the runs reach 90 % test accuracy later than 1.2 times t_mem "
    "(lower limit), and the median ratio of norms at t_grok and t_mem is above 1.",
    refutes="fewer than half do (upper limit), or the norm falls.",
    unit="share of runs that generalise late",
    experiments={"descent": experiment},
    cells=("train_fraction",),
    columns=("weight_norm_at_t_mem", "weight_norm_at_t_grok"),
    decide=decide,
)
