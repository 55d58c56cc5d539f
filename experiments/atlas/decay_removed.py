"""Does grokking stay when decay is removed?

Command:      python -m grokjax.atlas run decay_removed
Cost:         32 runs of 5,000 updates, a minute of one core.
"""

import pandas as pd

from grokjax import MLP, AdamW, Change, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, share, told


def trained(changes):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
        changes=changes,
        train_fraction=0.75,
        steps=5000,
        settle_steps=None,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(seed=range(16)),
    )


def measured(name, results):
    """The lowest test accuracy after 400 updates from t_grok, and its mean over the last 1,000."""
    runs = results.runs.set_index("run_id")
    rows = []
    for run_id, curve in results.curves.groupby("run_id"):
        grok = runs.at[run_id, "t_grok"]
        since = curve["step"] > (5000 if pd.isna(grok) else grok + 400)
        lowest = curve.loc[since, "test_accuracy"].min()
        last = curve.loc[curve["step"] > 4000, "test_accuracy"].mean()
        rows.append({"run_id": run_id, "lowest_after": lowest, "mean_at_the_end": last})
    return pd.DataFrame(rows)


def decide(table):
    grokked = table[table["t_grok"].notna()]
    of = dict(iter(grokked.groupby("experiment")))
    effect = share(of["removed"]["mean_at_the_end"] >= 0.85)
    kept = share(of["kept"]["mean_at_the_end"] >= 0.85)
    lowest = grokked.groupby("experiment")["lowest_after"].median()
    return Decision(
        verdict=judge(effect, low=0.8),
        effect=effect,
        because=f"{told(effect)} of {len(of['removed'])} runs stay above 85 % once decay is "
        f"gone, {told(kept)} of {len(of['kept'])} "
        f"where it stays; the median of their lowest test accuracy is {lowest['removed']:.0%} "
        f"and {lowest['kept']:.0%}.",
    )


claim = Claim(
    topic="stability",
    sentence="Once a network has grokked, weight decay is not needed any more: without it the "
    "test accuracy stays.",
    source="Varma et al. 2023 (arXiv 2309.02390): what generalises is the efficient circuit, and "
    "without decay nothing favours another; Lyu et al. 2023 (arXiv 2311.18817) let the late phase "
    "go to a minimum of the norm.",
    setting="Subtraction mod 23 from 75 % of the table, an MLP (32, 64), AdamW at 0.01 with decay "
    "1, kept or set to 0 200 updates after t_grok, 16 seeds, 5,000 updates without early "
    "stopping.",
    confirms="of the runs that grok, more than 80 % have a mean test accuracy of at least 85 % "
    "over the last 1,000 updates without decay (Wilson's lower limit).",
    refutes="fewer than 80 % do (upper limit).",
    unit="share of runs that stay grokked without decay",
    experiments={
        "kept": trained(()),
        "removed": trained((Change(at="t_grok", delay=200, weight_decay=0.0),)),
    },
    measured=measured,
    shown="mean_at_the_end",
    decide=decide,
)
