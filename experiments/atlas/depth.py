"""Do deeper networks grok later?

Command:      python -m grokjax.atlas run depth
Cost:         48 runs of at most 4,000 updates, a minute and a half of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, ratio, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(weight_decay=1.0, b2=0.98),
    train_fraction=0.7,
    steps=4000,
    settle_steps=200,
    log_every=10,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(layers=[1, 2, 3], learning_rate=[5e-3, 1e-2], seed=range(8)),
)


def decide(table):
    of = dict(iter(table.groupby("layers")))
    deep = of[3][of[3]["learning_rate"] == 5e-3]
    shallow = of[1][of[1]["learning_rate"] == 5e-3]
    effect = ratio(deep, shallow)
    faster = ratio(of[3][of[3]["learning_rate"] == 1e-2], of[1][of[1]["learning_rate"] == 1e-2])
    relative = {
        k: (runs["t_grok"].astype(float) / runs["t_mem"].astype(float)).median()
        for k, runs in of.items()
    }
    return Decision(
        verdict=judge(effect, low=1.0),
        effect=effect,
        because=f"Three hidden layers take {told(effect)} times as long as one at a rate of "
        f"0.005 and {told(faster)} at 0.01; the medians of "
        "t_grok / t_mem over grokked runs are "
        + ", ".join(f"{v:.2g} with {k}" for k, v in relative.items())
        + ".",
    )


claim = Claim(
    topic="networks",
    sentence="Deeper networks are more prone to grokking: they generalise later than shallow ones.",
    source="Fan et al. 2024 (Deep Grokking, arXiv 2405.19454): MLPs on MNIST with 3 to 12 layers.",
    setting="Subtraction mod 23 from 70 % of the table, MLPs (32, 64) with one, two and three "
    "hidden layers, AdamW with decay 1 at 0.005 and 0.01, 8 seeds, at most 4,000 updates. Tried "
    "before at 0.01: 2 layers near 420, 3 at 280 to 1,280 (seeds 900 to 902).",
    confirms="at 0.005 the median t_grok with three layers is larger than with one (lower limit "
    "of the ratio above 1).",
    refutes="it is smaller (upper limit below 1).",
    unit="t_grok with three hidden layers over t_grok with one",
    experiments={"layers": experiment},
    cells=("layers", "learning_rate"),
    decide=decide,
)
