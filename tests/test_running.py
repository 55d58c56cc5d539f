"""A sweep that still runs, results without a folder, other thresholds: what a person sees."""

import dataclasses
import gc
import json
import threading

import numpy as np
import pytest

import grokjax
from grokjax import Thresholds, grid, phase
from grokjax.analysis import onset
from grokjax.engine import sweep
from grokjax.engine.progress import Progress

AXES = {"weight_decay": [0.1, 1.0], "train_fraction": [0.5, 0.8], "seed": [0, 1, 2]}


def stopped(experiment, folder, when):
    """A sweep that is stopped when its progress is so far."""
    stop = threading.Event()

    def report(progress):
        if when(progress):
            stop.set()

    return grokjax.run(experiment, folder, lanes=1, report=report, stop=stop)


@pytest.fixture
def wide(tiny):
    return dataclasses.replace(tiny, sweep=grid(**AXES))


@pytest.mark.drawn
def test_a_sweep_that_runs_says_how_much_is_in_and_marks_what_waits(
    wide, small_ticks, tmp_path, capsys, quick_figures
):
    folder = tmp_path / "sweep"
    results = stopped(wide, folder, lambda progress: progress.finished >= 4)
    n = len(results.runs)
    assert 4 <= n < 12
    assert f"{n} of 12 runs and 0 of 2 programs are in" in repr(results)
    # Seed by seed: both decays of a program have a run before any has three.
    assert results.runs.groupby("weight_decay").size().min() >= 1
    assert phase.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"not finished: {n} of 12 runs" in said
    assert "no zone yet: " in said and "do not span a map" not in said
    assert "…" in said.split("grokked/runs")[0]
    assert (tmp_path / "out" / "figures" / "phases.png").exists()
    assert f"**Not finished**: {n} of 12 runs" in (tmp_path / "out" / "summary.md").read_text()
    whole = grokjax.run(wide, folder, progress=False)
    assert whole.how_much_is_in == ""
    assert "not finished" not in " ".join(whole.summary().warnings)
    assert len(whole.summary().waiting) == 0


def test_before_the_first_run_has_ended_there_are_curves(wide, small_ticks, tmp_path, capsys):
    folder = tmp_path / "sweep"
    results = stopped(wide, folder, lambda progress: progress.run_steps > 60)
    assert results.runs.empty
    running = onset.so_far(results)
    assert set(running["status"]) == {"running"}
    assert running["last_step"].max() == results.curves["step"].max()
    assert phase.main([str(folder)]) == 0
    assert "no run has ended yet, these are in progress" in capsys.readouterr().out
    assert (folder / "figures" / "so_far.png").exists()
    assert phase.main([str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["running"]) == len(running)


@pytest.mark.drawn
def test_watching_ends_with_the_sweep(
    wide, small_ticks, tmp_path, capsys, monkeypatch, quick_figures
):
    folder = tmp_path / "sweep"
    stopped(wide, folder, lambda progress: progress.finished >= 2)

    def finish(seconds):
        assert seconds == 5
        grokjax.run(wide, folder, progress=False)

    monkeypatch.setattr(phase.time, "sleep", finish)
    assert phase.main([str(folder), "--json", "--watch", "5"]) == 0
    first, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["finished"], last["finished"]) == (False, True)
    assert last["runs"] == 12
    assert phase.main([str(folder), "--watch", "0"]) == 2


@pytest.mark.drawn
def test_other_thresholds_are_those_that_a_sweep_by_them_would_have(
    wide, tmp_path, capsys, quick_figures
):
    task = grokjax.ModularArithmetic("add", p=7)
    few = dataclasses.replace(wide, task=task, sweep=grid(seed=[0, 1], train_fraction=[0.8]))
    other = Thresholds(memorised=0.9, grokked=0.3)
    results = grokjax.run(few, tmp_path / "sweep", lanes=1, progress=False)
    by_other = dataclasses.replace(few, thresholds=other, settle_steps=None)
    expected = grokjax.run(by_other, tmp_path / "other", lanes=1, progress=False).runs
    again = results.with_thresholds(memorised=0.9, grokked=0.3)
    for name in ("t_mem", "t_grok", "phase", "t_grok_sustained"):
        assert again.runs[name].tolist() == expected[name].tolist(), name
    assert again.thresholds == other
    assert results.runs["t_grok"].tolist() != again.runs["t_grok"].tolist()
    words = ["--thresholds.grokked", "0.3", "--thresholds.memorised", "0.9", "--json"]
    assert phase.main([str(tmp_path / "sweep"), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["grokked"] == int(expected["t_grok"].notna().sum())
    assert phase.main([str(tmp_path / "sweep"), "--thresholds.grokked", "3"]) == 2


@pytest.mark.drawn
def test_results_without_a_folder_hold_one_as_long_as_they_are_there(tiny):
    kept = dataclasses.replace(tiny, snapshots=grokjax.SnapshotSchedule(at=(0,)))
    results = grokjax.run(kept, progress=False)
    folder = results.path
    (run_id,) = results.runs["run_id"]
    again = results.with_thresholds(grokked=0.5)
    del results
    gc.collect()
    assert again.network(run_id, 0)().shape == (49, 7)
    del again
    gc.collect()
    assert not folder.exists()


def test_an_interruption_says_where_what_was_trained_lies(tiny, small_ticks, capsys):
    def interrupt(progress):
        if progress.run_steps > 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grokjax.run(tiny, report=interrupt)
    said = capsys.readouterr().err
    folder = said.split("until now is in ")[1].split(";")[0]
    assert f"grokjax.run(experiment, {folder!r})" in said
    assert len(grokjax.run(tiny, folder, progress=False).runs) == 1


def test_run_shows_how_it_goes_unless_it_is_not_to(tiny, capsys):
    grokjax.run(tiny)
    assert "1 finished" in capsys.readouterr().out
    grokjax.run(tiny, progress=False)
    assert capsys.readouterr().out == ""
    progress = Progress(Thresholds(), "compiling 2 lanes")
    assert str(progress) == "compiling 2 lanes"


def test_objects_speak_shortly(wide, checkout):
    assert "12 cells: weight_decay (2)" in repr(wide.sweep)
    assert len(wide.sweep) == 12
    results = grokjax.load("results/recorded/wd_vs_frac")
    found = results.summary()
    for thing in (wide, results, found, found.zone, found.boundary, *found.laws.values()):
        assert len(repr(thing)) < 500
        assert "\n" not in repr(thing)
    law = found.laws["weight_decay"]
    for thing in (wide, wide.sweep, results, found, found.zone, found.boundary, law):
        assert thing._repr_html_().startswith("<p>")
        assert "<table" in thing._repr_html_()
    assert {"run", "load", "phase", "weights"} <= set(dir(grokjax))
    assert sweep.run is grokjax.run
    np.testing.assert_array_equal(results.cells().columns, phase.cells(results).columns)
    assert list(results.cells("seed")["seed"]) == [0, 1, 2, 3, 4]
