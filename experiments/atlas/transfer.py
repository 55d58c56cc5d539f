"""Does a network that has grokked one operation grok another sooner?

Command:      python -m grokjax.atlas run transfer
Cost:         40 runs of at most 3,000 updates, a minute and a half of one core.
"""

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    ModularArithmetic,
    SnapshotSchedule,
    StartFrom,
    Thresholds,
    grid,
)
from grokjax.atlas import CONFIRMED, HERE_ONLY, Claim, Decision, judge, ratio, told

FOLDER = "results/atlas/transfer/sweeps/"

scratch = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.75,
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(seed=range(8)),
)


def donor(op):
    return scratch.replaced(
        snapshots=SnapshotSchedule(moments=("end",)),
        task=ModularArithmetic(op, p=23, format="a b"),
        steps=2000,
        settle_steps=200,
    )


def started(name):
    return scratch.replaced(start=StartFrom(FOLDER + name, step="end", match=("seed",)))


def decide(table):
    of = dict(iter(table.groupby("experiment")))
    related = ratio(of["scratch"], of["from_sums"])
    others = {name: ratio(of["scratch"], of[name]) for name in ("from_products", "from_noise")}
    verdict = judge(related, low=2.0)
    helps = [name for name, effect in others.items() if judge(effect, low=1.0) == CONFIRMED]
    return Decision(
        verdict=HERE_ONLY if verdict == CONFIRMED and not helps else verdict,
        under="from an operation on the same group, sums"
        if verdict == CONFIRMED and not helps
        else "",
        effect=related,
        because=f"Fresh weights take {told(related)} times as long as those that have grokked "
        f"sums, {told(others['from_products'])} times "
        f"as long as those of products and {told(others['from_noise'])} as long as those of a "
        f"random table.",
    )


claim = Claim(
    topic="structure",
    sentence="A network that starts from the weights of one that has grokked another operation "
    "groks much sooner.",
    source="Furuta et al. 2024 (arXiv 2402.16726), on pre-grokked models, and the repository "
    "hbin0701/Grok-Grok; Xu et al. 2025 (GrokTransfer, arXiv 2504.13292) for embeddings of a "
    "weaker model.",
    setting="Subtraction mod 23 from 75 % of the table, an MLP (32, 64), AdamW at 0.01 with decay "
    "1, from fresh weights or all the weights of a network trained on sums, on products, or on a "
    "random table, which has nothing to grok; 8 seeds. Embeddings alone are the question of "
    "`embeddings_given`.",
    confirms="fresh weights take more than twice as long as those from sums, and longer than "
    "those from another donor too; if from no other donor, it is confirmed only for operations on "
    "the same group.",
    refutes="fresh weights take less than twice as long as those from sums (upper limit).",
    unit="t_grok from fresh weights over that from a network that grokked sums",
    experiments={
        "sums": donor("add"),
        "products": donor("mul"),
        "noise": donor("random"),
        "scratch": scratch,
        "from_sums": started("sums"),
        "from_products": started("products"),
        "from_noise": started("noise"),
    },
    without=("sums", "products", "noise"),
    decide=decide,
)
