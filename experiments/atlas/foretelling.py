"""Can grokking be foretold, among runs of equal settings?

Command:      python -m grokjax.atlas run foretelling
Cost:         96 runs of at most 4,000 updates with instruments, three minutes of one core.
"""

import pandas as pd

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    Fourier,
    ModularArithmetic,
    Norms,
    Thresholds,
    grid,
)
from grokjax.analysis.landmark import at
from grokjax.analysis.ranks import Units, cells_of, concordance
from grokjax.analysis.survival import censored_times
from grokjax.atlas import Claim, Decision, Effect, judge, told

STEP = 200
FEATURES = ("train_loss", "weight_norm", "test_loss", "fourier.circulant", "fourier.embedding.gini")

experiment = Experiment(
    task=ModularArithmetic("sub", p=23, format="a b"),
    model=MLP(width=32, mlp_width=64),
    optimizer=AdamW(learning_rate=1e-2, b2=0.98),
    steps=3000,
    settle_steps=200,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    instruments=(Fourier(), Norms()),
    sweep=grid(train_fraction=[0.65, 0.75], weight_decay=[0.7, 1.0, 1.4], seed=range(16)),
)


def measured(name, results):
    """What is known of each run at the step."""
    features = results.curves.merge(results.measures_wide(), on=["run_id", "step"], how="outer")
    known = at(features, results.runs, STEP)
    kept = ["run_id", *(feature for feature in FEATURES if feature in known)]
    return known[kept].rename(
        columns={name: f"at_200_{name.replace('.', '_')}" for name in FEATURES}
    )


def decide(table):
    risk = table[~(table["t_grok"].astype(float) <= STEP)].set_index("run_id", drop=False)
    times, seen = censored_times(risk, "t_grok")
    cell, units = cells_of(risk, ("train_fraction", "weight_decay")), Units.of(risk)
    found = {}
    for feature in FEATURES:
        values = pd.to_numeric(risk[f"at_200_{feature.replace('.', '_')}"]).to_numpy(float)
        for scope, codes in (("within", cell), ("over all", cell * 0)):
            row = concordance(values, times, seen, codes, units).columns("c")
            found[feature, scope] = Effect(row["c"], row["c_low"], row["c_high"])
    effect = found["weight_norm", "within"]
    structure = found["fourier.circulant", "within"]
    return Decision(
        verdict=judge(effect, high=0.4),
        effect=effect,
        because=f"At update {STEP} the concordance within cells (and over all) is "
        + ", ".join(
            f"{told(found[name, 'within'])} ({found[name, 'over all'].value:.2f}) for {name}"
            for name in FEATURES
        )
        + f"; below a half means that smaller comes sooner. Structure has {told(structure)}.",
    )


claim = Claim(
    topic="measures",
    sentence="The weight norm early in training foretells which of several networks of equal "
    "settings will grok sooner: the smaller the norm, the sooner.",
    source="Told of Omnigrok (arXiv 2210.01117) and of norm-based delay laws (arXiv 2603.13331, a "
    "predictor at memorisation time); results/README.md, measures_map, has 0.27 [0.10, 0.44] in a "
    "transformer.",
    setting="Subtraction mod 23, 65 and 75 % of the table, decays 0.7, 1 and 1.4, an MLP (32, "
    "64), AdamW at 0.01, 16 seeds; at update 200, three times t_mem. Concordance of pairs of runs "
    "in one cell, intervals over seeds (`analysis.forecast`).",
    confirms="the concordance of the norm with grokking sooner is below 0.4 within cells (upper "
    "limit).",
    refutes="it is above 0.4 (lower limit).",
    unit="concordance of the weight norm at update 200 within cells",
    experiments={"map": experiment},
    cells=("train_fraction", "weight_decay"),
    columns=("split_seed",),
    measured=measured,
    decide=decide,
)
