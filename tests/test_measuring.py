"""Instruments in sweeps, after the fact, and on the weights of other programs."""

import dataclasses
import json
import shutil
import threading

import jax
import numpy as np
import pandas as pd
import pytest

import grokjax
from grokjax import (
    ConfigError,
    Experiment,
    Fourier,
    Hessian,
    ModularArithmetic,
    Norms,
    SnapshotSchedule,
    Trajectory,
    config,
    grid,
    measure,
    own,
)
from grokjax.config.synonyms import suggestion
from grokjax.engine import after_the_fact, measuring
from grokjax.engine.measuring import Captured, Meter
from grokjax.engine.plan import Run
from grokjax.results import snapshots
from grokjax.training.spec import spec_of

KEY = ["run_id", "step", "instrument", "part"]
TABLE = (Norms(), Trajectory(), Fourier())
EVERY = {getattr(config, name).kind: getattr(config, name) for name in config.instruments.__all__}
QUICK = {
    "hessian": {"order": 4, "top": 2, "probes": 2, "density": 2},
    "learning_coefficient": {"chains": 2, "draws": 5, "burn_in": 2},
    "commutator": {"pairs": 2},
    "clock_or_pizza": {"samples": 8},
    "dimension": {"points": 20},
}


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


def test_asking_for_measures_changes_no_bit(base, trained, tmp_path):
    plain = grokjax.run(
        dataclasses.replace(base, instruments=()), tmp_path / "plain", progress=False
    )
    pd.testing.assert_frame_equal(plain.curves, trained.curves)
    for one, other in zip(*map(snapshots.found, (plain.path, trained.path)), strict=True):
        assert one.path.name == other.path.name
        left, right = snapshots.read(one), snapshots.read(other)
        assert all((left[name] == right[name]).all() for name in left)


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


def test_what_is_measured_after_the_fact_is_what_was_measured_on_the_way(base, copied, trained):
    moved = trained.measures[trained.measures["instrument"] != "fourier"]
    wanted = (Fourier(), Hessian(order=4, probes=2))
    results = measure.snapshots(copied, wanted, say=lambda _: None, steps=[0, 40])
    # Fourier structure was there at these steps already, and is not measured twice.
    assert not results.measures.duplicated(KEY).any()
    assert set(results.measures.query("instrument == 'hessian'")["step"]) == {0, 40}
    kept = results.measures[~results.measures["instrument"].isin(["hessian", "fourier"])]
    pd.testing.assert_frame_equal(in_order(kept), in_order(moved))


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
    count = len(part.measures.query("instrument == 'hessian'")[["run_id", "step"]].drop_duplicates())
    assert 0 < count < 9
    whole = measure.snapshots(copied, wanted, say=said.append)
    rows = whole.measures.query("instrument == 'hessian'")
    assert len(rows[["run_id", "step"]].drop_duplicates()) == 9
    assert not whole.measures.duplicated(KEY).any() and whole.finished
    assert len(list((copied / "measures").iterdir())) == 1
    told = len(said)
    measure.snapshots(copied, wanted, say=said.append)
    assert len(said) == told  # there is nothing left to measure
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


@pytest.mark.parametrize("kind", EVERY)
def test_every_instrument_measures_alone_what_it_measures_in_a_batch(kind, base, trained):
    instrument = EVERY[kind](**QUICK.get(kind, {}))
    if why := instrument.why_not(base.task, base.model):
        pytest.skip(why)
    stored = [s for s in snapshots.found(trained.path) if s.step == 120]
    configs = {run.run_id: run for run in base.runs()}
    networks = [
        Captured(Run(s.run_id, configs[s.run_id]), s.step, snapshots.read(s), snapshots.read(s))
        for s in stored
    ]
    spec = spec_of(configs[stored[0].run_id])
    options = {
        "with_optimizer": instrument.needs_optimizer,
        "with_end": instrument.needs_end,
    }
    batch, alone = (Meter(spec, (instrument,), at_once, **options) for at_once in (3, 1))
    together, (first,) = batch.measure(networks), alone.measure(networks[:1])
    assert len(together) == 3 and together[0].keys() == {kind}
    for part, value in first[kind].items():
        assert together[0][kind][part] == pytest.approx(value, rel=2e-2, abs=1e-3, nan_ok=True), part
    finite = [np.isfinite(value) for value in first[kind].values()]
    assert np.mean(finite) > 0.5
    others = [value for part, value in together[1][kind].items()]
    assert others != list(together[0][kind].values())  # each network has numbers of its own


@own.instrument(cadence="table", needs_optimizer=True)
def moved(observed):
    """Distance from the start, and the length of the next update."""
    flat = [jax.flatten_util.ravel_pytree(x)[0] for x in (observed.params, observed.start)]
    update = jax.flatten_util.ravel_pytree(observed.update)[0]
    return {"distance": ((flat[0] - flat[1]) ** 2).sum() ** 0.5, "next": (update**2).sum() ** 0.5}


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


def test_weights_of_another_program(base, trained, tmp_path):
    run_id = trained.runs["run_id"].iloc[0]
    arrays = snapshots.read(trained.find_snapshot(run_id, "end"))
    ours = {n.removeprefix("params/"): a for n, a in arrays.items() if n.startswith("params/")}
    theirs = {name.replace("/", "."): array for name, array in ours.items()}
    theirs["W_E"] = np.concatenate([theirs.pop("embed"), np.zeros((2, 8), "f")]).T
    np.savez(tmp_path / "w.npz", **theirs)
    names = {name: name.replace("/", ".") for name in ours}
    names["embed"] = {"name": "W_E", "transpose": [1, 0]}
    with pytest.raises(ConfigError, match=r"embed: .* has it in the shape \(8, 8\)"):
        measure.weights(tmp_path / "w.npz", base, names=names)
    names["embed"] = {"name": "W_E", "transpose": [1, 0], "shape": [-1]}
    theirs["W_E"] = theirs["W_E"][:, :6]
    np.savez(tmp_path / "w.npz", **theirs)
    names["embed"] = {"name": "W_E", "transpose": [1, 0]}
    table = measure.weights(tmp_path / "w.npz", base, (Norms(), Fourier()), names)
    end = trained.measures.query(f"run_id == '{run_id}' and step == 120").set_index(KEY[2:])["value"]
    found = table.set_index(KEY[2:])["value"]
    for part in (("norms", "all.norm"), ("fourier", "circulant"), ("fourier", "restricted")):
        assert found[part] == pytest.approx(end[part], rel=1e-4)


@pytest.mark.parametrize(
    "names, sentence",
    [
        ({}, "embed is missing, say which array"),
        ({"embed": "nowhere"}, "has no array 'nowhere', it has embed"),
        ({"embed": {"name": "embed", "turn": 1}}, "turn is not known, say name, rows"),
    ],
)
def test_names_that_do_not_fit(names, sentence, base, tmp_path):
    np.savez(tmp_path / "w.npz", embed=np.zeros((6, 8)))
    with pytest.raises(ConfigError, match=sentence):
        measure.weights(tmp_path / "w.npz", base, names=names)


def test_instruments_that_do_not_fit_are_refused_at_once(base):
    with pytest.raises(ConfigError, match="it measures snapshots, give snapshots=Snap"):
        dataclasses.replace(base, snapshots=None, instruments=(Hessian(),))
    random = ModularArithmetic("random", p=5)
    with pytest.raises(ConfigError, match="is that of no cyclic group, leave it out"):
        dataclasses.replace(base, task=random, instruments=(Fourier(),))
    with pytest.raises(ConfigError, match="cadence='daily': choose from log_points, table"):
        own.instrument(cadence="daily")


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--instruments", "hesian"], "did you mean hessian"),
        (["--instruments", "hessian:order"], "write settings as hessian:field=value"),
        (["--steps", "t_gork"], "give updates, t_mem, t_grok or end"),
    ],
)
def test_bad_words_on_the_command_line(words, sentence, copied, capsys):
    assert measure.main([str(copied), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert suggestion("hesian", EVERY)


def test_the_command_line_measures_and_says_so(copied, tmp_path, capsys):
    words = ["--instruments", "spectra", "commutator:pairs=2", "--steps", "end"]
    assert measure.main([str(copied), *words]) == 0
    assert "networks in" in capsys.readouterr().out
    results = grokjax.load(copied)
    assert set(results.measures.query("instrument == 'commutator'")["step"]) == {120}
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"embed": "embed"}))
    assert measure.main(["w.npz", "--names", str(names)]) == 2
    assert "--experiment FILE" in capsys.readouterr().err
    assert measuring.Measured  # what the numbers of a network are called
