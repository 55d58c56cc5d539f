"""Every experiment file plans, and says what STYLE asks of it."""

from pathlib import Path

import pytest

from grokjax import experiment_file
from grokjax.engine import plan

FILES = [
    path
    for path in sorted((Path(__file__).parents[1] / "experiments").glob("*.py"))
    if path.stem != "tour"  # a notebook, which test_figures runs
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_experiment_plans_and_documents_itself(path, tmp_path, monkeypatch):
    # Some take over parameters from another, whose results are the recorded ones here.
    (tmp_path / "results").symlink_to(path.parents[1] / "results" / "recorded")
    monkeypatch.chdir(tmp_path)
    experiment, source = experiment_file.read(path)
    programs = plan.make(experiment)
    assert sum(len(program.runs) for program in programs) == len(experiment.runs())
    for word in (
        "Question:",
        f"python -m grokjax.sweep experiments/{path.name}",
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
