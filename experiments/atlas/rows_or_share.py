"""Is the critical training set a share of the table, or a number of rows?

Command:      python -m grokjax.atlas run rows_or_share
Cost:         160 runs of at most 2,500 updates, two to three minutes of one core.
"""

import numpy as np

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid, zipped
from grokjax.atlas import Claim, Decision, judge, resampled, slope, told

SHARES = {
    17: [0.6, 0.7, 0.8, 0.9],
    23: [0.45, 0.55, 0.65, 0.75],
    31: [0.3, 0.4, 0.5, 0.6],
    41: [0.2, 0.3, 0.4, 0.5],
}
cells = [zipped(p=[p] * len(shares), train_fraction=shares) for p, shares in SHARES.items()]

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    steps=2500,
    settle_steps=100,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=(cells[0] + cells[1] + cells[2] + cells[3]) * grid(seed=range(6)),
)


def critical(runs):
    """Share at which half of the runs grok, interpolated; the ends of the grid bound it."""
    some = runs["t_grok"].notna().groupby(runs["train_fraction"]).mean()
    x, y = some.index.to_numpy(), np.maximum.accumulate(some.to_numpy())
    if y[0] >= 0.5 or y[-1] < 0.5:
        return float(x[0] if y[0] >= 0.5 else x[-1])
    at = int(np.argmax(y >= 0.5))
    return float(x[at - 1] + (0.5 - y[at - 1]) / (y[at] - y[at - 1]) * (x[at] - x[at - 1]))


def power(runs):
    """b of critical rows ∝ p^b: 2 for a constant share, 0 for a constant number of rows."""
    found = {p: critical(of) * p**2 for p, of in runs.groupby("p")}
    return slope(np.log(list(found)), np.log(list(found.values())))


def decide(table):
    effect = resampled(table, power)
    rows = {int(p): critical(of) * p**2 for p, of in table.groupby("p")}
    return Decision(
        verdict=judge(effect, 1.7, 2.3),
        effect=effect,
        because="Half of the runs grok from "
        + ", ".join(f"{n:.0f} rows ({n / p**2:.0%}) mod {p}" for p, n in rows.items())
        + f": rows grow as p to the {told(effect)}, where a constant share would have 2.",
    )


claim = Claim(
    topic="data",
    sentence="There is a critical share of the table, the same for tables of all sizes, below "
    "which networks do not grok.",
    source="Told of Power et al. 2022 (arXiv 2201.02177), figure 1, and of Liu et al. 2022 (arXiv "
    "2205.10343), who derive a critical training fraction; scans with p (results/README.md) let "
    "the number of rows count.",
    setting="Subtraction mod 17, 23, 31 and 41, an MLP (32, 64) that does not grow with p, AdamW "
    "at 0.01 with decay 1, four shares each, 6 seeds, 2,500 updates.",
    confirms="the exponent b of critical rows ∝ p^b lies within (1.7, 2.3).",
    refutes="its interval lies outside of it: b = 0 would be a constant number of rows, 1 to 1.3 "
    "one that grows like p or p log p.",
    unit="exponent of the critical number of rows in p",
    experiments={"tables": experiment},
    cells=("p", "train_fraction"),
    decide=decide,
)
