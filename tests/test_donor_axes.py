"""Donors as axes: runs that start from networks that have learned other things, pair by pair."""

import dataclasses

import pandas as pd
import pytest
from crashes import Killed, assert_same_rows, crash_before_nth_write
from vocabulary import BASE

import grokjax
from grokjax import ConfigError, SnapshotSchedule, StartFrom, grid, phase
from grokjax.engine import compiling
from grokjax.engine.checkpoint import Checkpoints

RUNS = dataclasses.replace(BASE, dtype="float32", steps=40, settle_steps=None)


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    """The programs here take longer to optimise than to run."""
    before = compiling.COMPILER_OPTIONS["cpu"]
    compiling.COMPILER_OPTIONS["cpu"] = compiling.RARELY_RUN["cpu"]
    yield
    compiling.COMPILER_OPTIONS["cpu"] = before


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    """Networks that have learned one operation each."""
    folder = tmp_path_factory.mktemp("operations") / "r"
    stored = SnapshotSchedule(at=(20,), moments=("end",))
    sweep = grid(op=["add", "sub"], weight_decay=[0.1, 0.5], seed=range(2))
    experiment = dataclasses.replace(RUNS, snapshots=stored, sweep=sweep)
    return grokjax.run(experiment, folder, progress=False)


def pairs(operations, **more):
    start = StartFrom(str(operations.path), step="end", where={"op": "add"})
    axes = {"start.where": [["op=add"], ["op=sub"]], "op": ["mul", "sub"], "seed": range(2)}
    return dataclasses.replace(RUNS, start=start, sweep=grid(axes), **more)


@pytest.mark.drawn
def test_every_operation_starts_from_every_other_and_dies_on_the_way(
    operations, tmp_path, small_ticks
):
    experiment = pairs(operations)
    whole = grokjax.run(experiment, tmp_path / "whole", lanes=2, progress=False)
    donors = operations.runs.query("weight_decay == 0.1").set_index("run_id")
    for row in whole.runs.itertuples():
        donor = donors.loc[row.start_donor]
        assert (f"op={donor['op']}", donor["seed"]) == (row.start_where, row.seed)
    assert whole.runs.groupby(["start_where", "op"]).size().tolist() == [2] * 4
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 3, False, [(Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(experiment, tmp_path / "killed", lanes=2, progress=False)
    killed = grokjax.run(experiment, tmp_path / "killed", lanes=2, progress=False)
    assert_same_rows(killed.path, whole.path)
    assert phase.main([str(killed.path), "--x", "start_where", "--y", "op"]) == 0
    drawn = {path.stem for path in (killed.path / "figures").iterdir()}
    assert {"p_grok", "t_grok", "curves", "survival_by_start_where"} <= drawn
    cells = killed.summary("start_where", "op").cells()
    assert cells[["start_where", "op", "n"]].to_numpy().tolist() == [
        ["op=add", "mul", 2], ["op=add", "sub", 2], ["op=sub", "mul", 2], ["op=sub", "sub", 2]
    ]  # fmt: skip


@pytest.mark.slow  # the test above has figures of an axis of words
def test_whole_donors_and_none_are_an_axis_with_figures(operations, tmp_path):
    folder = str(operations.path)
    starts = [
        StartFrom(folder, step="end", where="op=add"),
        StartFrom(folder, step=20, where={"op": "sub", "weight_decay": 0.5}),
        None,
    ]
    experiment = dataclasses.replace(RUNS, sweep=grid(start=starts, seed=range(2)))
    results = grokjax.run(experiment, tmp_path / "r", progress=False)
    assert len(set(results.runs["run_id"])) == 6
    assert results.runs["start_donor"].nunique() == 4 and results.runs["start_donor"].count() == 4
    first = results.curves.query("step == 0").merge(results.runs, on="run_id")
    ends = operations.curves.merge(operations.runs, on="run_id")
    taken = first.dropna(subset="start_donor").merge(
        ends, left_on=["start_donor"], right_on=["run_id"], suffixes=("", "_then")
    )
    there = taken[taken["step_then"].astype(str) == taken["start_step"].replace("end", "40")]
    pd.testing.assert_series_equal(
        there["weight_norm"], there["weight_norm_then"], check_names=False, rtol=1e-6
    )
    assert len(there) == 4
    assert phase.main([str(results.path), "--x", "start_step", "--y", "start_where"]) == 0


def test_donors_that_are_not_there_or_are_several_are_refused(operations, tmp_path):
    def refused(words, **donor):
        with pytest.raises(ConfigError, match=words):
            start = StartFrom(str(operations.path), step="end", **donor)
            grokjax.run(dataclasses.replace(RUNS, start=start), tmp_path / "r", progress=False)

    refused("0 of its runs have .*op=div, where one is needed", where={"op": "div"})
    refused("opp is no column of its runs", where={"opp": "add"})
    refused("2 of its runs have seed=0, op=add", where={"op": "add"}, match=("seed",))
    refused("as in where=", where=["add"])
    refused("drop one of the two", where=["op=add"], run_id="x")
    assert not (tmp_path / "r").exists()
