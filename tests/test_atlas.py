"""The atlas: every claim can be planned and decided, and the command says what stands."""

import json

import numpy as np
import pandas as pd
import pytest

from grokjax import __main__ as command
from grokjax import atlas
from grokjax.atlas import __main__ as atlas_command
from grokjax.atlas import claim as claims
from grokjax.atlas import effects, files, record, table, variant
from grokjax.atlas.effects import Effect
from grokjax.results.schema import SCHEMA_VERSION

ROOT = files.Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / files.CLAIMS).glob("*.py"))

MEASURED = {
    "bimodal_at_the_boundary": ["late_accuracy"],
    "binder_cumulant": ["late_accuracy"],
    "cosets_dihedral": ["constant_at_t_mem", "constant"],
    "cosets_s5": ["constant_at_t_mem", "constant"],
    "decay_removed": ["lowest_after", "mean_at_the_end"],
    "entropy_collapse": [
        *("entropy_at_t_mem", "entropy_at_the_end", "rank_at_t_mem", "rank_at_the_end"),
        *("entropy_halfway", "rank_halfway", "accuracy_halfway"),
    ],
    "foretelling": [
        *("at_200_train_loss", "at_200_weight_norm", "at_200_test_loss"),
        *("at_200_fourier_circulant", "at_200_fourier_embedding_gini"),
    ],
    "hysteresis": ["before", "late_accuracy"],
    "progress_leads": [
        *("test_accuracy", "fourier_circulant", "fourier_neurons_share"),
        *("fourier_embedding_gini", "fourier_excluded", "spectra_readout_effective"),
        "norms_all_norm",
    ],
    "slingshots": ["spikes"],
}
"""Claim → the columns that it reads off curves and measures."""


def made_up(claim, name, late=(), share=1.0):
    """A table of the claim with times of our own, those of the experiments `late` ten times as late."""
    rng, rows = np.random.default_rng(0), []
    for key, experiment in claim.experiments.items():
        if key in claim.without:
            continue
        for run_id, run in experiment.expansion.runs.items():
            grok = int(rng.uniform(250, 300)) * (10 if key in late else 1)
            seen = rng.uniform() < share and grok <= run.steps
            rows.append(
                {
                    **run.row(), "run_id": run_id, "experiment": key, "status": "done",
                    "steps": run.steps, "last_step": grok + 10 if seen else run.steps, "t_mem": 60,
                    "t_grok": grok if seen else pd.NA, "t_grok_sustained": grok if seen else pd.NA,
                    "t_grok_interpolated": grok if seen else np.nan,
                    "grok_gap": grok - 60 if seen else pd.NA, "n_collapses": 0,
                    "final_train_accuracy": 1.0, "final_test_accuracy": rng.uniform(0.9, 1.0) if seen else 0.1,
                    "max_test_accuracy": 0.3, "weight_norm_at_t_mem": 20.0 + rng.uniform(),
                    "weight_norm_at_t_grok": 10.0 + rng.uniform() if seen else np.nan,
                    **{column: rng.uniform(0.2, 0.9) for column in MEASURED.get(name, ())},
                    "best_subgroup": "a", "decay": run.row().get("changes_0_weight_decay", 1.0),
                }
            )  # fmt: skip
    frame = pd.DataFrame(rows)
    kept = [*table.ALWAYS, *claim.cells, *claim.columns, *MEASURED.get(name, ()), "best_subgroup"]
    return frame[[c for c in dict.fromkeys([*kept, "decay"]) if c in frame]]


@pytest.fixture(scope="module")
def every():
    """Every claim of the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return {name: files.read(name) for name in NAMES}


def test_there_are_claims(every):
    assert len(every) >= 24
    assert len({claim.sentence for claim in every.values()}) == len(every)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_plans_says_what_it_costs_and_can_be_decided(name, every, tmp_path, monkeypatch):
    monkeypatch.setattr(effects, "CALLS", 10)
    monkeypatch.setattr(effects, "RESAMPLES", 100)
    claim = every[name]
    source = (ROOT / files.CLAIMS / f"{name}.py").read_text()
    assert f"Command:      {'pip install' if 'digits' in source else 'python'}" in source
    assert f"python -m grokjax.atlas run {name}\n" in source and "Cost:         " in source
    assert "arXiv" in claim.source or "account" in claim.source
    made = made_up(claim, name, share=0.7)
    counts = table.cells(claim, made)
    assert counts["n"].min() >= 5
    table.write(tmp_path / "table.csv", made)
    decision = claim.decide(table.read(tmp_path / "table.csv"))
    assert decision.verdict in claims.VERDICTS
    assert decision.because.endswith(".") and "nan" not in decision.because.split()
    assert decision.effect.low <= decision.effect.high
