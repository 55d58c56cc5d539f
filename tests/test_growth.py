"""A budget that was too short: runs go on from where they ended, to the same bits."""

import dataclasses
import shutil

import pandas as pd
import pytest
from crashes import (
    MOVES,
    WRITES,
    Killed,
    assert_same_rows,
    crash_before_nth_write,
    snapshot,
    swept,
)

import grokjax
from grokjax import ConfigError, SnapshotSchedule, Thresholds, dry_run
from grokjax.engine import growth, plan

SHORT, LONG = 600, 1200
AXES = {"seed": [0, 1, 3], "train_fraction": [0.5, 0.8], "learning_rate": [1e-2, 1e30]}


@pytest.fixture(scope="module", autouse=True)
def short_segments():
    """Of as many log points for both budgets, which do not divide them; five segments a commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SEGMENT_SECONDS", 0.006)
        patch.setattr(plan, "TICK_SECONDS", 0.03)
        yield


@pytest.fixture(scope="module")
def base():
    """Runs of which some settle, some are censored, and some diverge."""
    return grokjax.Experiment(
        task=grokjax.ModularArithmetic("add", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=SHORT,
        settle_steps=100,
        log_every=10,
        snapshots=SnapshotSchedule(at=(100,), moments=("t_grok",)),
        thresholds=Thresholds(grokked=0.3),
    )


@grokjax.own.instrument
def largest(observed):
    return {"logit": observed.outputs.max()}


def with_budget(base, steps, **changes):
    return swept(dataclasses.replace(base, steps=steps, **changes), **AXES)


@pytest.fixture(scope="module")
def at_once(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("at_once") / "sweep"
    grokjax.run(with_budget(base, LONG), folder, lanes=2)
    return folder


@pytest.fixture(scope="module")
def short(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("short") / "sweep"
    grokjax.run(with_budget(base, SHORT), folder, lanes=2)
    return folder


def kept(folder, name="snapshots"):
    return {path.name: path.read_bytes() for path in (folder / name).iterdir()}


def assert_equal_folders(folder, other):
    assert_same_rows(folder, other)
    assert kept(folder) == kept(other)
    assert kept(folder, "final").keys() == kept(other, "final").keys()


@pytest.mark.drawn
def test_600_and_600_updates_are_1200(base, short, at_once, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(short, folder)
    before = grokjax.load(folder).runs["stop_reason"].value_counts()
    assert set(before.index) == {"settled", "budget", "diverged"}
    trained = []
    grown = grokjax.run(
        with_budget(base, LONG), folder, lanes=2, report=lambda p: trained.append(p.activity)
    )
    assert any("go on from where they ended" in words for words in trained)
    assert_equal_folders(folder, at_once)
    after = grown.runs["stop_reason"].value_counts()
    assert after["settled"] > before["settled"]
    assert after["diverged"] == before["diverged"]
    # And nothing was trained twice.
    work = grown.manifest["starts"][-1]["work"]
    censored = before["budget"]
    assert work["run_steps_needed"] <= censored * (LONG - SHORT)
    assert grown.manifest["base"]["steps"] == LONG
    assert "growing" not in grown.manifest


STRIDES = {WRITES: 7, MOVES: 9}


@pytest.mark.parametrize("operations", [WRITES, pytest.param(MOVES, marks=pytest.mark.slow)])
def test_a_death_while_it_grows_loses_nothing(base, short, at_once, tmp_path, operations):
    deaths, n, died = 0, 1, True
    while died:
        folder = tmp_path / f"{n}"
        shutil.copytree(short, folder)
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, n % 2 == 0, operations)
            try:
                grokjax.run(with_budget(base, LONG), folder, lanes=2)
                died = False
            except Killed:
                deaths += 1
        grokjax.run(with_budget(base, LONG), folder, lanes=2)
        assert_equal_folders(folder, at_once)
        n += STRIDES[operations]
    assert deaths >= 3


def test_an_unfinished_sweep_grows_too(base, at_once, tmp_path):
    folder = tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 5, True, [(growth.Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(with_budget(base, SHORT), folder, lanes=2)
    assert not grokjax.load(folder).finished
    grokjax.run(with_budget(base, LONG), folder, lanes=2)
    assert_equal_folders(folder, at_once)


def test_a_state_that_is_lost_has_its_run_trained_again(base, short, at_once, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(short, folder)
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 1, True, [(growth.Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(with_budget(base, LONG), folder, lanes=2)
    lost = sorted((folder / "final").iterdir())[-1]
    lost.unlink()
    said = []
    grokjax.run(with_budget(base, LONG), folder, report=lambda p: said.append(p.activity))
    assert "training 1 runs again" in said
    assert_equal_folders(folder, at_once)


def test_a_budget_that_grows_twice_is_the_last_one(base, at_once, short, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(short, folder)
    for steps in (SHORT + 10, LONG):  # ten updates lie within what lanes had passed anyway
        grokjax.run(with_budget(base, steps), folder, lanes=2)
    assert_equal_folders(folder, at_once)


@pytest.mark.parametrize("keep", ["all", pytest.param(None, marks=pytest.mark.slow)])
def test_runs_whose_states_were_not_kept_begin_again(base, tmp_path, keep):
    axes = {"seed": [0, 1], "train_fraction": [0.5, 0.9]}
    short = swept(dataclasses.replace(base, keep_final=keep), **axes)
    long = dataclasses.replace(short, steps=LONG, settle_steps=None)
    folder, whole = tmp_path / "grown", tmp_path / "whole"
    reasons = grokjax.run(short, folder, lanes=2).runs["stop_reason"].tolist()
    states = {"all": ("settled", "budget"), "censored": ("budget",), None: ()}[keep]
    assert set(reasons) == {"settled", "budget"}
    states = [reason for reason in reasons if reason in states]
    assert len(list((folder / "final").iterdir()) if states else []) == len(states)
    text = dry_run.describe(long, folder)
    assert f"{len(states)} runs go on from where they ended" in text
    assert (f"{4 - len(states)} begin again" in text) == (len(states) < 4)
    grokjax.run(long, folder, lanes=2)
    grokjax.run(long, whole, lanes=2)
    assert_same_rows(folder, whole)


@pytest.mark.drawn
def test_instruments_go_on_as_well(base, tmp_path):
    measured = dataclasses.replace(base, instruments=(largest(),), snapshots=None)
    axes = {"seed": [0, 1], "train_fraction": [0.5]}
    for steps in (SHORT, LONG):
        grokjax.run(swept(measured.replaced(steps=steps), **axes), tmp_path / "grown", lanes=2)
    grokjax.run(swept(measured.replaced(steps=LONG), **axes), tmp_path / "whole", lanes=2)
    tables = [
        pd.read_parquet(tmp_path / name / "measures").sort_values(
            ["run_id", "step", "part"], ignore_index=True
        )
        for name in ("grown", "whole")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)


@pytest.mark.drawn
def test_a_grid_and_its_budget_grow_together(base, tmp_path):
    few = swept(base, seed=[0, 1], train_fraction=[0.5])
    many = dataclasses.replace(
        few, steps=LONG, sweep=grokjax.grid(seed=range(4), train_fraction=[0.5])
    )
    grokjax.run(few, tmp_path / "grown", lanes=2)
    grokjax.run(many, tmp_path / "grown")
    grokjax.run(many, tmp_path / "whole", lanes=2)
    assert_same_rows(tmp_path / "grown", tmp_path / "whole")


def test_what_is_no_growth_is_refused_and_nothing_changes(base, short):
    before = snapshot(short)
    smaller_grid = swept(base.replaced(steps=LONG), seed=[0], train_fraction=[0.5])
    for experiment, words in (
        (with_budget(base, SHORT - 100), r"\(steps: 600 → 500\); go on with --steps 600,"),
        (with_budget(base, SHORT - 100, settle_steps=50), "with --settle-steps 100 --steps 600,"),
        (with_budget(base, LONG, settle_steps=50), "settle_steps: 100 → 50; .*--settle-steps 100,"),
        (with_budget(base, LONG, log_every=20), "log_every: 10 → 20.*--overwrite"),
        (with_budget(base, SHORT - 100, log_every=20), "log_every: 10 → 20.*--overwrite"),
        (smaller_grid, "11 runs in .* are not in the grid"),
    ):
        with pytest.raises(ConfigError, match=words):
            grokjax.run(experiment, short)
        with pytest.raises(ConfigError, match=words):
            dry_run.describe(experiment, short)
    other = with_budget(base, SHORT, thresholds=grokjax.Thresholds(grokked=0.95))
    with pytest.raises(ConfigError, match="by other thresholds needs no training"):
        grokjax.run(other, short)
    assert snapshot(short) == before
