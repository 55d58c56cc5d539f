"""Does the mask of a grokked network remove the delay?

Command:      python -m grokjax.atlas run lottery_masks
Cost:         52 runs of at most 3,000 updates, a minute and a half of one core.
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

DONOR = "results/atlas/lottery_masks/sweeps/dense"

dense = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.75,
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    snapshots=SnapshotSchedule(moments=("t_mem", "t_grok", "end")),
    sweep=grid(seed=range(12)),
)


def masked(rule, step="end"):
    return dense.replaced(snapshots=None, mask=Mask(DONOR, step=step, keep=0.6, rule=rule))


def decide(table):
    of = dict(iter(table.groupby("experiment")))
    against_dense = ratio(of["dense"], of["grokked"])
    against_random = ratio(of["random"], of["grokked"])
    early = ratio(of["memorised"], of["grokked"])
    return Decision(
        verdict=all_of(judge(against_dense, low=2.0), judge(against_random, low=1.0)),
        effect=against_dense,
        because=f"The whole network takes {told(against_dense)} times as long as with the mask "
        f"of the grokked one, with a random mask "
        f"of the same sizes by layer {told(against_random)} times, with the mask from t_mem "
        f"{told(early)} times.",
    )


claim = Claim(
    topic="structure",
    sentence="The magnitude mask of a grokked network, put on its initial weights, removes the "
    "delay; random masks do not.",
    source="Minegishi et al. 2023 (arXiv 2310.19470): keep 0.6, MLP and transformer mod 67.",
    setting="Subtraction mod 23 from 75 % of the table, an MLP (32, 64), AdamW at 0.01 with decay "
    "1, keep 0.6, masks from the donor's end and from t_mem and a random one with as many weights "
    "in each array, each on fresh weights of the donor's seed, 12 seeds. A donor that has not "
    "grokked by 3,000 gives its last weights all the same.",
    confirms="the whole network's median t_grok is more than twice that with the mask, and a "
    "random mask's is larger than it (lower limits).",
    refutes="either interval lies on the other side.",
    unit="t_grok of the whole network over that with the mask",
    experiments={
        "dense": dense,
        "grokked": masked("magnitude"),
        "random": masked("random_by_layer"),
        "memorised": masked("magnitude", "t_mem"),
    },
    decide=decide,
)
