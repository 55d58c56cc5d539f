"""Does a grokked network forget below a critical size of its training set, whatever the decay?

Command:      python -m grokjax.atlas run ungrokking
Cost:         8 runs of at most 3,000 and 96 of 2,500 updates, two minutes of one core.
"""

import numpy as np

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    ModularArithmetic,
    SnapshotSchedule,
    StartFrom,
    Thresholds,
    grid,
)
from grokjax.atlas import Claim, Decision, all_of, judge, resampled, told

donors = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.8,
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    snapshots=SnapshotSchedule(moments=("end",)),
    sweep=grid(seed=range(8)),
)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
forgetting = donors.replaced(
    snapshots=None,
    settle_steps=None,
    steps=2500,
    start=StartFrom("results/atlas/ungrokking/sweeps/donors", step="end"),
    sweep=grid(train_fraction=SHARES, weight_decay=[0.5, 1.0], seed=range(8)),
)


def critical(decay):
    """Share of the table at which the mean final test accuracy is one half, interpolated."""

    def of(runs):
        mine = runs[runs["weight_decay"] == decay]
        means = mine.groupby("train_fraction")["final_test_accuracy"].mean()
        x, y = means.index.to_numpy(), np.maximum.accumulate(means.to_numpy())
        if y[0] >= 0.5 or y[-1] < 0.5:
            return float(x[0] if y[0] >= 0.5 else x[-1])
        at = int(np.argmax(y >= 0.5))
        return float(x[at - 1] + (0.5 - y[at - 1]) / (y[at] - y[at - 1]) * (x[at] - x[at - 1]))

    return of


def decide(table):
    forgot = resampled(
        table,
        lambda runs: float(runs.loc[runs["train_fraction"] == 0.1, "final_test_accuracy"].mean()),
    )
    shift = resampled(table, lambda runs: critical(0.5)(runs) - critical(1.0)(runs))
    where = {decay: resampled(table, critical(decay)) for decay in (0.5, 1.0)}
    means = table.groupby("train_fraction")["final_test_accuracy"].mean()
    return Decision(
        verdict=all_of(judge(forgot, high=0.5), judge(shift, -0.05, 0.05)),
        effect=shift,
        because="Final test accuracy is "
        + ", ".join(f"{v:.0%} at {k:.0%}" for k, v in means.items())
        + f"; half of it is lost at {told(where[0.5])} of the table with decay 0.5 and "
        f"{told(where[1.0])} with decay 1.",
    )


claim = Claim(
    topic="stability",
    sentence="A grokked network that goes on with too few rows forgets (ungrokking), below a "
    "critical number that does not depend on weight decay.",
    source="Varma et al. 2023 (arXiv 2309.02390), ungrokking and the prediction that D_crit does "
    "not depend on decay.",
    setting="Networks that grokked subtraction mod 23 from 80 % of the table (an MLP, AdamW at "
    "0.01, decay 1) go on with 10 to 60 % of it, rows of the first training set, with decays 0.5 "
    "and 1, a new optimiser state, 8 seeds, 2,500 updates. Their budget is longer, their decays "
    "differ more.",
    confirms="with 10 % of the table mean final test accuracy is below one half, and the share at "
    "which it is one half differs by less than 0.05 between the decays (whole intervals).",
    refutes="test accuracy stays above one half, or the shares differ by more than 0.05.",
    unit="difference of critical shares, decay 0.5 minus decay 1",
    experiments={"donors": donors, "forgetting": forgetting},
    without=("donors",),
    cells=("weight_decay", "train_fraction"),
    shown="final_test_accuracy",
    decide=decide,
)
