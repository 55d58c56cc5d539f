"""Is it the product of learning rate and decay that counts?

Command:      python -m grokjax.atlas run decay_times_rate
Cost:         72 runs of at most 6,000 updates, half a minute of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, exponent, judge, ratio, told

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


def decide(table):
    def cell(rate, decay):
        return table[(table["learning_rate"] == rate) & (table["weight_decay"] == decay)]

    effect = ratio(cell(5e-3, 2.0), cell(2e-2, 0.5))
    rate = exponent(table, "learning_rate", within=["weight_decay"])
    decay = exponent(table, "weight_decay", within=["learning_rate"])
    return Decision(
        verdict=judge(effect, 2 / 3, 3 / 2),
        effect=effect,
        because=f"At a product of 0.01 the slowest rate takes {told(effect)} times as long as "
        f"the fastest; over the "
        f"grid the exponents are {told(rate)} of the learning rate and {told(decay)} of decay.",
    )


claim = Claim(
    topic="weight decay",
    sentence="t_grok depends on learning rate and weight decay by their product alone.",
    source="Truong et al. 2026 (arXiv 2603.13331): delay ∝ log(norm ratio) / (ηλ), R² = 0.92 in "
    "the learning rate.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW, learning rates "
    "0.005 to 0.02 and decays 0.5 to 2, 8 seeds. Compared are the cells (0.005, 2) and (0.02, "
    "0.5) of equal product.",
    confirms="the ratio of their median t_grok lies within (2/3, 3/2) with its whole interval.",
    refutes="the interval lies outside of it.",
    unit="t_grok at (0.005, 2) over t_grok at (0.02, 0.5)",
    experiments={"grid": experiment},
    cells=("learning_rate", "weight_decay"),
    decide=decide,
)
