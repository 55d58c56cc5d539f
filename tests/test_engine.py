"""Lanes: what a run computes is its own affair."""

import dataclasses
from collections import deque

import jax
import numpy as np
import pytest
from conftest import in_float64

import grokjax
from grokjax.engine import lanes as lanes_module
from grokjax.engine import plan
from grokjax.engine.lanes import Lanes
from grokjax.results.schema import METRICS


def curve(results, **fields):
    """The curve of the one run with these fields."""
    runs = results.runs
    for name, value in fields.items():
        runs = runs[runs[name] == value]
    (run_id,) = runs["run_id"]
    return results.curves[results.curves["run_id"] == run_id].sort_values("step")[
        ["step", *METRICS]
    ]


def swept(experiment, lanes, **axes):
    return grokjax.run(dataclasses.replace(experiment, sweep=grokjax.grid(**axes)), lanes=lanes)


def test_lane_neighbours_and_moment_of_entry_change_no_bit(tiny, small_segments):
    reference = curve(swept(tiny, 2, seed=[3, 4]), seed=3)
    others = {
        "another lane": swept(tiny, 2, seed=[4, 3]),
        "other neighbours": swept(tiny, 2, seed=[3], weight_decay=[0.5, 0.01]),
        "an idle neighbour": swept(tiny, 2, seed=[4, 5, 3]),
        "a later entry": swept(tiny, 2, steps=[80, 200], seed=[9, 8, 3]),
    }
    for why, results in others.items():
        found = curve(results, seed=3, weight_decay=0.5, steps=200)
        np.testing.assert_array_equal(found.to_numpy(), reference.to_numpy(), err_msg=why)


def test_adding_cells_changes_no_other_run(tiny):
    few = swept(tiny, 2, seed=[0, 1], train_fraction=[0.5])
    many = swept(tiny, 2, seed=[0, 1, 2], train_fraction=[0.5, 0.9], weight_decay=[0.5, 2.0])
    for seed in (0, 1):
        fields = {"seed": seed, "train_fraction": 0.5, "weight_decay": 0.5}
        np.testing.assert_array_equal(curve(many, **fields), curve(few, **fields))


def test_two_segments_of_100_steps_equal_one_of_200_bit_for_bit(tiny):
    experiment = dataclasses.replace(tiny, steps=1000, sweep=grokjax.grid(seed=[0, 1]))
    (program,) = plan.make(experiment)

    def train(log_points, segments):
        lanes = Lanes(dataclasses.replace(program, log_points=log_points), tiny.thresholds)
        lanes.fill(deque(program.runs))
        rows = []
        for _ in range(segments):
            lanes.advance()
            rows.append([np.stack(list(r.points.metrics.values())) for r in lanes.collect()])
        return np.concatenate(rows, axis=-1), lanes.arrays()

    curves_once, state_once = train(20, 1)
    curves_twice, state_twice = train(10, 2)
    np.testing.assert_array_equal(curves_once, curves_twice)
    for once, twice in zip(state_once, state_twice, strict=True):
        np.testing.assert_array_equal(once, twice)


@pytest.mark.slow  # the matrix of the vocabulary asserts it of steps
def test_alone_and_in_a_batch_agree_in_float64(tiny):
    experiment = in_float64(tiny)
    alone = curve(swept(experiment, 1, seed=[2]), seed=2)
    batched = curve(swept(experiment, 4, seed=[0, 1, 2, 3]), seed=2)
    assert alone["step"].max() == 200
    np.testing.assert_allclose(batched.to_numpy(), alone.to_numpy(), rtol=1e-8)


def test_everything_numeric_sweeps_in_one_compilation(tiny, no_compilation_cache):
    """Twelve runs that differ in all of their 27 numbers compile as often as one run."""
    experiment = dataclasses.replace(
        tiny,
        task=grokjax.ModularArithmetic("sub", p=13),
        model=dataclasses.replace(tiny.model, attention_rate=0.5, output_scale=1.0, dropout=0.1),
        optimizer=dataclasses.replace(tiny.optimizer, schedule="cosine"),
        loss=grokjax.Hinge(),
        modifiers=(grokjax.GrokfastEMA(), grokjax.L1(), grokjax.SAM(), grokjax.NormClamp()),
        groups=grokjax.ParameterGroups(),
        changes=(grokjax.Change(10, weight_decay=1.0, train_fraction=0.49),),
    )
    cells = [
        {
            "learning_rate": 1e-3 * (k + 1),
            "weight_decay": 0.1 * k,
            "b1": 0.8 + 0.01 * k,
            "b2": 0.95 + 0.001 * k,
            "eps": 1e-8 * (k + 1),
            "warmup_steps": k,
            "schedule_steps": 100 + k,
            "final_rate": 0.05 * k,
            "margin": 1 + 0.1 * k,
            "attention_rate": k / 12,
            "output_scale": 1 + 0.1 * k,
            "dropout": 0.01 * k,
            "label_noise": 0.01 * k,
            "factor": 0.1 * k,
            "memory": 0.9 + 0.001 * k,
            "l1_strength": 1e-5 * k,
            "radius": 0.01 * k,
            "largest_ratio": 1 + 0.1 * k,
            "embed_learning_rate": 1 + 0.1 * k,
            "bias_decay": 0.1 * k,
            "changes.0.step": 10 + k,
            "changes.0.weight_decay": 0.1 * k,
            "init_scale": 0.5 + 0.1 * k,
            "embed_init_scale": 1 + 0.1 * k,
            "train_fraction": 0.488 + 0.001 * k,
            "seed": k,
            "split_seed": 2 * k,
            "steps": 40 + 10 * k,
        }
        for k in range(12)
    ]
    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        counts = []
        for some in (cells[:1], cells):
            jax.clear_caches()
            lanes_module._compiled.cache_clear()
            before = len(compiled)
            runs = grokjax.run(dataclasses.replace(experiment, sweep=some), lanes=1).runs
            counts.append(len(compiled) - before)
            assert len(runs) == len(some)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert counts[0] == counts[1] >= 2  # filling the lanes, and a segment


def test_a_diverged_run_ends_and_leaves_its_neighbours_alone(tiny, small_segments):
    healthy = curve(swept(tiny, 2, seed=[3, 4]), seed=3)
    mixed = swept(tiny, 2, seed=[3], learning_rate=[1e-2, 1e30])
    np.testing.assert_array_equal(curve(mixed, learning_rate=1e-2), healthy)
    (diverged,) = mixed.runs[mixed.runs["learning_rate"] == 1e30].to_dict("records")
    assert diverged["status"] == diverged["stop_reason"] == "diverged"
    steps = curve(mixed, learning_rate=1e30)
    assert diverged["last_step"] == steps["step"].max() < 200
    finite = np.isfinite(steps[["train_loss", "weight_norm"]].to_numpy()).all(axis=1)
    assert finite[:-1].all()
    assert not finite[-1]


def test_curves_have_a_row_at_every_log_point_from_zero_to_the_budget(tiny):
    results = swept(tiny, 2, seed=[0, 1, 2], steps=[50, 200])
    for _, run in results.runs.iterrows():
        steps = results.curves["step"][results.curves["run_id"] == run["run_id"]]
        np.testing.assert_array_equal(np.sort(steps), np.arange(0, run["steps"] + 1, 10))
        assert run["last_step"] == run["steps"]


@pytest.mark.drawn
def test_lanes_asked_for_are_used_and_recorded(tiny):
    assert set(swept(tiny, 3, seed=range(4)).runs["lanes"]) == {3}
