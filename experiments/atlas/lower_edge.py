"""Is the lower edge of the zone a budget?

Command:      python -m grokjax.atlas run lower_edge
Cost:         40 runs of at most 12,000 updates, a minute of one core.
"""

import numpy as np

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, resampled, share, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    train_fraction=0.7,
    steps=12_000,
    settle_steps=200,
    log_every=40,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(weight_decay=[0.1, 0.18, 0.32, 0.56, 1.0], seed=range(8)),
)
SHORT, LONG = 1500, 12_000


def edge(runs, budget):
    """Decay at which half of the runs grok by the budget, interpolated in its logarithm."""
    grokked = (runs["t_grok"].astype(float) <= budget).groupby(runs["weight_decay"]).mean()
    x, y = np.log(grokked.index.to_numpy()), np.maximum.accumulate(grokked.to_numpy())
    if y[0] >= 0.5:
        return float(np.exp(x[0]))  # at or below the least that was tried
    if y[-1] < 0.5:
        return np.nan
    at = int(np.argmax(y >= 0.5))
    return float(np.exp(x[at - 1] + (0.5 - y[at - 1]) / (y[at] - y[at - 1]) * (x[at] - x[at - 1])))


def decide(table):
    effect = resampled(table, lambda runs: edge(runs, SHORT) / edge(runs, LONG))
    least = table[table["weight_decay"] == 0.1]
    grokked = share(least["t_grok"].notna())
    return Decision(
        verdict=judge(effect, low=2.0),
        effect=effect,
        because=f"With {LONG} updates for {SHORT} the edge lies {told(effect)} times lower; "
        f"{told(grokked)} of the runs "
        "at decay 0.1 have grokked by the end.",
    )


claim = Claim(
    topic="zone",
    sentence="The lower edge of the zone in weight decay is a budget: what lies below it has not "
    "grokked yet.",
    source="Told against phase diagrams with one budget (Liu et al. 2022, arXiv 2205.10343, and "
    "their kind); results/README.md, wd_vs_frac, saw the edge move in a transformer.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW at 0.01, decays "
    "0.1 to 1, 8 seeds, 12,000 updates, from which a budget of 1,500 is read off as well.",
    confirms="the decay at which half of the runs grok is more than twice as large at 1,500 as at "
    "12,000 updates (lower limit of the interval); if all do at the least decay, that one counts.",
    refutes="the interval lies below 2.",
    unit="edge at 1,500 updates over edge at 12,000",
    experiments={"decays": experiment},
    cells=("weight_decay",),
    decide=decide,
)
