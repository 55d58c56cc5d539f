"""Is there one norm at which networks grok?

Command:      python -m grokjax.atlas run norm_at_grok
Cost:         72 runs of at most 6,000 updates, half a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, all_of, judge, resampled, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(b2=0.98),
    train_fraction=0.7,
    steps=6000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(learning_rate=[5e-3, 1e-2, 2e-2], weight_decay=[0.5, 1.0, 2.0], seed=range(8)),
)


def spread(runs):
    """Standard deviation over mean of the norm at t_grok, over all runs that grokked."""
    norms = runs["weight_norm_at_t_grok"].dropna()
    return float(norms.std() / norms.mean())


def within(runs):
    """The same inside of cells, the root mean square over cells."""
    norms = runs.dropna(subset=["weight_norm_at_t_grok"])
    by = norms.groupby(["learning_rate", "weight_decay"])["weight_norm_at_t_grok"]
    return float(((by.std() / by.mean()) ** 2).mean() ** 0.5)


def decide(table):
    overall, inside = resampled(table, spread), resampled(table, within)
    medians = table.groupby("weight_decay")["weight_norm_at_t_grok"].median()
    return Decision(
        verdict=all_of(judge(overall, high=0.05), judge(inside, high=0.05)),
        effect=overall,
        because=f"The norm at t_grok varies by {told(overall)} of its mean over rates and decays "
        f"and by {told(inside)} "
        f"between seeds of one cell; its medians are "
        f"{', '.join(f'{v:.3g} at decay {k:g}' for k, v in medians.items())}.",
    )


claim = Claim(
    topic="norm",
    sentence="Networks grok when the weight norm reaches a value that hardly varies over seeds "
    "and learning rates.",
    source="Truong 2026 (arXiv 2606.13753): W_c with a coefficient of variation of 1 to 2 %; "
    "Omnigrok's shell (arXiv 2210.01117) is of the same kind.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64) without norms, AdamW, "
    "learning rates 0.005 to 0.02 and decays 0.5 to 2, 8 seeds; theirs are transformers over four "
    "moduli at one decay.",
    confirms="the coefficient of variation of the norm at t_grok is below 5 % over all runs and "
    "inside of cells (upper limits of both intervals).",
    refutes="either has an interval above 5 %.",
    unit="standard deviation over mean of the norm at t_grok",
    experiments={"grid": experiment},
    cells=("weight_decay", "learning_rate"),
    columns=("weight_norm_at_t_grok",),
    shown="weight_norm_at_t_grok",
    decide=decide,
)
