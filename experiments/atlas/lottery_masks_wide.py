"""Does a grokked network's mask shorten the delay of a wide one, by the shares of its source?

Command:      python -m grokjax.atlas run lottery_masks_wide
Cost:         32 runs of at most 3,000 updates, three minutes of one core.

`lottery_masks` took the share that Minegishi et al. prune for the one that they keep, and a network
with few units to spare. Here are both of their shares in a network eight times as wide.
"""

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    Mask,
    ModularArithmetic,
    SnapshotSchedule,
    Thresholds,
    grid,
)
from grokjax.atlas import Claim, Decision, all_of, judge, ratio, told

DONOR = "results/atlas/lottery_masks_wide/sweeps/dense"

dense = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=64, mlp_width=512),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.75,
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    snapshots=SnapshotSchedule(moments=("t_mem", "t_grok", "end")),
    sweep=grid(seed=range(8)),
)


def masked(keep, rule="magnitude"):
    return dense.replaced(snapshots=None, mask=Mask(DONOR, step="end", keep=keep, rule=rule))


def decide(table):
    of = dict(iter(table.groupby("experiment")))
    against_dense, fewer = (ratio(of["dense"], of[name]) for name in ("kept_40", "kept_30"))
    against_random = ratio(of["random_40"], of["kept_40"])
    return Decision(
        verdict=all_of(judge(against_dense, low=1.25), judge(against_random, low=1.25)),
        effect=against_dense,
        because=f"The whole network takes {told(against_dense)} times as long as with the mask "
        f"that keeps 40 %, and {told(fewer)} times as long as with that of 30 %; a random mask of "
        f"40 % by layer takes {told(against_random)} times as long as the grokked one's.",
    )


claim = Claim(
    topic="structure",
    sentence="The magnitude mask of a grokked network, put on its initial weights, shortens the "
    "delay; random masks do not.",
    source="Minegishi et al. 2023 (arXiv 2310.19470): an MLP and a transformer mod 67; 60 % of the "
    "weights are pruned, and 70 % is best.",
    setting="Subtraction mod 23 from 75 % of the table, an MLP (64, 512), AdamW at 0.01 with decay "
    "1, masks from the donor's end that keep 40 and 30 % and a random one with as many weights in "
    "each array, each on fresh weights of the donor's seed, 8 seeds.",
    confirms="the whole network's median t_grok is more than 1.25 times that with the mask of "
    "40 %, and so is a random mask's (lower limits).",
    refutes="either interval lies below 1.25.",
    unit="t_grok of the whole network over that with the mask",
    experiments={
        "dense": dense,
        "kept_40": masked(0.4),
        "kept_30": masked(0.3),
        "random_40": masked(0.4, "random_by_layer"),
    },
    decide=decide,
)
