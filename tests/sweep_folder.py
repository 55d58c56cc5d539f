"""Results folders with made-up curves, as a sweep would leave them."""

import json

import numpy as np
import pandas as pd
from scipy.special import expit

from grokjax import Thresholds
from grokjax.analysis import onset
from grokjax.analysis.curves import Curves


def synthetic_results(folder, weight_decays, fractions, budget=5000, seeds=3, first_seed=0):
    """Runs that grok at a time which the cell decides, in a folder of the present schema."""
    rng, step = np.random.default_rng(first_seed), np.arange(0, budget + 1, 50)
    rows, curves = [], []
    for decay in weight_decays:
        for fraction in fractions:
            for seed in range(first_seed, first_seed + seeds):
                t_grok = 400 / (max(decay, 0.01) * fraction**3) * rng.uniform(0.8, 1.2)
                rise = expit((step - t_grok) / 60)
                rows.append((f"{decay}-{fraction}-{seed}", decay, fraction, seed))
                curves.append(
                    pd.DataFrame(
                        {
                            "run_id": rows[-1][0],
                            "step": step,
                            "train_accuracy": np.minimum(1, step / 100),
                            "test_accuracy": 0.02 + 0.98 * rise,
                            "train_loss": 4 * np.exp(-step / 60),
                            "test_loss": 8 * (1 - rise) + 1e-3,
                            "weight_norm": 40 - 15 * rise,
                        }
                    )
                )
    runs = pd.DataFrame(rows, columns=["run_id", "weight_decay", "train_fraction", "seed"])
    runs = runs.assign(
        status="done", stop_reason="budget", steps=budget, last_step=budget, chance=0.02,
        split_seed=runs["seed"], log_every=50,
    )  # fmt: skip
    table = pd.concat(curves, ignore_index=True)
    measured = onset.onsets(Curves.of_table(table), np.full(len(runs), 0.02), Thresholds())
    columns = {name: values.tolist() for name, values in measured.items()}
    found = pd.DataFrame({"run_id": Curves.of_table(table).run_ids, **columns})
    runs = runs.merge(onset.typed(found, Thresholds()), on="run_id")
    axes = {"optimizer.weight_decay": weight_decays, "train_fraction": fractions}
    write(folder, runs, table, axes | {"seed": list(range(first_seed, first_seed + seeds))})
    return folder


def write(folder, runs, curves, axes):
    """The tables and a manifest that says which axes were swept."""
    for name, frame in (("runs", runs), ("curves", curves)):
        (folder / name).mkdir(parents=True)
        frame.to_parquet(folder / name / "00000000-00000000.parquet")
    manifest = {
        "schema_version": 2, "name": folder.name, "axes": axes, "base": {}, "thresholds": {},
        "command": "python -m grokjax.sweep made_up.py",
    }  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(manifest))
