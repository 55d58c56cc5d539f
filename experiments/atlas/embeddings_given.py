"""Is the delay the search for embeddings?

Command:      python -m grokjax.atlas run embeddings_given
Cost:         36 runs of at most 3,000 updates, a minute of one core.
"""

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    ModularArithmetic,
    ParameterGroups,
    Thresholds,
    grid,
)
from grokjax.atlas import Claim, Decision, judge, resampled, told


def trained(groups=None, **embeddings):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64, **embeddings),
        optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
        groups=groups,
        train_fraction=0.7,
        steps=3000,
        settle_steps=200,
        log_every=10,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(seed=range(12)),
    )


WAVES = {"embed_init": "frequencies", "frequencies": (1, 3, 5, 7, 9)}


def delay(name):
    def of(runs):
        mine = runs[runs["experiment"] == name]
        late = mine["t_grok"].astype(float).fillna(mine["last_step"].astype(float))
        return float((late / mine["t_mem"].astype(float)).median())

    return of


def decide(table):
    given, drawn, frozen = (resampled(table, delay(name)) for name in ("waves", "drawn", "frozen"))
    return Decision(
        verdict=judge(given, high=2.0),
        effect=given,
        because=f"t_grok / t_mem is {told(given)} from waves, {told(drawn)} from drawn "
        f"embeddings and {told(frozen)} from waves that are "
        "not trained.",
    )


claim = Claim(
    topic="structure",
    sentence="The delay is the search for embeddings: a network that starts with structured ones "
    "generalises as it memorises.",
    source="Liu et al. 2022 (arXiv 2205.10343), representation learning as the bottleneck; Xu et "
    "al. 2025 (arXiv 2504.13292), who give the embeddings of a weaker model and see no delay.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW at 0.01 with decay "
    "1, embeddings that are drawn, or are cosines and sines of five frequencies, trained or not, "
    "12 seeds. The source takes embeddings that were learned.",
    confirms="from structured embeddings the median of t_grok / t_mem is below 2 (upper limit).",
    refutes="it is above 2 (lower limit).",
    unit="t_grok / t_mem from embeddings of five frequencies",
    experiments={
        "drawn": trained(),
        "waves": trained(**WAVES),
        "frozen": trained(ParameterGroups(embed_learning_rate=0.0), **WAVES),
    },
    decide=decide,
)
