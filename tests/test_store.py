"""Folders: what is refused, what is kept, what a crash at any moment leaves."""

import dataclasses
import json
import shutil
import subprocess
import sys

import filelock
import jax.errors
import numpy as np
import pandas as pd
import pytest
from crashes import Killed, assert_same_tables, crash_before_nth_write, snapshot, swept, tables

import grokjax
from grokjax.engine import lanes as lanes_module
from grokjax.engine import trainer
from grokjax.results import manifest as results_manifest
from grokjax.results import store as store_module


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The same sweep in one go, for comparison."""
    return tmp_path_factory.mktemp("whole") / "sweep"


@pytest.mark.parametrize(
    ("n", "after"),
    [
        pytest.param(n, after, marks=[pytest.mark.slow] * (after == n % 2))
        for n in range(1, 18, 3)
        for after in (False, True)
    ],
)
def test_a_crash_at_any_write_resumes_to_the_same_bits(
    tiny, small_ticks, tmp_path, uninterrupted, n, after
):
    experiment = swept(tiny, seed=[0, 1, 2], train_fraction=[0.3, 0.5])
    if not uninterrupted.exists():
        grokjax.run(experiment, uninterrupted, lanes=2)
    folder = tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, n, after)
        with pytest.raises(Killed):
            grokjax.run(experiment, folder, lanes=2)
    grokjax.run(experiment, folder, lanes=2)
    assert_same_tables(folder, uninterrupted)
    assert not (folder / ".work").exists()
    assert {path.name for path in folder.rglob("*.parquet")} == {
        path.name for path in uninterrupted.rglob("*.parquet")
    }


def test_a_stop_commits_and_the_same_call_goes_on(tiny, small_ticks, tmp_path, uninterrupted):
    import threading

    experiment = swept(tiny, seed=[0, 1, 2], train_fraction=[0.3, 0.5])
    if not uninterrupted.exists():
        grokjax.run(experiment, uninterrupted, lanes=2)
    stop, seen = threading.Event(), []

    def report(progress):
        seen.append(progress.run_steps)
        if progress.run_steps:
            stop.set()

    grokjax.run(experiment, tmp_path / "sweep", lanes=2, report=report, stop=stop)
    assert (tmp_path / "sweep" / ".work").exists()
    assert 0 < seen[-1] < 6 * 200
    grokjax.run(experiment, tmp_path / "sweep", report=lambda p: seen.append(p.run_steps))
    assert seen == sorted(seen)
    assert seen[-1] == 6 * 200
    assert_same_tables(tmp_path / "sweep", uninterrupted)


def test_a_finished_sweep_returns_at_once_and_changes_nothing(tiny, tmp_path, monkeypatch):
    experiment = swept(tiny, seed=[0, 1])
    grokjax.run(experiment, tmp_path / "sweep")
    before = snapshot(tmp_path / "sweep")
    monkeypatch.setattr(trainer, "Lanes", None)  # nothing compiles
    grokjax.run(experiment, tmp_path / "sweep")
    assert snapshot(tmp_path / "sweep") == before


@pytest.mark.drawn
def test_a_grid_that_grows_trains_the_new_cells_only(tiny, tmp_path):
    folder = tmp_path / "sweep"
    grokjax.run(swept(tiny, seed=[0, 1]), folder, lanes=2)
    old_runs, old_curves = tables(folder)
    trained = set()
    grown = swept(tiny, seed=[0, 1, 2], weight_decay=[0.5, 2.0])
    grokjax.run(grown, folder, report=lambda p: trained.add(p.finished))
    assert min(trained) == 2
    runs, curves = tables(folder)
    assert len(runs) == 6
    assert not curves.duplicated(["run_id", "step"]).any()
    pd.testing.assert_frame_equal(runs.iloc[:2], old_runs)
    pd.testing.assert_frame_equal(curves.iloc[: len(old_curves)], old_curves)
    manifest = json.loads((folder / "sweep.json").read_text())
    assert manifest["axes"] == {"seed": [0, 1, 2], "optimizer.weight_decay": [0.5, 2.0]}


def test_a_grid_can_grow_while_it_is_interrupted(tiny, small_ticks, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 4, after=True)
        with pytest.raises(Killed):
            grokjax.run(swept(tiny, seed=[0, 1, 2], train_fraction=[0.5]), folder, lanes=2)
    grown = swept(tiny, train_fraction=[0.3, 0.5], seed=[0, 1, 2])
    grokjax.run(grown, folder, lanes=2)
    grokjax.run(grown, tmp_path / "fresh", lanes=2)
    order = ["run_id", "step"]
    found, expected = (
        tables(f)[1].sort_values(order, ignore_index=True) for f in (folder, tmp_path / "fresh")
    )
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_grid_that_lost_unfinished_runs_is_refused(tiny, small_ticks, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 3, after=True)
        with pytest.raises(Killed):
            grokjax.run(swept(tiny, seed=[0, 1, 2]), folder, lanes=2)
    before = snapshot(folder)
    with pytest.raises(grokjax.ConfigError, match="no longer in"):
        grokjax.run(swept(tiny, seed=[5, 6]), folder)
    assert snapshot(folder) == before


def test_another_base_is_refused_with_the_difference(tiny, tmp_path):
    folder = tmp_path / "sweep"
    grokjax.run(swept(tiny, seed=[0]), folder)
    before = snapshot(folder)
    with pytest.raises(grokjax.ConfigError, match=r"log_every: 10 → 20") as refused:
        grokjax.run(swept(dataclasses.replace(tiny, log_every=20), seed=[0]), folder)
    assert "--overwrite" in str(refused.value)
    assert snapshot(folder) == before


@pytest.mark.drawn
def test_overwrite_starts_over(tiny, tmp_path):
    folder = tmp_path / "sweep"
    grokjax.run(swept(tiny, seed=[0]), folder)
    changed = swept(dataclasses.replace(tiny, log_every=20), seed=[1])
    results = grokjax.run(changed, folder, overwrite=True)
    assert results.runs["seed"].tolist() == [1]
    assert results.manifest["base"]["log_every"] == 20


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_somebody_else_is_left_alone(tiny, tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(grokjax.ConfigError, match="no results folder"):
        grokjax.run(tiny, tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_second_process_is_refused_and_a_dead_one_leaves_no_lock(tiny, tmp_path):
    folder = tmp_path / "sweep"
    (folder / ".work").mkdir(parents=True)
    with (
        filelock.FileLock(folder / ".work" / "lock"),
        pytest.raises(grokjax.ConfigError, match="another process"),
    ):
        grokjax.run(tiny, folder)
    script = "import filelock, os, sys; filelock.FileLock(sys.argv[1]).acquire(); os._exit(9)"
    dead = tmp_path / "dead"
    (dead / ".work").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", script, str(dead / ".work" / "lock")], check=False)
    assert len(grokjax.run(tiny, dead).runs) == 1


@pytest.mark.drawn
def test_an_error_fails_its_program_only_and_can_be_retried(tiny, tmp_path, monkeypatch):
    folder, experiment = tmp_path / "sweep", swept(tiny, seed=[0, 1], train_fraction=[0.3, 0.5])
    healthy = lanes_module.Lanes.collect

    def broken(self):
        if self.program.runs[0].config.train_fraction == 0.3:
            raise jax.errors.JaxRuntimeError("INTERNAL: the device is lost")
        return healthy(self)

    monkeypatch.setattr(lanes_module.Lanes, "collect", broken)
    with pytest.raises(jax.errors.JaxRuntimeError):
        grokjax.run(experiment, tmp_path / "fast", fail_fast=True)
    runs = grokjax.run(experiment, folder, lanes=2).runs
    failed = runs[runs["status"] == "failed"]
    assert failed["train_fraction"].tolist() == [0.3, 0.3]
    assert set(failed["stop_reason"]) == {"error"}
    assert failed["error"].str.contains("device is lost").all()
    assert (runs["status"] == "done").sum() == 2
    monkeypatch.setattr(lanes_module.Lanes, "collect", healthy)
    assert (grokjax.run(experiment, folder).runs["status"] == "failed").sum() == 2
    assert (grokjax.run(experiment, folder, retry_failed=True).runs["status"] == "done").all()
    fresh = grokjax.run(experiment, tmp_path / "fresh", lanes=2)
    order = ["run_id", "step"]
    pd.testing.assert_frame_equal(
        tables(folder)[1].sort_values(order, ignore_index=True),
        fresh.curves.sort_values(order, ignore_index=True),
    )


def test_a_full_disk_is_not_recorded_as_a_result(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_module, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        grokjax.run(tiny, tmp_path / "sweep")
    monkeypatch.undo()
    assert grokjax.run(tiny, tmp_path / "sweep").runs["status"].tolist() == ["done"]


def test_tables_have_the_columns_and_types_of_the_contract(tiny, tmp_path):
    results = grokjax.run(swept(tiny, seed=[0, 1], split_seed=[7]), tmp_path / "sweep")
    runs, curves = results.runs, results.curves
    wanted = """run_id status stop_reason steps task op p layers width heads optimizer
        learning_rate weight_decay train_fraction n_train n_test seed split_seed t_mem t_grok
        grok_gap grok_ratio transition_width phase final_train_loss final_test_loss
        final_train_accuracy final_test_accuracy max_test_accuracy wall_s""".split()
    assert not set(wanted) - set(runs.columns)
    assert list(curves.columns[:6]) == [
        "run_id",
        "step",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
    ]
    assert {"weight_norm", "grad_norm", "update_norm"} <= set(curves.columns)
    assert {str(runs[name].dtype) for name in ("t_mem", "t_grok", "grok_gap", "seed")} == {"Int64"}
    assert runs["split_seed"].tolist() == [7, 7]
    assert runs["head_width"].tolist() == [4, 4]
    assert (runs["n_train"] + runs["n_test"] == 49).all()
    last = curves.groupby("run_id").last().loc[runs["run_id"], "test_loss"]
    np.testing.assert_array_equal(last, runs["final_test_loss"])
    assert results.measures.empty


def test_a_manifest_says_how_the_results_came_about(tiny, tmp_path):
    manifest = grokjax.run(swept(tiny, seed=[0, 1]), tmp_path / "sweep").manifest
    assert manifest["base"]["optimizer.weight_decay"] == 0.5
    assert manifest["axes"] == {"seed": [0, 1]}
    assert manifest["thresholds"]["grokked"] == 0.9
    assert {"python", "jax", "grokjax"} <= set(manifest["versions"])
    assert manifest["device"]["kind"]
    (program,) = manifest["programs"].values()
    assert program["lanes"] in (1, 2)
    assert program["lanes"] == set(pd.read_parquet(tmp_path / "sweep" / "runs")["lanes"]).pop()


def test_provenance_is_in_every_file_and_every_start_in_the_manifest(tiny, tmp_path):
    import pyarrow.parquet as pq

    folder = tmp_path / "sweep"
    grokjax.run(swept(tiny, seed=[0]), folder, command="the first")
    grokjax.run(swept(tiny, seed=[0, 1]), folder, command="the second")
    starts = json.loads((folder / "sweep.json").read_text())["starts"]
    assert [start["command"] for start in starts] == ["the first", "the second"]
    for path in folder.rglob("*.parquet"):
        noted = json.loads(pq.read_schema(path).metadata[b"grokjax"])
        assert {"git", "versions", "device", "matmul_precision"} <= set(noted)


@pytest.mark.drawn
def test_the_same_command_resumes_whatever_lanes_it_asks_for(tiny, small_ticks, tmp_path):
    experiment = swept(tiny, seed=[0, 1], train_fraction=[0.3, 0.9])
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 3, after=True)
        with pytest.raises(Killed):
            grokjax.run(experiment, tmp_path / "sweep", lanes=8)
    assert len(grokjax.run(experiment, tmp_path / "sweep", lanes=8).runs) == 4
    with pytest.raises(grokjax.ConfigError, match="lanes=3"):
        grokjax.run(experiment, tmp_path / "sweep", lanes=3)


def test_lost_checkpoints_are_not_taken_for_an_empty_folder(tiny, small_ticks, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 8, after=True)
        with pytest.raises(Killed):
            grokjax.run(swept(tiny, seed=[0, 1, 2]), folder, lanes=2)
    shutil.rmtree(folder / ".work")
    before = len(list(folder.rglob("*.parquet")))
    with pytest.raises(grokjax.ConfigError, match="checkpoints"):
        grokjax.run(swept(tiny, seed=[0, 1, 2]), folder, lanes=2)
    assert len(list(folder.rglob("*.parquet"))) == before > 2


def test_a_crash_while_checkpoints_are_removed_leaves_a_finished_sweep(tiny, tmp_path, monkeypatch):
    folder, remove = tmp_path / "sweep", shutil.rmtree

    def deadly(path, *args, **kwargs):
        if path.name == "checkpoints":
            raise Killed
        remove(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", deadly)
    with pytest.raises(Killed):
        grokjax.run(swept(tiny, seed=[0]), folder)
    monkeypatch.undo()
    assert len(grokjax.run(swept(tiny, seed=[0]), folder).runs) == 1
    assert not (folder / ".work").exists()


def test_without_a_folder_the_results_are_only_returned(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = grokjax.run(swept(tiny, seed=[0]))
    assert len(results.curves) == 21
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["{", '{"schema_version": 99}'])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, content):
    (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(grokjax.ConfigError, match=r"sweep\.json"):
        grokjax.load(tmp_path)


def test_a_folder_of_an_older_grokjax_is_read_and_not_grown(tiny, tmp_path):
    manifest = results_manifest.describe(tiny, "old") | {"schema_version": 1, "programs": {}}
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sweep.json").write_text(json.dumps(manifest))
    assert grokjax.load(tmp_path / "old").manifest["schema_version"] == 1
    before = snapshot(tmp_path)
    with pytest.raises(grokjax.ConfigError, match="older grokjax"):
        grokjax.run(tiny, tmp_path / "old")
    assert snapshot(tmp_path) == before
