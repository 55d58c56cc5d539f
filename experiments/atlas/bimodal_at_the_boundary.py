"""Are outcomes at the boundary all or nothing?

Command:      python -m grokjax.atlas run bimodal_at_the_boundary
Cost:         128 runs of 3,000 updates, two minutes of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, share, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    steps=3000,
    settle_steps=None,
    log_every=50,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(train_fraction=[0.46, 0.5, 0.54, 0.58], seed=range(32)),
)


def measured(name, results):
    """Mean test accuracy over the last 500 updates, which spikes move less than its last value."""
    late = results.curves[results.curves["step"] > 2500]
    return late.groupby("run_id")["test_accuracy"].mean().rename("late_accuracy").reset_index()


def decide(table):
    means = table.groupby("train_fraction")["late_accuracy"].mean()
    at = float((means - 0.5).abs().idxmin())
    runs = table.loc[table["train_fraction"] == at, "late_accuracy"]
    effect = share((runs > 0.2) & (runs < 0.8))
    quantiles = runs.quantile([0.1, 0.25, 0.5, 0.75, 0.9])
    return Decision(
        verdict=judge(effect, high=1 / 3),
        effect=effect,
        because=f"At {at:.0%} of the table, where the mean is nearest to one half "
        f"({means[at]:.2f}), {told(effect)} of 32 runs lie between "
        f"20 and 80 %; deciles and quartiles are {', '.join(f'{q:.2f}' for q in quantiles)}.",
    )


claim = Claim(
    topic="transition",
    sentence="At the boundary in the share of the table outcomes are bimodal: a network has "
    "grokked or is near chance, and few are between.",
    source="Told by all who call grokking a first-order transition, e.g. Rubin et al. 2024 (arXiv "
    "2310.03789), a mixed phase in two-layer networks.",
    setting="Subtraction mod 23, an MLP (32, 64), AdamW at 0.01 with decay 1, four shares around "
    "the boundary, 32 seeds, 3,000 updates; the outcome is the mean test accuracy over the last "
    "500. Tried before: 0.42 to 0.95 at 55 % and 0.1 at 45 % (seeds 900 to 902).",
    confirms="at the share where mean accuracy is nearest to one half, fewer than a third of the "
    "runs lie between 20 and 80 % (Wilson's upper limit); uniform outcomes would have 60 %.",
    refutes="more than a third do (lower limit).",
    unit="share of outcomes between 20 and 80 % at the boundary",
    experiments={"boundary": experiment},
    cells=("train_fraction",),
    measured=measured,
    shown="late_accuracy",
    decide=decide,
)
