"""Do small batches make networks grok sooner?

Command:      python -m grokjax.atlas run batch_size
Cost:         48 runs of at most 4,000 updates, a minute and a half of one core.
"""

from grokjax import MLP, AdamW, Experiment, ModularArithmetic, Thresholds, grid
from grokjax.atlas import Claim, Decision, judge, ratio, told


def trained(rows):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format="a b"),
        model=MLP(width=32, mlp_width=64),
        optimizer=AdamW(weight_decay=1.0, b2=0.98),
        train_fraction=0.7,
        batch_size=rows,
        steps=4000,
        settle_steps=200,
        log_every=20,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        sweep=grid(learning_rate=[3e-3, 1e-2], seed=range(8)),
    )


def decide(table):
    def of(name, rate):
        return table[(table["experiment"] == name) & (table["learning_rate"] == rate)]

    effects = {
        (name, rate): ratio(of(name, rate), of("full", rate))
        for name in ("rows_64", "rows_16")
        for rate in (3e-3, 1e-2)
    }
    effect = effects["rows_64", 1e-2]
    return Decision(
        verdict=judge(effect, high=1.0),
        effect=effect,
        because="Beside full batches of 370 rows t_grok in updates is "
        + ", ".join(
            f"{told(e)} times as large with {name} at {rate:g}"
            for (name, rate), e in effects.items()
        )
        + ".",
    )


claim = Claim(
    topic="seeds",
    sentence="The noise of small batches makes a network grok in fewer updates than full batches "
    "do.",
    source="Power et al. 2022 (arXiv 2201.02177), figure 2 left: minibatches and noise beside "
    "full batches, on S5, by the share of the table that is needed.",
    setting="Subtraction mod 23 from 70 % of the table, an MLP (32, 64), AdamW with decay 1 at "
    "0.003 and 0.01, batches of 370 (full), 64 and 16 rows, 8 seeds, at most 4,000 updates. Tried "
    "before at 0.01: batches of 128 at 620 to 1,660, of 32 at 840 to 1,960.",
    confirms="at 0.01 the median t_grok with batches of 64 is smaller than with full ones (upper "
    "limit of the ratio below 1).",
    refutes="it is larger (lower limit above 1).",
    unit="t_grok with batches of 64 over t_grok with full batches",
    experiments={"full": trained(None), "rows_64": trained(64), "rows_16": trained(16)},
    cells=("learning_rate",),
    decide=decide,
)
