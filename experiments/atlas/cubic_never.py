"""Is x³ + xy² + y never grokked?

Command:      python -m grokjax.atlas run cubic_never
Cost:         32 runs of at most 6,000 updates, a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, Transformer, grid
from grokjax.atlas import Claim, Decision, judge, share, told


def trained(model, fmt, steps):
    return Experiment(
        task=ModularArithmetic("x3+xy2+y", p=23, format=fmt),
        model=model,
        optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
        train_fraction=0.95,
        steps=steps,
        settle_steps=200,
        log_every=40,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(weight_decay=[0.3, 1.0], seed=range(8)),
    )


def decide(table):
    effect = share(table["t_grok"].notna())
    best = table.groupby("experiment")["max_test_accuracy"].max()
    return Decision(
        verdict=judge(effect, high=0.2),
        effect=effect,
        because=f"{told(effect)} of the runs reach 90 % of the 26 test rows; the highest test "
        f"accuracy of any run is "
        + ", ".join(f"{value:.0%} with the {name}" for name, value in best.items())
        + " (chance is 4 %).",
    )


claim = Claim(
    topic="data",
    sentence="x³ + xy² + y is not grokked even from 95 % of its table.",
    source="Power et al. 2022 (arXiv 2201.02177), figure 2 centre: no generalisation up to 95 % "
    "at p = 97.",
    setting="p = 23, where 26 rows are left for the test, an MLP (32, 64) and a one-layer "
    "transformer of width 32, AdamW at 0.01 with decays 0.3 and 1, 8 seeds, 6,000 and 3,000 "
    "updates.",
    confirms="fewer than a fifth of the runs reach 90 % test accuracy (Wilson's upper limit).",
    refutes="more than a fifth do (lower limit).",
    unit="share of runs that grok",
    experiments={
        "mlp": trained(MLP(width=32, mlp_width=64), "a b", 6000),
        "transformer": trained(
            Transformer(layers=1, width=32, heads=4, mlp_width=128), "a b =", 3000
        ),
    },
    cells=("weight_decay",),
    columns=("max_test_accuracy",),
    shown="max_test_accuracy",
    decide=decide,
)
