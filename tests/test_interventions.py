"""Changes in time, snapshots, donors, masks and frozen groups, as a user would see them."""

import dataclasses
import functools
import itertools
import threading

import jax
import numpy as np
import pandas as pd
import pytest
from conftest import hparams
from vocabulary import BASE

import grokjax
from grokjax import (
    Change,
    ConfigError,
    Mask,
    ParameterGroups,
    SnapshotSchedule,
    StartFrom,
    grid,
    models,
    tasks,
)
from grokjax.training import loop as training
from grokjax.training.spec import spec_of

METRICS = ["train_loss", "train_accuracy", "test_loss", "test_accuracy", "weight_norm"]


def varied(**changes):
    return dataclasses.replace(BASE, **changes)


def curve(results, **fields):
    """Metrics of the one run with these fields, by step."""
    runs = results.runs
    for name, value in fields.items():
        runs = runs[runs[name] == value]
    (run_id,) = runs["run_id"]
    of_run = results.curves[results.curves["run_id"] == run_id]
    return of_run.sort_values("step").set_index("step")[METRICS]


@pytest.fixture(scope="module")
def donors(tmp_path_factory):
    """Two runs whose parameters are kept, with the optimiser's."""
    folder = tmp_path_factory.mktemp("donors") / "sweep"
    kept = SnapshotSchedule(at=(0, 20), moments=("t_mem", "end"), with_optimizer=True)
    grokjax.run(varied(snapshots=kept, settle_steps=None, sweep=grid(seed=[0, 1])), folder)
    return folder


@pytest.mark.drawn
def test_a_snapshot_is_the_network_of_its_step(donors):
    results = grokjax.load(donors)
    run = results.runs[results.runs["seed"] == 1].iloc[0]
    experiment = varied(seed=1).resolved()
    spec, table = spec_of(experiment), tasks.build(experiment.task)
    steps = [0, 20, int(run["t_mem"]), 60]
    assert set(results.snapshots["step"][results.snapshots["run_id"] == run["run_id"]]) == set(
        steps
    )
    with jax.enable_x64(True):
        hp = hparams(experiment)
        start = jax.jit(training.init, static_argnums=0)(spec, hp).params
        train = jax.jit(training.splits, static_argnums=0)(spec, hp)[0]
        rows = np.asarray(train.index)[0, 0][np.asarray(train.weights)[0, 0] > 0]
        for step in steps:
            params = results.snapshot(run["run_id"], step)
            logits = models.apply(experiment.model, table, training.layout(spec), params, rows)
            shifted = np.asarray(logits) - np.log(np.exp(logits).sum(-1, keepdims=True))
            loss = -shifted[np.arange(len(rows)), table.targets[rows]].mean()
            assert loss == pytest.approx(curve(results, seed=1)["train_loss"][step], rel=1e-9)
    # Drawn by another program there, so the last digit may differ.
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6)
    jax.tree.map(close, results.snapshot(run["run_id"], 0), start)
    at_t_mem = results.snapshot(run["run_id"], "t_mem")
    jax.tree.map(np.testing.assert_array_equal, at_t_mem, results.snapshot(run["run_id"], steps[2]))


def test_what_is_not_there_is_named(donors):
    results = grokjax.load(donors)
    run_id = results.runs["run_id"].iloc[0]
    with pytest.raises(ConfigError, match=r"step=33: .*0, 20, .* are kept"):
        results.snapshot(run_id, 33)
    with pytest.raises(ConfigError, match=r"step='t_grok'"):
        results.snapshot(run_id, "t_grok")
    with pytest.raises(ConfigError, match=r"step='last': give an update"):
        results.snapshot(run_id, "last")
    with pytest.raises(ConfigError, match="run_id='abc'"):
        results.snapshot("abc", 0)


@pytest.mark.drawn
def test_a_change_is_a_snapshot_that_goes_on_with_other_numbers(donors):
    """Decay and rate switched at step 20, and the same from the snapshot of step 20."""
    new = {"weight_decay": 2.0, "learning_rate": 5e-3}
    switched = grokjax.run(varied(changes=(Change(20, **new),), settle_steps=None))
    start = StartFrom(str(donors), step=20, optimizer_state=True)
    optimizer = dataclasses.replace(BASE.optimizer, **new)
    resumed = grokjax.run(varied(start=start, optimizer=optimizer, steps=40, settle_steps=None))
    assert (
        resumed.runs["start_donor"][0] == grokjax.load(donors).runs.set_index("seed")["run_id"][0]
    )
    found, expected = curve(switched), curve(resumed)
    np.testing.assert_allclose(found.loc[20:], expected, rtol=1e-9)
    unchanged = curve(grokjax.load(donors), seed=0)
    np.testing.assert_allclose(found.loc[:20], unchanged.loc[:20], rtol=1e-9)
    assert abs(found["weight_norm"][60] / unchanged["weight_norm"][60] - 1) > 0.01


def test_data_can_be_taken_away():
    """After the change accuracies are over the smaller training set and all other rows."""
    change = Change(30, train_fraction=0.2)
    curves = curve(grokjax.run(varied(changes=(change,), settle_steps=None)))
    few, many = round(0.2 * 25), round(0.6 * 25)
    for step, rows in [(20, many), (30, few), (60, few)]:
        for name, of in [("train_accuracy", rows), ("test_accuracy", 25 - rows)]:
            assert curves[name][step] * of == pytest.approx(round(curves[name][step] * of))
    assert curves["test_accuracy"][30] >= (many - few) / (25 - few) - 0.3  # most it has just seen


def test_a_start_without_optimiser_state_forgets_the_momentum(donors):
    start = StartFrom(str(donors), step=20, match=("seed",))
    results = grokjax.run(varied(start=start, steps=10, settle_steps=None, sweep=grid(seed=[0, 1])))
    for seed in (0, 1):
        begun = curve(grokjax.load(donors), seed=seed).loc[20]
        np.testing.assert_allclose(curve(results, seed=seed).loc[0], begun, rtol=1e-9)


def parameters(results, run_id, step):
    """A snapshot as path → array."""
    tree = results.snapshot(run_id, step)
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}


@pytest.mark.drawn
def test_masks_keep_what_they_say_and_nothing_else_ever_moves(donors, tmp_path):
    rules = ["magnitude", "random", "random_by_layer"]
    experiment = varied(
        mask=Mask(str(donors), step=20, keep=0.3),
        snapshots=SnapshotSchedule(at=(0, 60)),
        settle_steps=None,
        sweep=grid({"mask.rule": rules}) + grid({"mask.by_layer": [True]}),
    )
    results = grokjax.run(experiment, tmp_path / "sweep")
    donor = parameters(grokjax.load(donors), results.runs["mask_donor"][0], 20)
    size = sum(leaf.size for leaf in donor.values())
    counts = {}
    for _, run in results.runs.iterrows():
        first, last = (parameters(results, run["run_id"], step) for step in (0, 60))
        kept = {path: leaf != 0 for path, leaf in first.items()}
        for path, leaf in last.items():
            np.testing.assert_array_equal(leaf != 0, kept[path])
        counts[run["mask_rule"], run["mask_by_layer"]] = {p: k.sum() for p, k in kept.items()}
        if run["mask_rule"] == "magnitude":
            for path, mask in kept.items():
                smallest, largest = np.abs(donor[path][mask]), np.abs(donor[path][~mask])
                assert smallest.min() >= largest.max()
    for (_, by_layer), of_run in counts.items():
        assert sum(of_run.values()) == pytest.approx(0.3 * size, abs=len(donor))
        if by_layer:
            assert of_run == {path: round(0.3 * leaf.size) for path, leaf in donor.items()}
    assert counts["random_by_layer", False] == counts["magnitude", False]
    assert counts["random", False] != counts["magnitude", False]


def test_a_rate_of_nought_freezes_a_group(tmp_path):
    groups = ParameterGroups(embed_learning_rate=0.0)
    kept = SnapshotSchedule(at=(0, 30, 60))
    thaw = (Change(30, embed_learning_rate=1.0, unembed_learning_rate=0.0),)
    experiment = varied(groups=groups, snapshots=kept, changes=thaw, settle_steps=None)
    results = grokjax.run(experiment, tmp_path / "sweep")
    at = [parameters(results, results.runs["run_id"][0], step) for step in (0, 30, 60)]
    for path in at[0]:
        moves = [not np.array_equal(a[path], b[path]) for a, b in itertools.pairwise(at)]
        frozen_first, frozen_last = "'embed'" in path, "'unembed'" in path
        assert moves == [not frozen_first, not frozen_last], path


@pytest.mark.drawn
def test_stopped_and_resumed_keeps_the_same_snapshots(tmp_path, monkeypatch):
    from grokjax.engine import plan

    monkeypatch.setattr(plan, "SEGMENT_SECONDS", 0.001)
    kept = SnapshotSchedule(log_spaced=4, moments=("t_mem",))
    experiment = varied(
        snapshots=kept, changes=(Change(30, weight_decay=1.0),), settle_steps=None,
        sweep=grid(seed=[0, 1, 2]),
    )  # fmt: skip
    grokjax.run(experiment, tmp_path / "whole", lanes=1)
    monkeypatch.setattr(plan, "TICK_SECONDS", 0.002)
    stop, reports = threading.Event(), itertools.count()

    def report(progress):
        if next(reports) % 7 == 6:
            stop.set()

    for _ in range(20):
        stop.clear()
        grokjax.run(experiment, tmp_path / "parts", lanes=1, stop=stop, report=report)
        if grokjax.load(tmp_path / "parts").finished:
            break
    whole, parts = (tmp_path / name / "snapshots" for name in ("whole", "parts"))
    names = sorted(path.name for path in whole.iterdir())
    assert len(names) >= 3 * 3
    assert names == sorted(path.name for path in parts.iterdir())
    for name in names:
        assert (whole / name).read_bytes() == (parts / name).read_bytes()


@pytest.mark.drawn
def test_the_end_is_stored_of_runs_that_settle_diverge_or_use_up_their_budget(
    tmp_path, monkeypatch
):
    """As if each log point were, bit for bit, and under a sweep that is stopped now and then."""
    from grokjax.engine import plan

    monkeypatch.setattr(plan, "SEGMENT_SECONDS", 0.002)
    ending = dataclasses.replace(BASE.thresholds, memorised=0.15, grokked=0.05, settle=2)
    experiment = varied(
        thresholds=ending, settle_steps=10, steps=100, sweep=grid(learning_rate=[5e-2, 5e-3, 1e200])
    )
    every = SnapshotSchedule(at=range(0, 101, 10))
    whole = grokjax.run(
        dataclasses.replace(experiment, snapshots=every), tmp_path / "whole", lanes=2
    )
    monkeypatch.setattr(plan, "TICK_SECONDS", 0.002)
    experiment = dataclasses.replace(experiment, snapshots=SnapshotSchedule(moments=("end",)))
    stop, reports = threading.Event(), itertools.count()

    def report(progress):
        if next(reports) % 7 == 6:
            stop.set()

    starts = 0
    for _ in range(30):
        starts += 1
        stop.clear()
        found = grokjax.run(experiment, tmp_path / "parts", lanes=2, stop=stop, report=report)
        if found.finished:
            break
    assert found.finished and starts > 1 and len(found.snapshots) == 3
    assert set(found.runs["stop_reason"]) == {"settled", "budget", "diverged"}
    pairs = (r.runs.sort_values("learning_rate").itertuples() for r in (found, whole))
    for run, other in zip(*pairs, strict=True):
        assert (run.learning_rate, run.last_step) == (other.learning_rate, other.last_step)
        both = found.snapshot(run.run_id, "end"), whole.snapshot(other.run_id, run.last_step)
        jax.tree.map(np.testing.assert_array_equal, *both)
    (settled,) = found.runs["last_step"][found.runs["stop_reason"] == "settled"]
    assert 0 < settled < 100


BAD_DONORS = {
    "no sweep": ({"path": "nowhere"}, "no sweep.json"),
    "no such step": ({"step": 33}, "step=33"),
    "no such run": ({"run_id": "abc"}, "no run 'abc'"),
    "nothing to tell runs apart": ({"match": ("p",)}, "2 of its runs have p=5"),
    "no such column": ({"match": ("colour",)}, "colour is no field"),
}


@pytest.mark.parametrize("case", BAD_DONORS)
def test_bad_donors_are_refused_before_anything_is_written(donors, tmp_path, case):
    changes, words = BAD_DONORS[case]
    start = StartFrom(**{"path": str(donors), "step": 20, **changes})
    with pytest.raises(ConfigError, match=words):
        grokjax.run(varied(start=start), tmp_path / "sweep")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": dataclasses.replace(BASE.model, mlp_width=13)}, "has the shape"),
        ({"model": dataclasses.replace(BASE.model, biases=True)}, "is missing"),
        ({"optimizer": grokjax.SGD(momentum=0.9)}, "optimizer/.* is missing"),
    ],
)
def test_a_donor_of_another_network_is_refused(donors, tmp_path, changes, words):
    start = StartFrom(str(donors), step=20, optimizer_state=True)
    with pytest.raises(ConfigError, match=words):
        grokjax.run(varied(start=start, **changes), tmp_path / "sweep")
    assert not list(tmp_path.iterdir())


@pytest.mark.drawn
def test_a_grid_can_grow_by_another_optimiser(tmp_path):
    folder = tmp_path / "sweep"
    first = varied(sweep=grid(optimizer=[BASE.optimizer]), settle_steps=None)
    grokjax.run(first, folder)
    both = grid(optimizer=[BASE.optimizer, grokjax.SGD(learning_rate=0.2)])
    results = grokjax.run(varied(sweep=both, settle_steps=None), folder)
    runs = pd.read_parquet(folder / "runs").set_index("optimizer")
    assert runs["learning_rate"].to_dict() == {"adamw": 2e-2, "sgd": 0.2}
    assert pd.isna(runs["b1"]["sgd"])
    assert pd.isna(runs["momentum"]["adamw"])
    assert results.axes["optimizer"] == ["adamw", "sgd"]
