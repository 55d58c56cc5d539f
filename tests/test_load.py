"""Reading folders: one, several joined, older ones, and a part of the curves at a time."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sweep_folder import synthetic_results

import grokjax
from grokjax import ConfigError, Thresholds, phase
from grokjax.analysis import curves as curves_module
from grokjax.analysis import fits, onset

RECORDED = Path(__file__).parents[1] / "results" / "recorded"

LEVELS = ([0.3, 1.0], [0.5, 0.7])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two sweeps of the same grid with other seeds."""
    place = tmp_path_factory.mktemp("sweeps")
    return [synthetic_results(place / f"{i}", *LEVELS, first_seed=3 * i) for i in range(2)]


def rewritten(folder, place, change):
    """A copy of a sweep whose runs table and manifest were changed."""
    runs, curves = (pd.read_parquet(folder / name) for name in ("runs", "curves"))
    manifest = json.loads((folder / "sweep.json").read_text())
    runs, manifest = change(runs, manifest)
    for name, frame in (("runs", runs), ("curves", curves)):
        (place / name).mkdir(parents=True)
        frame.to_parquet(place / name / "00000000-00000000.parquet")
    (place / "sweep.json").write_text(json.dumps(manifest))
    return place


def test_joined_folders_have_the_runs_of_both(folders):
    one, other = (grokjax.load(folder) for folder in folders)
    both = grokjax.load(*folders)
    assert len(both.runs) == len(one.runs) + len(other.runs)
    assert both.axes["seed"] == [0, 1, 2, 3, 4, 5]
    chosen = [one.runs["run_id"][0], other.runs["run_id"][0]]
    assert set(both.curves_of(chosen, ["step", "test_loss"])["run_id"]) == set(chosen)
    with pytest.raises(
        ConfigError, match=r"columns='tset_loss': choose of those of curves, .*test_loss"
    ):
        both.curves_of(chosen, ["step", "tset_loss"])
    assert both.n_curve_rows == len(both.curves)
    assert both.curve_columns == one.curve_columns


def test_curves_of_no_run_are_refused_and_those_of_one_to_come_are_none(folders, tmp_path):
    folder = rewritten(folders[0], tmp_path / "sweep", lambda runs, manifest: (runs, manifest))
    for asked in ("nobody", ["nobody", grokjax.load(folder).runs["run_id"][0]]):
        with pytest.raises(ConfigError, match="run_id='nobody': there is no such run in"):
            grokjax.load(folder).curves_of(asked, ["step"])
    in_memory = grokjax.load(folder)
    assert len(in_memory.curves) and not len(in_memory.curves_of([]))
    with pytest.raises(ConfigError, match="there is no such run"):
        in_memory.curves_of("nobody")
    (folder / ".work").mkdir()
    assert grokjax.load(folder).curves_of("nobody").empty  # it has not said what it trains
    (folder / ".work" / "plan.json").write_text('[{"run_id": "to come", "program": "a"}]')
    assert grokjax.load(folder).curves_of("to come").empty
    with pytest.raises(ConfigError, match="there is no such run"):
        grokjax.load(folder).curves_of("nobody")


def test_a_run_that_two_folders_have_counts_once(folders):
    twice = grokjax.load(folders[0], folders[0], folders[1])
    assert not twice.runs["run_id"].duplicated().any()
    assert not twice.curves.duplicated(["run_id", "step"]).any()
    one = twice.runs["run_id"][0]
    assert len(twice.curves_of([one], ["step"])) == (twice.curves["run_id"] == one).sum()


def test_folders_of_different_kinds_are_not_joined(folders, tmp_path):
    def other_thresholds(runs, manifest):
        return runs, manifest | {"thresholds": {"grokked": 0.8}}

    def other_columns(runs, manifest):
        return runs.drop(columns="chance"), manifest

    for name, change, word in (
        ("a", other_thresholds, "thresholds"),
        ("b", other_columns, "chance"),
    ):
        with pytest.raises(ConfigError, match=word):
            grokjax.load(folders[0], rewritten(folders[1], tmp_path / name, change))


def test_an_older_folder_gets_the_columns_that_it_lacks(folders, tmp_path, monkeypatch):
    def older(runs, manifest):
        lacking = ["n_collapses", "plateau_level", "t_grok_argmax"]
        return runs.drop(columns=lacking), manifest | {"schema_version": 1}

    old = grokjax.load(rewritten(folders[0], tmp_path / "old", older))
    stored = onset.table(grokjax.load(folders[0]))
    read = []
    whole = curves_module.Curves.of_table
    monkeypatch.setattr(
        curves_module.Curves,
        "of_table",
        lambda t, n, **more: read.append(len(t)) or whole(t, n, **more),
    )
    monkeypatch.setattr(curves_module.in_chunks, "__defaults__", (curves_module.NAMES, 300))
    found = onset.table(old)
    pd.testing.assert_frame_equal(found[stored.columns], stored)
    assert len(read) > 3  # a few runs at a time
    assert max(read) <= 303


def test_joined_sweeps_that_differ_in_their_base_have_it_as_an_axis(folders, tmp_path):
    def base(rate):
        def change(runs, manifest):
            return runs.assign(learning_rate=rate), manifest | {
                "base": {"optimizer.learning_rate": rate}
            }

        return change

    one, other = (rewritten(folders[i], tmp_path / f"{i}", base(10.0 ** -(i + 2))) for i in (0, 1))
    with pytest.raises(
        ConfigError, match=r"differ in optimizer.learning_rate: 0.01, 0.001; .*join"
    ):
        grokjax.load(one, other)
    assert grokjax.load(one, other, join_anyway=True).axes["learning_rate"] == [0.01, 0.001]
    assert "learning_rate" not in grokjax.load(one).axes


def test_results_in_memory_outlive_their_folder(folders, tmp_path):
    folder = rewritten(folders[0], tmp_path / "gone", lambda runs, manifest: (runs, manifest))
    results = grokjax.load(folder)
    _ = results.runs, results.curves
    shutil.rmtree(folder)
    assert len(onset.table(results, Thresholds(grokked=0.5))) == len(results.runs)
    assert len(fits.table(results)) == len(results.runs)
    with pytest.raises(ConfigError, match="out"):
        phase.show(results)


def test_other_thresholds_are_applied_to_the_curves(folders):
    results = grokjax.load(folders[0])
    stored, asked = onset.table(results), onset.table(results, Thresholds(grokked=0.5))
    np.testing.assert_array_equal(asked["t_grok"], stored["t_grok_50"])
    assert list(asked["run_id"]) == list(stored["run_id"])


def test_fits_of_a_sweep_have_a_row_a_run(folders):
    results = grokjax.load(folders[0])
    found = fits.table(results).merge(results.runs, on="run_id")
    assert len(found) == len(results.runs)
    good = found[~found["failed"]]
    assert len(good) > 5
    late = good["t_grok"].notna()
    np.testing.assert_allclose(good["centre"][late], good["t_grok_50"][late].astype(float), atol=51)


def test_importing_the_phase_command_is_quick_and_without_jax():
    """The modules, not the clock: what takes long to import is imported when it is needed."""
    import subprocess
    import sys

    script = (
        "import grokjax.phase, grokjax, sys; grokjax.load; "
        "slow = {'jax', 'flax', 'orbax', 'scipy.stats', 'statsmodels', 'plotly', 'matplotlib'}; "
        "assert not slow & set(sys.modules), slow & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in RECORDED.glob("*/sweep.json")),
    ids=lambda folder: folder.name,
)
def test_what_is_recorded_has_the_parts_that_it_names(folder):
    """A part that .gitignore has kept out of a clone would be refused there."""
    results = grokjax.load(folder)
    assert len(results.runs) > 0
    assert set(results.curves["run_id"]) | set(results.measures["run_id"]) <= {*results.runs.run_id}


def test_an_older_sweep_without_its_curves_keeps_the_times_that_it_stored():
    """As `precision` of this repository, of schema 1: it has no column `partial`."""
    results = grokjax.load(RECORDED / "precision")
    table = onset.table(results)
    assert table["t_grok"].notna().sum() == 105
    pd.testing.assert_series_equal(table["t_grok"], results.runs["t_grok"])
    assert table["partial"].isna().all()
    with pytest.raises(ConfigError, match=r"thresholds: the curves of .*precision are not there"):
        results.with_thresholds(grokked=0.99)
