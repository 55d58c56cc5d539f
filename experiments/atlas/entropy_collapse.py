"""Does the spectral entropy of the representation collapse before grokking?

Command:      python -m grokjax.atlas run entropy_collapse
Cost:         24 runs of 2,000 updates with an instrument, two minutes of one core.
"""

import pandas as pd

from grokjax import (
    MLP,
    AdamW,
    Experiment,
    ModularArithmetic,
    Spectra,
    Thresholds,
    Transformer,
    grid,
)
from grokjax.analysis import progress
from grokjax.atlas import Claim, Decision, judge, share, told


def trained(model, fmt):
    return Experiment(
        task=ModularArithmetic("sub", p=23, format=fmt),
        model=model,
        optimizer=AdamW(learning_rate=1e-2, weight_decay=1.0, b2=0.98),
        train_fraction=0.8,
        steps=2000,
        settle_steps=None,
        log_every=20,
        table_points_per_decade=30,
        thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
        instruments=(Spectra(),),
        sweep=grid(seed=range(12)),
    )


COLUMNS = {"spectra.readout.entropy": "entropy", "spectra.readout.effective": "rank"}


def measured(name, results):
    """Halfway steps of entropy and rank from their value at t_mem to the end, and their values."""
    runs, rows = results.runs.set_index("run_id"), []
    wide = results.measures_wide()
    for run_id, of in wide.sort_values("step").groupby("run_id"):
        start = runs.at[run_id, "t_mem"]
        row = {"run_id": run_id}
        since = of[of["step"] >= (0 if pd.isna(start) else start)]
        for column, short in COLUMNS.items():
            values = since[["step", column]].dropna()
            first, last = values[column].iloc[0], values[column].iloc[-1]
            past = (
                values[(values[column] - first) / (last - first) >= 0.5]
                if first != last
                else values[:0]
            )
            row |= {f"{short}_at_t_mem": first, f"{short}_at_the_end": last}
            row[f"{short}_halfway"] = past["step"].iloc[0] if len(past) else pd.NA
        rows.append(row)
    accuracy = progress.moved(
        results.curves[["run_id", "step", "test_accuracy"]], ["test_accuracy"]
    )
    half = accuracy.set_index("run_id")["step"].rename("accuracy_halfway")
    return pd.DataFrame(rows).merge(half, left_on="run_id", right_index=True, how="left")


def decide(table):
    grokked = table[table["t_grok"].notna()]

    def leads(runs):
        falls = runs["entropy_at_the_end"] < runs["entropy_at_t_mem"]
        return share(
            falls & (runs["entropy_halfway"].astype(float) < runs["accuracy_halfway"].astype(float))
        )

    of = {name: leads(runs) for name, runs in grokked.groupby("experiment")}
    change = grokked.groupby("experiment")[["entropy_at_t_mem", "entropy_at_the_end"]].median()
    rank = grokked.groupby("experiment")[["rank_at_t_mem", "rank_at_the_end"]].median()
    effect = of["transformer"]
    return Decision(
        verdict=judge(effect, low=0.5),
        effect=effect,
        because="It falls and is halfway before the test accuracy in "
        + ", ".join(f"{told(e)} of grokked runs of the {name}" for name, e in of.items())
        + "; medians from t_mem to the end are "
        + ", ".join(
            f"{c.iloc[0]:.2f} to {c.iloc[1]:.2f} (effective rank {rank.loc[name].iloc[0]:.1f} to "
            f"{rank.loc[name].iloc[1]:.1f}) in the {name}"
            for name, c in change.iterrows()
        )
        + ".",
    )


claim = Claim(
    topic="measures",
    sentence="The spectral entropy of the representation collapses before the network generalises.",
    source="Truong et al. 2026 (arXiv 2604.13123): below a threshold in every run, 1,020 updates "
    "before generalisation on average; Yunis et al. 2024 (arXiv 2408.11804) for ranks.",
    setting="Subtraction mod 23 from 80 % of the table, a transformer of width 32 and an MLP (32, "
    "64), AdamW at 0.01 with decay 1, 12 seeds, 2,000 updates. The entropy is of the covariance "
    "of what the logits are read from over the table; halfway is from its value at t_mem to that "
    "at the end, and the test accuracy's from step 0 to the end. Nothing depends on a threshold.",
    confirms="in more than half of the transformers that grok the entropy falls and is halfway "
    "before the test accuracy (Wilson's lower limit).",
    refutes="in fewer than half (upper limit).",
    unit="share of grokked transformers in which the entropy leads",
    experiments={
        "transformer": trained(Transformer(layers=1, width=32, heads=4, mlp_width=128), "a b ="),
        "mlp": trained(MLP(width=32, mlp_width=64), "a b"),
    },
    measured=measured,
    shown="entropy_at_the_end",
    decide=decide,
)
