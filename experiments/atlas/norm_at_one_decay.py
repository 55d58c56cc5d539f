"""Is there one norm at which networks of one weight decay grok?

Command:      python -m grokjax.atlas run norm_at_one_decay
Cost:         48 runs of at most 6,000 updates, a minute and a half of one core.

`norm_at_grok` pools decays, which asks for more than its source says. Here are one decay, learning
rates and seeds, two moduli apart, and a network of the source's kind.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, resampled, told


def trained(p):
    return Experiment(
        task=ModularArithmetic("sub", p=p, format="a b"),
        model=MLP(width=64, mlp_width=128),
        optimizer=AdamW(b2=0.98, weight_decay=1.0),
        train_fraction=0.7,
        steps=6000,
        settle_steps=100,
        log_every=10,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(learning_rate=[5e-3, 1e-2, 2e-2], seed=range(100, 108)),
    )


def spread(runs):
    """Standard deviation over mean of the norm at t_grok inside of moduli, root mean square."""
    norms = runs.dropna(subset=["weight_norm_at_t_grok"])
    by = norms.groupby("experiment")["weight_norm_at_t_grok"]
    return float(((by.std() / by.mean()) ** 2).mean() ** 0.5)


def decide(table):
    overall = resampled(table, spread)
    medians = table.groupby(["experiment", "learning_rate"])["weight_norm_at_t_grok"].median()
    return Decision(
        verdict=judge(overall, high=0.03),
        effect=overall,
        because=f"The norm at t_grok varies by {told(overall)} of its mean over rates and seeds of "
        f"a modulus at decay 1; its medians are "
        f"{', '.join(f'{v:.3g} ({p} at {rate:g})' for (p, rate), v in medians.items())}.",
    )


claim = Claim(
    topic="norm",
    sentence="At one weight decay networks grok when the weight norm reaches a value that hardly "
    "varies over seeds and learning rates.",
    source="Truong et al. 2026 (arXiv 2606.13753): W_c of a two-layer MLP with a coefficient of "
    "variation of 1 to 2 % at one decay; it moves with decay.",
    setting="Subtraction mod 23 and mod 29 from 70 % of the table, an MLP (64, 128) without norms, "
    "AdamW at decay 1, learning rates 0.005 to 0.02, 8 seeds that `norm_at_grok` has not.",
    confirms="the coefficient of variation of the norm at t_grok inside of a modulus is below 3 % "
    "(upper limit), which is the source's with room for a table of a twentieth of its size.",
    refutes="its lower limit is above 3 %.",
    unit="standard deviation over mean of the norm at t_grok",
    experiments={f"p{p}": trained(p) for p in (23, 29)},
    cells=("learning_rate",),
    columns=("weight_norm_at_t_grok",),
    shown="weight_norm_at_t_grok",
    decide=decide,
)
