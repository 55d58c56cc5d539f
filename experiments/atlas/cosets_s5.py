"""Do networks compute S5 with cosets, and which?

Command:      python -m grokjax.atlas run cosets_s5
Cost:         5 runs of 1,500 updates, three to five minutes of one core.
"""

import pandas as pd

from grokjax import (
    MLP,
    AdamW,
    Cosets,
    Experiment,
    FiniteGroup,
    SnapshotSchedule,
    Thresholds,
    grid,
)
from grokjax.atlas import Claim, Decision, judge, share, told


def trained(group):
    return Experiment(
        task=FiniteGroup(group, format="a b"),
        model=MLP(width=48, mlp_width=96),
        optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
        train_fraction=0.5,
        steps=1500,
        settle_steps=None,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        snapshots=SnapshotSchedule(moments=("t_mem", "end")),
        instruments=(Cosets(),),
        sweep=grid(seed=range(5)),
    )


def measured(name, results):
    """Shares of live hidden units that are constant on cosets, at t_mem and at the end."""
    wide = results.measures_wide().sort_values("step")
    wide = wide[wide["step"] > 0]
    first, last = (getattr(wide.groupby("run_id"), which)() for which in ("first", "last"))
    of = {"constant_at_t_mem": first["cosets.constant"], "constant": last["cosets.constant"]}
    by = {c: last[c] for c in last if c.startswith("cosets.by_subgroup.")}
    of["best_subgroup"] = pd.DataFrame(by).idxmax(axis=1).str.removeprefix("cosets.by_subgroup.")
    return pd.DataFrame(of).reset_index()


def decide(table):
    grokked = table[table["t_grok"].notna()]
    effect = share(grokked["constant"] > 0.5)
    medians = grokked.groupby("experiment")[["constant_at_t_mem", "constant"]].median()
    which = grokked.groupby("experiment")["best_subgroup"].agg(lambda names: names.mode().iloc[0])
    return Decision(
        verdict=judge(effect, low=0.5),
        effect=effect,
        because=f"In {told(effect)} of {len(grokked)} grokked runs most hidden units are "
        f"constant on cosets; the median share of units "
        "from t_mem to the end is "
        + ", ".join(
            f"{row['constant_at_t_mem']:.2f} to {row['constant']:.2f} for {group} (most often of "
            f"{which[group]})"
            for group, row in medians.iterrows()
        )
        + ".",
    )


claim = Claim(
    topic="structure",
    sentence="Networks that have grokked S5 compute with cosets: most hidden units are constant "
    "on the cosets of some subgroup.",
    source="Stander et al. 2023 (arXiv 2312.06581), for S5 and S6, one network looked at "
    "closely; Chughtai et al. 2023 (arXiv 2302.03025) find irreps.",
    setting="S5 from half of the table, an MLP (48, 96), AdamW at 0.01 with decay 1, 5 seeds, "
    "1,500 updates. A unit is constant if the variance inside of cosets is below a tenth of its "
    "own (`Cosets`), for a subgroup or one of its conjugates. A wider network of "
    "experiments/s5.py had .92 to 1.00.",
    confirms="in more than half of the runs that grok, more than half of the live hidden units "
    "are (Wilson's lower limit).",
    refutes="in fewer than half (upper limit).",
    unit="share of grokked runs in which most units are constant on cosets",
    experiments={group: trained(group) for group in ("S5",)},
    measured=measured,
    shown="constant",
    decide=decide,
)
