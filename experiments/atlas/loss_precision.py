"""Is it the precision of the softmax that stops networks without decay?

Command:      python -m grokjax.atlas run loss_precision
Cost:         24 runs of 8,000 updates, a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, resampled

experiment = Experiment(
    task=ModularArithmetic("add", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=0.0, b2=0.98),
    train_fraction=0.8,
    steps=8000,
    settle_steps=200,
    log_every=40,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(loss_dtype=["float16", "float32", "float64"], seed=range(8)),
)


def decide(table):
    def gain(runs):
        of = runs.groupby("loss_dtype")["final_test_accuracy"].mean()
        return float(of["float64"] - of["float16"])

    effect = resampled(table, gain)
    means = table.groupby("loss_dtype")["final_test_accuracy"].mean()
    grokked = table["t_grok"].notna().groupby(table["loss_dtype"]).sum()
    numbers = ", ".join(f"{means[k]:.0%} in {k} ({grokked[k]} of 8 grok)" for k in means.index)
    return Decision(
        verdict=judge(effect, low=0.1),
        effect=effect,
        because=f"Mean test accuracy at the end is {numbers}.",
    )


claim = Claim(
    topic="precision",
    sentence="Without weight decay it is the rounding of the softmax that keeps a network from "
    "generalising: the more precise the loss, the higher the test accuracy that it comes to.",
    source="Prieto et al. 2025 (arXiv 2501.04697), figure 2: softmax collapse in float16, "
    "float32 and float64.",
    setting="Addition mod 23 from 80 % of the table (addition gives some test accuracy away, "
    "which leaves room above and below), an MLP (32, 64), Adam at 0.01 without decay, 8 seeds, "
    "8,000 updates; the weights are float32 throughout.",
    confirms="mean final test accuracy in float64 is more than 0.1 above that in float16 (lower "
    "limit).",
    refutes="it is less than 0.1 above it (upper limit).",
    unit="final test accuracy, float64 minus float16",
    experiments={"types": experiment},
    cells=("loss_dtype",),
    shown="final_test_accuracy",
    decide=decide,
)
