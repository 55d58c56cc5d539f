"""Is grokking permanent?

Command:      python -m grokjax.atlas run collapse_after_grokking
Cost:         48 runs of 8,000 updates, two minutes of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, share, told

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(weight_decay=1.0, b2=0.98),
    train_fraction=0.75,
    steps=8000,
    settle_steps=None,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(learning_rate=[5e-3, 1e-2, 2e-2], weight_decay=[1.0, 2.0], seed=range(8)),
)


def decide(table):
    grokked = table[table["t_grok"].notna()]
    effect = share(grokked["n_collapses"] > 0)
    by = (
        (grokked["n_collapses"] > 0)
        .groupby([grokked["learning_rate"], grokked["weight_decay"]])
        .mean()
    )
    lost = share(grokked["final_test_accuracy"] < 0.7)
    return Decision(
        verdict=judge(effect, high=0.1),
        effect=effect,
        because=f"{told(effect)} of {len(grokked)} grokked runs fell below 70 % later, "
        f"{told(lost)} are there at the end; by learning "
        "rate and decay: "
        + ", ".join(f"{v:.0%} at ({a:g}, {b:g})" for (a, b), v in by.items())
        + ".",
    )


claim = Claim(
    topic="stability",
    sentence="Grokking is permanent: once test accuracy is high it stays high while training "
    "goes on.",
    source="A popular account; against it Nanda et al.'s published curves and Notsawo et al. 2023 "
    "(arXiv 2306.13253) with spikes, and collapses at high learning rate × decay "
    "(results/README.md, wd_vs_frac: 66 of 175).",
    setting="Subtraction mod 23 from 75 % of the table, an MLP (32, 64), AdamW at 0.005, 0.01 and "
    "0.02 with decays 1 and 2, 8 seeds, 8,000 updates without early stopping. A collapse is a "
    "fall of test accuracy below 70 % after t_grok.",
    confirms="fewer than a tenth of the runs that grok collapse (Wilson's upper limit).",
    refutes="more than a tenth do (lower limit).",
    unit="share of grokked runs that collapse",
    experiments={"long": experiment},
    cells=("learning_rate", "weight_decay"),
    columns=("n_collapses", "t_collapse"),
    shown="final_test_accuracy",
    decide=decide,
)
