"""Every experiment file plans, and says what it asks, costs and expects."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
import sweep_folder
from golden.run_ids import has_an_experiment

import grokjax
from grokjax import experiment_file
from grokjax.engine import donors, plan
from grokjax.results import snapshots
from grokjax.training.spec import spec_of

ROOT = Path(__file__).parents[1]
FILES = [path for path in sorted((ROOT / "experiments").rglob("*.py")) if has_an_experiment(path)]


SLOW = ("transfer", "swiglu_rope_division")
"""One looks up 72 donors, the other has a word of its own in a large network, which is traced."""
RECORDED = ROOT / "results" / "recorded"


def give_snapshots(folder):
    """Parameters that were recorded are in the history only; here are some of their shapes."""
    experiment, _ = experiment_file.read(ROOT / "experiments" / f"{folder.name}.py")
    state = donors.state_shapes(spec_of(experiment.runs()[0]))
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), state.params)
    for run in grokjax.load(folder).runs.itertuples():
        for step in (run.t_mem, run.t_grok):
            snapshots.write(folder, run.run_id, int(step), donors.named({"params": params}))


def give_donors(folder):
    """Made-up results of the sweep that another starts from, with the last states of its runs."""
    experiment, _ = experiment_file.read(ROOT / "experiments" / "public" / f"{folder.name}.py")
    runs = pd.DataFrame(
        {"run_id": run_id, "status": "done", "last_step": run.steps, **run.row()}
        for run_id, run in experiment.expansion.runs.items()
    )
    sweep_folder.write(folder, runs, runs[["run_id"]], experiment.axes())
    state = donors.state_shapes(spec_of(experiment.runs()[0]))
    params = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), state.params)
    for run in experiment.runs():
        snapshots.write(folder, run.run_id, run.steps, donors.named({"params": params}))


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow) if p.stem in SLOW else p for p in FILES],
    ids=lambda path: path.stem,
)
def test_an_experiment_plans_and_documents_itself(path, tmp_path, monkeypatch):
    # Some take over parameters from another, whose results are the recorded ones here.
    shutil.copytree(RECORDED / "lottery_donor", tmp_path / "results" / "lottery_donor")
    give_snapshots(tmp_path / "results" / "lottery_donor")
    if path.stem == "transfer":
        give_donors(tmp_path / "results" / "transfer_donors")
    monkeypatch.chdir(tmp_path)
    experiment, source = experiment_file.read(path)
    programs = plan.make(experiment)
    assert sum(len(program.runs) for program in programs) == len(experiment.runs())
    for word in (
        "Question:",
        f"python -m grokjax.sweep {path.relative_to(ROOT)}",
        "Cost:",
        "Expectation:",
    ):
        assert word in source


@pytest.mark.parametrize(
    ("name", "least"), [("quickstart", 24), ("wd_vs_frac", 150), ("wd_vs_frac_p113", 400)]
)
def test_the_maps_have_the_runs_they_promise(name, least):
    (path,) = [path for path in FILES if path.stem == name]
    assert len(experiment_file.read(path)[0].runs()) >= least
