"""Do progress measures move before the test accuracy?

Command:      python -m grokjax.atlas run progress_leads
Cost:         12 runs of 2,000 updates with two instruments, two minutes of one core.
"""

import pandas as pd

from grokjax import (
    AdamW,
    Experiment,
    Fourier,
    ModularArithmetic,
    Norms,
    Spectra,
    Thresholds,
    Transformer,
    grid,
)
from grokjax.analysis import progress
from grokjax.atlas import Claim, Decision, judge, share, told

MEASURES = (
    "fourier.circulant",
    "fourier.neurons.share",
    "fourier.embedding.gini",
    "fourier.excluded",
    "spectra.readout.effective",
    "norms.all.norm",
)

experiment = Experiment(
    task=ModularArithmetic("sub", p=23),
    model=Transformer(layers=1, width=32, heads=4, mlp_width=128),
    optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
    train_fraction=0.8,
    steps=2000,
    settle_steps=None,
    log_every=20,
    table_points_per_decade=30,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    instruments=(Fourier(), Spectra(), Norms()),
    sweep=grid(seed=range(12)),
)


def measured(name, results):
    """The step at which the test accuracy, and each measure, is halfway from step 0 to the end."""
    curves = results.curves[["run_id", "step", "test_accuracy"]]
    found = progress.moved(curves, ["test_accuracy"])
    wide = results.measures_wide()
    found = pd.concat([found, progress.moved(wide, [m for m in MEASURES if m in wide])])
    steps = found.pivot(index="run_id", columns="measure", values="step").reset_index()
    return steps.rename(columns=lambda column: column.replace(".", "_"))


def decide(table):
    grokked = table[table["t_grok"].notna()]
    before = {
        name: share(grokked[name.replace(".", "_")] < grokked["test_accuracy"])
        for name in MEASURES
        if name.replace(".", "_") in grokked
    }
    effect = before["fourier.circulant"]
    ratio = (grokked["fourier_circulant"] / grokked["test_accuracy"]).median()
    return Decision(
        verdict=judge(effect, low=0.5),
        effect=effect,
        because=f"Of {len(grokked)} grokked runs these shares have a measure halfway before the "
        f"test accuracy: "
        + ", ".join(f"{told(effect)} {name}" for name, effect in before.items())
        + f"; the circulant share at {ratio:.2g} of its step (median).",
    )


claim = Claim(
    topic="measures",
    sentence="Fourier progress measures move before the test accuracy does.",
    source="Nanda et al. 2023 (arXiv 2301.05217), figure 7: restricted and excluded loss during "
    "circuit formation.",
    setting="Subtraction mod 23 from 80 % of the table, a transformer of width 32, AdamW at 0.01 "
    "with decay 1, 12 seeds, 2,000 updates, measured 30 times in a factor of ten. Halfway is "
    "from step 0 to the end of the run. The measure that decides is the circulant share of the "
    "logits; the others are told.",
    confirms="in more than half of the runs that grok it is halfway before the test accuracy is "
    "(Wilson's lower limit).",
    refutes="in fewer than half (upper limit).",
    unit="share of grokked runs in which the circulant share leads",
    experiments={"measured": experiment},
    columns=("t_grok_50",),
    measured=measured,
    shown="fourier_circulant",
    decide=decide,
)
