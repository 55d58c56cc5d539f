"""Instruments in sweeps, after the fact, and on the weights of other programs."""

import dataclasses
import json
import shutil
import threading

import jax
import numpy as np
import pandas as pd
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from test_lowering import read

import grokjax
from grokjax import (
    ConfigError,
    Cosets,
    Experiment,
    FiniteGroup,
    Fourier,
    Hessian,
    ModularArithmetic,
    Norms,
    Representations,
    SnapshotSchedule,
    Trajectory,
    config,
    grid,
    measure,
    own,
)
from grokjax.engine import after_the_fact, compiling, donors, measuring
from grokjax.engine.measuring import Meter, OnHost
from grokjax.engine.plan import Run
from grokjax.results import snapshots
from grokjax.training.points import Point
from grokjax.training.spec import spec_of

GROUP = Experiment(
    task=FiniteGroup("S3", format="a b"),
    model=grokjax.MLP(width=6, mlp_width=12),
    train_fraction=0.6,
    steps=40,
    settle_steps=None,
    log_every=10,
    snapshots=SnapshotSchedule(moments=("end",), with_optimizer=True),
    instruments=(Representations(), Cosets()),
    sweep=grid(seed=range(2)),
)
KEY = ["run_id", "step", "instrument", "part"]
TABLE = (Norms(), Trajectory(), Fourier())
EVERY = config.INSTRUMENTS
QUICK = {
    "hessian": {"order": 4, "top": 2, "probes": 2, "density": 2},
    "learning_coefficient": {"chains": 2, "draws": 5, "burn_in": 2},
    "commutator": {"pairs": 2},
    "clock_or_pizza": {"samples": 8},
    "dimension": {"points": 20},
    "row_groups": {"by": "answer % 2"},
}


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    """The programs here take longer to optimise than to run."""
    before = compiling.COMPILER_OPTIONS["cpu"]
    compiling.COMPILER_OPTIONS["cpu"] = compiling.RARELY_RUN["cpu"]
    yield
    compiling.COMPILER_OPTIONS["cpu"] = before


@pytest.fixture(scope="module")
def base():
    return Experiment(
        task=ModularArithmetic("sub", p=5),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=12),
        optimizer=grokjax.AdamW(learning_rate=2e-2, weight_decay=0.5),
        train_fraction=0.6,
        steps=120,
        settle_steps=None,
        log_every=4,
        snapshots=SnapshotSchedule(at=(40,), moments=("end",), with_optimizer=True),
        instruments=TABLE,
        sweep=grid(seed=range(3)),
    )


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory):
    """A sweep with the instruments of the table; nothing may be written to it."""
    return grokjax.run(base, tmp_path_factory.mktemp("measured") / "r", progress=False)


@pytest.fixture
def copied(trained, tmp_path):
    shutil.copytree(trained.path, tmp_path / "r")
    return tmp_path / "r"


def in_order(measures):
    return measures.sort_values(KEY, ignore_index=True)


@pytest.mark.drawn
def test_asking_for_measures_changes_no_bit(base, trained, tmp_path):
    plain = grokjax.run(
        dataclasses.replace(base, instruments=()), tmp_path / "plain", progress=False
    )
    pd.testing.assert_frame_equal(plain.curves, trained.curves)
    for one, other in zip(*map(snapshots.found, (plain.path, trained.path)), strict=True):
        assert one.path.name == other.path.name
        left, right = snapshots.read(one), snapshots.read(other)
        assert all((left[name] == right[name]).all() for name in left)


@pytest.mark.drawn
def test_the_table_is_measured_at_step_0_and_at_spaced_steps(trained):
    steps = trained.measures.groupby("instrument")["step"].unique()
    assert list(steps["norms"]) == list(range(0, 124, 4))
    assert steps["fourier"][0] == 0 and len(steps["fourier"]) < 31
    assert set(np.diff(steps["fourier"])) <= {4, 8, 12}
    start = trained.measures.query("step == 0 and part == 'all.distance'")["value"]
    assert len(start) == 3 and (start < 1e-5).all()


def test_the_wide_reader_has_a_column_a_number(trained):
    wide = trained.measures_wide(["norms", "fourier"])
    assert {"run_id", "step", "norms.all.norm", "fourier.circulant"} <= set(wide)
    assert not any(column.startswith("trajectory") for column in wide)
    norm = wide.set_index(["run_id", "step"])["norms.all.norm"]
    curve = trained.curves.set_index(["run_id", "step"])["weight_norm"]
    np.testing.assert_allclose(norm, curve.reindex(norm.index), rtol=1e-6)


@pytest.mark.drawn
def test_a_stop_and_another_budget_leave_the_same_measures(base, trained, tmp_path, small_ticks):
    stop = threading.Event()

    def stop_early(progress):
        if progress.run_steps:
            stop.set()

    short = dataclasses.replace(base, steps=60, snapshots=None)
    stopped = grokjax.run(short, tmp_path / "s", report=stop_early, stop=stop)
    assert not stopped.finished
    grokjax.run(short, tmp_path / "s", progress=False)
    grown = grokjax.run(dataclasses.replace(short, steps=120), tmp_path / "s", progress=False)
    whole = dataclasses.replace(base, snapshots=None)
    at_once = grokjax.run(whole, tmp_path / "w", progress=False)
    pd.testing.assert_frame_equal(in_order(grown.measures), in_order(at_once.measures))


@pytest.mark.drawn
def test_what_is_measured_after_the_fact_is_what_was_measured_on_the_way(base, copied, trained):
    moved = trained.measures[trained.measures["instrument"] != "fourier"]
    wanted = (Fourier(), Hessian(order=4, probes=2))
    results = measure.snapshots(copied, wanted, say=lambda _: None, steps=[0, 40])
    # Fourier structure was there at these steps already, and is not measured twice.
    assert not results.measures.duplicated(KEY).any()
    assert set(results.measures.query("instrument == 'hessian'")["step"]) == {0, 40}
    kept = results.measures[~results.measures["instrument"].isin(["hessian", "fourier"])]
    pd.testing.assert_frame_equal(in_order(kept), in_order(moved))


@pytest.mark.slow  # both ways run the same program
def test_numbers_of_both_ways_agree(base, tmp_path):
    on_the_way = grokjax.run(
        dataclasses.replace(base, sweep=grid(seed=[0])), tmp_path / "a", progress=False
    )
    bare = dataclasses.replace(base, instruments=(), sweep=grid(seed=[0]))
    grokjax.run(bare, tmp_path / "b", progress=False)
    after = measure.snapshots(tmp_path / "b", TABLE, say=lambda _: None)
    one, other = (
        r.measures[r.measures["step"].isin([0, 40])].set_index(KEY)["value"].sort_index()
        for r in (on_the_way, after)
    )
    common = one.index.intersection(other.index)
    assert len(common) == len(one)
    np.testing.assert_allclose(other[common], one[common], rtol=2e-3, atol=2e-5)
    # Only what is measured after the fact knows the end.
    assert "restricted_by_end" in set(other.index.get_level_values("part"))


def test_after_the_fact_it_goes_on_where_it_was_stopped(copied, monkeypatch):
    monkeypatch.setattr(after_the_fact, "COMMIT_SECONDS", 0.0)
    stop, said = threading.Event(), []

    def stop_soon(words):
        said.append(words)
        stop.set()

    wanted = [Hessian(order=4, probes=2)]
    part = measure.snapshots(copied, wanted, say=stop_soon, stop=stop)
    count = len(
        part.measures.query("instrument == 'hessian'")[["run_id", "step"]].drop_duplicates()
    )
    assert 0 < count < 9
    whole = measure.snapshots(copied, wanted, say=said.append)
    rows = whole.measures.query("instrument == 'hessian'")
    assert len(rows[["run_id", "step"]].drop_duplicates()) == 9
    assert not whole.measures.duplicated(KEY).any() and whole.finished
    assert len(list((copied / "measures").iterdir())) == 1
    told = len(said)
    (copied / ".work").mkdir()
    (copied / ".work" / "lock").touch()  # as a death in the middle leaves it
    again = measure.snapshots(copied, wanted, say=said.append)
    assert len(said) == told and again.finished  # there is nothing left to measure
    with pytest.raises(ConfigError, match="measured with order=4"):
        measure.snapshots(copied, [Hessian(order=5, probes=2)], say=said.append)


def test_a_sweep_measures_its_snapshots_when_it_has_trained(base, tmp_path):
    asked = dataclasses.replace(base, instruments=(Hessian(order=4, probes=2),))
    stop = threading.Event()

    def stop_when_measuring(progress):
        if "compiling 1 instruments" in progress.activity:
            stop.set()

    first = grokjax.run(asked, tmp_path / "r", report=stop_when_measuring, stop=stop)
    assert not first.finished and (first.runs["status"] == "done").all()
    results = grokjax.run(asked, tmp_path / "r", progress=False)
    assert results.finished
    steps = results.measures.groupby("run_id")["step"].unique()
    assert all(list(of_run) == [0, 40, 120] for of_run in steps)


def fitting(experiment):
    """Every instrument that fits an experiment, at settings that take no time."""
    made = (kind(**QUICK.get(name, {})) for name, kind in EVERY.items())
    fit = (i for i in made if i.why_not(experiment.task, experiment.model) is None)
    return tuple(i for i in fit if not i.of_updates)


def neighbours(base, trained):
    """The networks at the end of three runs, as they were captured."""
    configs = {run.run_id: run for run in base.runs()}
    stored = [s for s in snapshots.found(trained.path) if s.step == 120]
    return [
        OnHost(Run(s.run_id, configs[s.run_id]), s.step, snapshots.read(s), snapshots.read(s))
        for s in stored
    ]


OPTIONS = {"with_optimizer": True, "with_end": True}


@pytest.mark.drawn
def test_every_instrument_measures_each_network_by_itself(base, trained):
    networks = neighbours(base, trained)
    instruments = fitting(base)
    meter = Meter(spec_of(networks[0].run.config), instruments, 2, **OPTIONS)
    needs_else = {"cosets", "parallelograms", "clipping"}
    assert {i.kind for i in instruments} >= EVERY.keys() - needs_else
    one, other, third = meter.measure(networks)
    again, swapped = meter.measure([networks[2], networks[0]])
    for kind in one:
        assert one[kind] == pytest.approx(swapped[kind], rel=0, abs=0, nan_ok=True), kind
        assert third[kind] == pytest.approx(again[kind], rel=0, abs=0, nan_ok=True), kind
        if kind != "parallelograms":  # of five values there are few, and none here
            assert list(one[kind].values()) != list(other[kind].values()), kind
        assert np.isfinite(list(one[kind].values())).mean() > 0.5, kind


@pytest.mark.slow  # the published networks are measured alone, and others in batches, to their numbers
def test_alone_a_network_has_the_numbers_that_it_has_in_a_batch(base, trained):
    networks = neighbours(base, trained)
    spec = spec_of(networks[0].run.config)
    batch, alone = (Meter(spec, TABLE, at_once, **OPTIONS) for at_once in (3, 1))
    together, (first,) = batch.measure(networks), alone.measure(networks[:1])
    for kind, parts in first.items():
        assert together[0][kind] == pytest.approx(parts, rel=1e-3, abs=1e-5), kind


@pytest.mark.drawn
def test_every_instrument_lowers_for_accelerators_with_sums_in_one_order(base):
    for experiment in (base, GROUP):
        (run, *_) = experiment.runs()
        spec = spec_of(run)
        state = donors.state_shapes(spec)
        step = jax.ShapeDtypeStruct((), np.dtype("int32"))
        point = Point(step, state.params, state.optimizer, state.params)
        mesh = jax.make_mesh((1,), ("lanes",), devices=jax.devices()[:1])
        places = NamedSharding(mesh, PartitionSpec("lanes"))
        program = measuring.traced(spec, fitting(experiment), point, 2, places)
        for platform in ("cuda", "tpu"):
            found = read(program.lower(lowering_platforms=(platform,)).as_text())
            assert not found.speaking and not found.unordered


@pytest.mark.drawn
def test_instruments_of_groups(tmp_path):
    results = grokjax.run(GROUP, tmp_path / "g", progress=False)
    wide = results.measures_wide()
    assert {"representations.similarity.sign", "cosets.by_subgroup.C3"} <= set(wide)
    start = wide[wide["step"] == 0]
    # A fresh embedding has the share d²/|G| of each irrep on average: four of six for the largest.
    assert (start["representations.embedding.standard"].between(0.3, 0.95)).all()
    assert wide["cosets.lowest"].dropna().between(0, 1 + 1e-6).all()


@own.instrument(cadence="table", needs_optimizer=True)
def moved(observed):
    """Distance from the start, and the length of the next update."""
    flat = [jax.flatten_util.ravel_pytree(x)[0] for x in (observed.params, observed.start)]
    update = jax.flatten_util.ravel_pytree(observed.update)[0]
    return {"distance": ((flat[0] - flat[1]) ** 2).sum() ** 0.5, "next": (update**2).sum() ** 0.5}


@pytest.mark.drawn
def test_a_users_instrument_of_the_table(base):
    results = grokjax.run(
        dataclasses.replace(base, instruments=(moved(), Trajectory()), sweep=grid(seed=[0])),
        progress=False,
    )
    wide = results.measures_wide()
    distances = wide["test_measuring.moved.distance"], wide["trajectory.all.distance"]
    np.testing.assert_allclose(*distances, rtol=1e-4, atol=1e-5)
    curve = results.curves.set_index("step")["update_norm"]
    np.testing.assert_allclose(
        wide["test_measuring.moved.next"], curve.reindex(wide["step"]), rtol=1e-3
    )


@pytest.mark.drawn
def test_weights_of_another_program(base, trained, tmp_path):
    run_id = trained.runs["run_id"].iloc[0]
    arrays = snapshots.read(trained.find_snapshot(run_id, "end"))
    ours = {n.removeprefix("params/"): a for n, a in arrays.items() if n.startswith("params/")}
    theirs = {name.replace("/", "."): array for name, array in ours.items()}
    theirs["W_E"] = np.concatenate([theirs.pop("embed"), np.zeros((2, 8), "f")]).T  # of 8 tokens
    np.savez(tmp_path / "w.npz", **theirs)
    names = {name: name.replace("/", ".") for name in ours}
    names["embed"] = {"name": "W_E", "transpose": [1, 0]}
    with pytest.raises(ConfigError, match=r"embed: .* has it in the shape \(8, 8\)"):
        measure.weights(tmp_path / "w.npz", base, names=names)
    theirs["W_E"] = theirs["W_E"].T
    np.savez(tmp_path / "w.npz", **theirs)
    names["embed"] = {"name": "W_E", "rows": [0, 6]}
    table = measure.weights(tmp_path / "w.npz", base, (Norms(), Fourier()), names)
    stored = trained.find_snapshot(run_id, "end").path
    own_names = {name: f"params/{name}" for name in ours}
    as_stored = measure.weights(stored, base, (Norms(), Fourier()), own_names)
    pd.testing.assert_frame_equal(table, as_stored)
    measures = trained.measures[trained.measures["run_id"] == run_id]
    last = measures[measures["step"] == 120].set_index(KEY[2:])["value"]
    norm = table.set_index(KEY[2:])["value"]["norms", "all.norm"]
    assert norm == pytest.approx(last["norms", "all.norm"], rel=1e-5)


@pytest.mark.drawn
def test_similarity_of_seeds_and_layers(trained):
    a, b = trained.runs["run_id"].iloc[:2]
    networks = {"one": trained.network(a), "same": trained.network(a), "other": trained.network(b)}
    table = measure.similarity(networks, ["readout", "attention_0/heads"])
    assert table.loc["one readout", "same readout"] == pytest.approx(1, abs=1e-4)
    assert table.loc["one readout", "other readout"] < 0.95
    np.testing.assert_allclose(table, table.T, atol=1e-5)
    with pytest.raises(ConfigError, match="the network shows readout, neurons, attention_0"):
        measure.similarity(networks, ["nowhere"])


@pytest.mark.parametrize(
    "names, sentence",
    [
        ({}, "embed/weight, unembed/weight are missing, say which arrays"),
        ({"embed/weight": "nowhere"}, "has no array 'nowhere', it has embed"),
        ({"embed/weight": {"name": "embed", "turn": 1}}, "turn is not known, say name, rows"),
    ],
)
def test_names_that_do_not_fit(names, sentence, tmp_path):
    one_hot = grokjax.MLP(mlp_width=4, token_inputs="one_hot", biases=False)
    small = Experiment(task=ModularArithmetic(p=5, format="a b"), model=one_hot)
    np.savez(tmp_path / "w.npz", embed=np.zeros((2, 5, 4)))
    with pytest.raises(ConfigError, match=sentence):
        measure.weights(tmp_path / "w.npz", small, names=names)


def test_instruments_that_do_not_fit_are_refused_at_once(base):
    with pytest.raises(ConfigError, match="it measures snapshots, give snapshots=Snap"):
        dataclasses.replace(base, snapshots=None, instruments=(Hessian(),))
    random = ModularArithmetic("random", p=5)
    with pytest.raises(ConfigError, match="is that of no cyclic group, leave it out"):
        dataclasses.replace(base, task=random, instruments=(Fourier(),))
    with pytest.raises(ConfigError, match="table_points_per_decade=0: give 1 to 1000"):
        dataclasses.replace(base, table_points_per_decade=0)
    with pytest.raises(ConfigError, match="cadence='daily': choose from log_points, table"):
        own.instrument(cadence="daily")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--instruments", "hesian"], "did you mean 'hessian'"),
        (["--instruments", "hessian:order"], "write settings as hessian:field=value"),
        (["--steps", "t_gork"], "give updates, t_mem, t_grok or end"),
    ],
)
def test_bad_words_on_the_command_line(words, sentence, copied, capsys):
    assert measure.main([str(copied), *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("names", ["/dev/full", "missing.json"])
def test_names_that_are_no_file(tmp_path, capsys, names):
    """A device without an end filled the memory."""
    assert measure.main([str(tmp_path / "w.npz"), "--names", names]) == 2
    assert capsys.readouterr().err.endswith("there is no such file, give a JSON file.\n")


def test_the_command_line_measures_and_says_so(copied, tmp_path, capsys):
    words = ["--instruments", "spectra", "commutator:pairs=2", "--steps", "end"]
    assert measure.main([str(copied), *words]) == 0
    assert "networks in" in capsys.readouterr().out
    results = grokjax.load(copied)
    assert set(results.measures.query("instrument == 'commutator'")["step"]) == {120}
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"embed": "embed"}))
    np.savez(tmp_path / "w.npz", embed=np.ones((5, 8)))
    assert measure.main([str(tmp_path / "w.npz"), "--names", str(names)]) == 2
    assert "--experiment FILE" in capsys.readouterr().err
