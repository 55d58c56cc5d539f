"""Where is the gap largest?

Command:      python -m grokjax.atlas run largest_gap
Cost:         42 runs of at most 3,000 updates, two minutes of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.analysis.survival import censored_times, kaplan_meier_median
from grokjax.atlas import Claim, Decision, Effect, judge, ratio, resampled, told

SHARES = (0.26, 0.3, 0.34, 0.38, 0.44, 0.5, 0.6)

experiment = Experiment(
    task=ModularArithmetic("add", p=47, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(train_fraction=SHARES, seed=range(6)),
)


def median(runs):
    """Kaplan–Meier median of the gap; where it is not reached, the longest that was followed."""
    times, seen = censored_times(runs, "grok_gap")
    found = kaplan_meier_median(times, seen)
    return float(times.max()) if found is None else found


def widest(runs):
    """The share with the largest median gap among those at which at least half grok."""
    some = runs["t_grok"].notna().groupby(runs["train_fraction"]).mean()
    gaps = {share: median(of) for share, of in runs.groupby("train_fraction") if some[share] >= 0.5}
    return float(max(gaps, key=gaps.get)) if gaps else float("nan")


def decide(table):
    where = resampled(table, widest)
    grok = table["t_grok"].notna().groupby(table["train_fraction"]).mean()
    least = float(grok.index[grok >= 0.5].min())
    middle = table[table["train_fraction"] == 0.5]
    against = ratio(table[table["train_fraction"] == least], middle, "grok_gap")
    if least >= 0.46:  # nothing below the middle groks, so that the two accounts say the same
        where = Effect(where.value, float("-inf"), float("inf"))
    return Decision(
        verdict=judge(where, 0.4, 0.6),
        effect=where,
        because=f"The smallest share at which half of the runs grok is {least:.0%}, and the "
        f"largest gap is at "
        f"{told(where)}; there it is {told(against)} times the gap at 50 %.",
    )


claim = Claim(
    topic="data",
    sentence="The gap between memorising and grokking is largest at 40 to 60 % of the table.",
    source="A popular account of the Goldilocks zone; in published sweeps (Power et al. 2022, "
    "arXiv 2201.02177, figure 1; Liu et al. 2022) the gap grows as the share falls, down to where "
    "nothing groks in the budget.",
    setting="Addition mod 47, an MLP (32, 64), AdamW at 0.01 with decay 1, seven shares from 26 "
    "to 60 %, 6 seeds, at most 3,000 updates. Tried before: mod 31 nothing groks at 34 and 42 % "
    "and all at 50 % (seeds 900 to 902), so that a larger table is needed to see below 40 %.",
    confirms="among the shares at which at least half of the runs grok, the one with the largest "
    "median gap lies within (40, 60) % with its whole bootstrap interval. If none below 46 % "
    "groks, nothing is decided.",
    refutes="the interval lies outside of it.",
    unit="share of the table with the largest gap",
    experiments={"shares": experiment},
    cells=("train_fraction",),
    shown="grok_gap",
    decide=decide,
)
