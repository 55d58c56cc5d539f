"""Changes at moments: from the log point at which an accuracy is first reached, and a delay."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from crashes import Killed, crash_before_nth_write
from vocabulary import BASE

import grokjax
from grokjax import Change, ConfigError, Experiment, Norms, SnapshotSchedule, Thresholds, grid
from grokjax.engine import compiling
from grokjax.engine.checkpoint import Checkpoints

KEY = ["run_id", "step"]
RUNS = dataclasses.replace(
    BASE,
    steps=60,
    log_every=5,
    thresholds=Thresholds(memorised=0.6, grokked=0.99, settle=1),
    settle_steps=None,
    snapshots=SnapshotSchedule(moments=("t_mem", "end")),
)


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    """The programs here take longer to optimise than to run."""
    before = compiling.COMPILER_OPTIONS["cpu"]
    compiling.COMPILER_OPTIONS["cpu"] = compiling.RARELY_RUN["cpu"]
    yield
    compiling.COMPILER_OPTIONS["cpu"] = before


SWEPT = dataclasses.replace(
    RUNS,
    changes=(Change(at="t_mem", delay=3, learning_rate=1e-4), Change(at="t_grok", b1=0.5)),
    sweep=grid({"changes.0.delay": [0, 3, 10]}, seed=range(2)),
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    return grokjax.run(SWEPT, tmp_path_factory.mktemp("moments") / "r", lanes=2, progress=False)


@pytest.mark.drawn
def test_it_is_the_change_at_the_step_that_the_moment_comes_to(swept, tmp_path):
    found = swept.runs.set_index("run_id")
    assert (found["t_mem"] > 0).all() and (found["t_mem"] < 60).all()
    steps = sorted({int(row.t_mem + row.changes_0_delay) for row in found.itertuples()})
    known = dataclasses.replace(
        RUNS,
        changes=(Change(30, learning_rate=1e-4),),
        sweep=grid({"changes.0.step": steps}, seed=range(2)),
    )
    by_step = grokjax.run(known, tmp_path / "r", lanes=2, progress=False)
    other = by_step.runs.set_index(["changes_0_step", "seed"])["run_id"]
    for run_id, row in found.iterrows():
        same = other[int(row["t_mem"] + row["changes_0_delay"]), row["seed"]]
        curves = [
            r.curves.query("run_id == @one").drop(columns="run_id")
            for r, one in ((swept, run_id), (by_step, same))
        ]
        np.testing.assert_allclose(*curves, rtol=1e-9)
    norms = swept.curves.groupby("step")["weight_norm"].nunique()
    assert norms[0] == 2 and norms[60] == 6  # delays matter


@pytest.mark.drawn
def test_a_killed_sweep_of_them_goes_on_to_the_same_bits(swept, tmp_path, small_ticks):
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 2, False, [(Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(SWEPT, tmp_path / "r", lanes=2, progress=False)
    results = grokjax.run(SWEPT, tmp_path / "r", lanes=2, progress=False)
    found, whole = (r.curves.sort_values(KEY, ignore_index=True) for r in (results, swept))
    pd.testing.assert_frame_equal(found, whole)


def test_a_network_of_the_results_knows_what_had_changed(swept):
    run = swept.runs.iloc[0]
    network = swept.network(run["run_id"], "t_mem")
    assert network.step == run["t_mem"]


def test_the_threshold_is_part_of_what_such_a_run_is_called():
    other = Thresholds(memorised=0.7)
    moment = dataclasses.replace(BASE, changes=(Change(at="t_mem", b1=0.5),))
    step = dataclasses.replace(BASE, changes=(Change(5, b1=0.5),))
    for one, differs in ((moment, True), (step, False)):
        assert (one.run_id != dataclasses.replace(one, thresholds=other).run_id) == differs


def test_moments_that_make_no_sense_are_refused():
    def refused(words, make):
        with pytest.raises(ConfigError, match=words):
            make()

    refused("a step must be given", lambda: Change(b1=0.5))
    refused("waits for t_mem already", lambda: Change(5, at="t_mem", b1=0.5))
    refused("counts from a moment", lambda: Change(5, delay=3, b1=0.5))
    refused("did you mean 't_grok'", lambda: Change(at="t_grokked", b1=0.5))
    late = Change(at="t_mem", delay=60, b1=0.5)
    refused("beyond the budget of 60", lambda: dataclasses.replace(BASE, changes=(late,)))
    watched = dataclasses.replace(BASE, changes=(Change(at="t_mem", b1=0.5),))
    dataclasses.replace(watched, instruments=(Norms(),))
    refused(
        "nothing tells which changes at moments",
        lambda: dataclasses.replace(watched, instruments=(grokjax.Spectra(),)),
    )
    assert Experiment(changes=[late]).changes == (late,)
