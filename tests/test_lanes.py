"""Lanes that end early, run out of memory, or lie on several devices."""

import dataclasses
import os
import subprocess
import sys

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK_PROCESS, hparams

import grokjax
from grokjax.analysis import onset
from grokjax.engine import lanes as lanes_module
from grokjax.engine import plan
from grokjax.engine.lanes import Lanes
from grokjax.results.schema import CLOCK_COLUMNS, METRICS
from grokjax.training import loop as training
from grokjax.training.spec import spec_of


def swept(experiment, **axes):
    return dataclasses.replace(experiment, sweep=grokjax.grid(**axes))


def tables(results):
    """Both tables, without the clock and in an order of their own."""
    runs = results.runs.drop(columns=list(CLOCK_COLUMNS)).sort_values("run_id", ignore_index=True)
    return runs, results.curves.sort_values(["run_id", "step"], ignore_index=True)


@pytest.fixture
def easy(tiny):
    """Runs that generalise soon, most of the table being in training."""
    return dataclasses.replace(
        tiny, task=grokjax.ModularArithmetic("add", p=7), train_fraction=0.9, steps=1000
    )


@pytest.mark.drawn
def test_runs_end_where_they_have_settled_and_not_a_bit_changes(easy, small_segments):
    whole = grokjax.run(swept(easy, seed=range(6), settle_steps=[None]), lanes=2)
    ended = grokjax.run(swept(easy, seed=range(6), settle_steps=[150]), lanes=2)
    reasons = dict(zip(ended.runs["seed"], ended.runs["stop_reason"], strict=True))
    assert "settled" in reasons.values()
    for seed, reason in reasons.items():
        (full_id,) = whole.runs["run_id"][whole.runs["seed"] == seed]
        (row,) = ended.runs[ended.runs["seed"] == seed].to_dict("records")
        full = whole.curves[whole.curves["run_id"] == full_id]
        short = ended.curves[ended.curves["run_id"] == row["run_id"]]
        _, at = onset.settling(full, easy.thresholds, 150, None)
        assert (reason == "settled") == (at is not None and at < len(full) - 1)
        last = full["step"].iloc[at] if reason == "settled" else easy.steps
        assert row["last_step"] == short["step"].max() == last
        columns = ["step", *METRICS]
        np.testing.assert_array_equal(short[columns], full[full["step"] <= last][columns])


def test_the_manifest_says_how_many_updates_were_needed_and_done(easy, small_segments, tmp_path):
    results = grokjax.run(swept(easy, seed=range(6), settle_steps=[50]), tmp_path / "s", lanes=2)
    work = results.manifest["starts"][-1]["work"]
    assert work["run_steps_needed"] == results.runs["last_step"].sum()
    assert work["run_steps_needed"] < work["run_steps_executed"]
    assert 0 <= work["seconds_between_segments"] < work["seconds"]


@pytest.mark.parametrize(
    ("train", "test", "since", "expected"),
    [
        ([1.0] * 6, [0.5, 0.9, 0.9, 0.9, 0.9, 0.9], None, (10, 4)),
        ([1.0] * 6, [0.5, 0.9, 0.9, 0.8, 0.9, 0.9], None, (40, None)),
        ([1.0, 0.9, 1.0, 1.0, 1.0, 1.0], [1.0] * 6, None, (20, 5)),
        ([1.0] * 6, [1.0] * 6, -20, (-20, 1)),
        ([1.0] * 6, [float("nan")] * 6, -10, (-10, 2)),
        ([1.0, 0.9, 1.0, 1.0, 1.0, 1.0], [float("nan")] * 6, None, (20, 5)),
    ],
    ids=[
        "calm",
        "a dip starts anew",
        "training counts too",
        "from the segment before",
        "no test set",
        "no test set, training dips",
    ],
)
def test_settled_means_above_both_thresholds_all_the_while(train, test, since, expected):
    curve = {
        "step": np.arange(0, 60, 10),
        "train_accuracy": np.array(train),
        "test_accuracy": np.array(test),
    }
    assert onset.settling(curve, grokjax.Thresholds(), 30, since) == expected


@pytest.mark.parametrize(
    "survived",
    [
        pytest.param(0, marks=pytest.mark.slow, id="at once"),
        pytest.param(3, id="after three segments", marks=pytest.mark.slow),
    ],
)
def test_without_memory_the_lanes_are_halved_and_runs_begin_again(
    tiny, small_ticks, tmp_path, monkeypatch, survived
):
    healthy, calls = Lanes.advance, []

    def advance(self):
        calls.append(self.program.lanes)
        if self.program.lanes > 1 and len(calls) > survived:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")
        healthy(self)

    monkeypatch.setattr(lanes_module.Lanes, "advance", advance)
    monkeypatch.setattr(plan, "TICK_SECONDS", 0.004)
    experiment = swept(tiny, seed=range(3), steps=[50, 200])
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)
    halved = grokjax.run(experiment, tmp_path / "halved", lanes=4)
    monkeypatch.setattr(lanes_module.Lanes, "advance", healthy)
    assert [program["lanes"] for program in halved.manifest["programs"].values()] == [1]
    if not survived:
        alone = grokjax.run(experiment, tmp_path / "alone", lanes=1)
        for found, expected in zip(tables(halved), tables(alone), strict=True):
            pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert not halved.curves.duplicated(["run_id", "step"]).any()
    assert (halved.runs["status"] == "done").all()
    rows = halved.curves.groupby("run_id").size()
    assert dict(rows) == {r.run_id: r.steps // 10 + 1 for r in halved.runs.itertuples()}


def test_a_single_lane_without_memory_is_tiled(tiny):
    (program,) = plan.make(tiny)
    smaller = plan.smaller(program)
    assert (program.spec.tiles, smaller.spec.tiles, smaller.lanes) == (1, 2, 1)
    assert smaller.name == program.name
    while smaller is not None:
        program, smaller = smaller, plan.smaller(smaller)
    assert program.spec.tiles <= program.spec.train_rows[1]


FOUR_DEVICES = """
import dataclasses, sys
from collections import deque
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
import grokjax
from grokjax.engine import plan
from grokjax.engine.lanes import Lanes

tiny = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=7),
    model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
    optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
    steps=200, dtype="float64",
)

def trained(seeds, devices):
    experiment = dataclasses.replace(tiny, sweep=grokjax.grid(seed=seeds))
    (program,) = plan.make(experiment, devices=devices, lanes=len(seeds))
    assert (program.devices, program.lanes) == (devices, len(seeds))
    lanes = Lanes(dataclasses.replace(program, log_points=21), experiment.thresholds)
    lanes.fill(deque(program.runs))
    lanes.advance()
    return {rows.occupant.run.config.seed: rows.points.metrics for rows in lanes.collect()}, lanes

first, lanes = trained(range(8), 4)
assert {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(lanes.state)} == {4}
for text in (lanes._segment.as_text(), lanes._refill.as_text()):
    for word in ("all-reduce", "all-gather", "all-to-all", "collective", "reduce-scatter"):
        assert word not in text, word
moved, _ = trained([5, 9, 1, 8, 2, 3, 0, 7], 4)
one, _ = trained(range(8), 1)
for seed, metrics in first.items():
    for name, values in metrics.items():
        if seed in moved:
            np.testing.assert_array_equal(values, moved[seed][name], err_msg=name)
        np.testing.assert_allclose(values, one[seed][name], rtol=1e-7, err_msg=name)
"""


@pytest.mark.drawn
def test_four_devices_equal_one_and_never_speak_to_each_other():
    """On four: no collectives, the same bits on another device, one device's numbers."""
    subprocess.run([sys.executable, "-c", FOUR_DEVICES], check=True, env=os.environ | QUICK_PROCESS)


def test_a_sweep_on_more_devices_than_there_are_is_refused(tiny):
    experiment = swept(tiny, seed=range(4))
    (program,) = plan.make(experiment, devices=4)
    recorded = {program.name: {**plan.cut_of(program), "asked_lanes": None}}
    with pytest.raises(grokjax.ConfigError, match="started on 4"):
        plan.make(experiment, devices=1, recorded=recorded)


@pytest.mark.drawn
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_float64_loss_leaves_the_network_as_it_is(tiny, dtype):
    experiment = dataclasses.replace(tiny, dtype=dtype, loss_dtype="float64")
    spec, hp = spec_of(experiment), hparams(experiment)
    with jax.enable_x64(True):
        run = jax.jit(lambda hp: training.segment(spec, 2, hp, training.init(spec, hp)))
        state, metrics, _ = run(hp)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(state.params)}
    assert dtypes == {np.dtype(dtype)}
    assert metrics.columns()["train_loss"].dtype == np.float64
    assert metrics.columns()["grad_norm"].dtype == np.dtype(dtype)


@pytest.mark.drawn
def test_precision_is_recorded_and_is_an_axis(tiny):
    results = grokjax.run(
        dataclasses.replace(
            tiny,
            sweep=grokjax.zipped(
                loss_dtype=["float32", "float64"], matmul_precision=["highest", "default"]
            ),
        )
    )
    assert len(results.runs) == 2
    assert set(results.runs["loss_dtype"]) == {"float32", "float64"}
    assert set(results.runs["matmul_precision"]) == {"highest", "default"}


def test_a_loss_narrower_than_the_network_is_refused(tiny):
    with pytest.raises(grokjax.ConfigError, match="loss_dtype='float32'"):
        dataclasses.replace(tiny, dtype="float64", loss_dtype="float32")
