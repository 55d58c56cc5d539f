"""Do networks without decay generalise by slingshots?

Command:      python -m grokjax.atlas run slingshots
Cost:         32 runs of 8,000 updates, a minute of one core.
"""

import pandas as pd

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.analysis.spikes import spikes
from grokjax.atlas import NOT_DECIDED, Claim, Decision, all_of, judge, resampled, told

experiment = Experiment(
    task=ModularArithmetic("add", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.0, b2=0.98),
    train_fraction=0.8,
    steps=8000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(eps=[1e-8, 1e-4], learning_rate=[1e-2, 3e-2], seed=range(8)),
)


def measured(name, results):
    """How many spikes of the training loss a run has after its first tenth."""
    rows = []
    for run_id, curve in results.curves.groupby("run_id"):
        found = spikes(curve.sort_values("step"))
        rows.append({"run_id": run_id, "spikes": int((found["step"] > 800).sum())})
    return pd.DataFrame(rows)


def decide(table):
    def change(column):
        return lambda runs: float(
            runs[runs["eps"] == 1e-8][column].mean() - runs[runs["eps"] == 1e-4][column].mean()
        )

    more, gain = resampled(table, change("spikes")), resampled(table, change("final_test_accuracy"))
    means = table.groupby("eps")[["spikes", "final_test_accuracy"]].mean()
    verdict = all_of(judge(more, low=0.0), judge(gain, low=0.0))
    return Decision(
        verdict=verdict if means["spikes"].max() >= 1 else NOT_DECIDED,
        effect=gain,
        because=f"With ε = 10⁻⁸ runs have {means.loc[1e-8, 'spikes']:.1f} spikes on average, "
        f"with 10⁻⁴ "
        f"{means.loc[1e-4, 'spikes']:.1f}; test accuracy at the end is {told(gain)} higher with "
        f"them.",
    )


claim = Claim(
    topic="precision",
    sentence="Without weight decay Adam's slingshots carry networks to generalisation: with a "
    "large ε there are fewer spikes and a lower test accuracy.",
    source="Thilak et al. 2022 (arXiv 2206.04817): slingshots and grokking come together, and a "
    "larger ε removes both.",
    setting="Addition mod 23 from 80 % of the table, an MLP (32, 64), Adam without decay at 0.01 "
    "and 0.03, ε 10⁻⁸ and 10⁻⁴, 8 seeds, 8,000 updates. A spike is `analysis.spikes`' of the "
    "training loss, after update 800; with the loss in float64 there was none (seeds 900 and "
    "901). Theirs are transformers on modular division at 0.001.",
    confirms="both the number of spikes and the final test accuracy are larger with the small ε "
    "(intervals above 0).",
    refutes="either is not (interval at or below 0). Where runs have less than one spike on "
    "average, whatever ε is, there is nothing to be decided.",
    unit="final test accuracy, ε = 10⁻⁸ minus ε = 10⁻⁴",
    experiments={"eps": experiment},
    cells=("eps", "learning_rate"),
    measured=measured,
    shown="final_test_accuracy",
    decide=decide,
)
