"""Phases, paths and spikes of runs, on curves with known answers."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import grokjax
from grokjax import AdamW, ConfigError, Experiment, ModularArithmetic, SnapshotSchedule, grid
from grokjax.analysis import progress, spikes, trajectory
from grokjax.figures import instruments, maps


@pytest.mark.drawn
def test_a_random_walk_has_large_components_too():
    """An isotropic walk of many steps: 6/π² of the centred variance in the first component."""
    steps = 2000
    gram = trajectory.random_walk(np.ones(steps))
    values, _ = trajectory._components(gram)
    assert values[0] / values.sum() == pytest.approx(6 / np.pi**2, abs=2e-3)
    uncentred = np.linalg.eigvalsh(gram)
    assert uncentred[-1] / uncentred.sum() == pytest.approx(8 / np.pi**2, abs=2e-3)
    drawn = np.cumsum(np.random.default_rng(0).standard_normal((200, 20_000)), axis=0)
    drawn = np.concatenate([np.zeros((1, drawn.shape[1])), drawn])
    sampled, _ = trajectory._components(drawn @ drawn.T)
    null, _ = trajectory._components(trajectory.random_walk(np.full(200, np.sqrt(20_000))))
    shares = [x[:3] / x.sum() for x in (sampled, null)]
    np.testing.assert_allclose(*shares, atol=0.02)


def test_the_phases_of_a_run():
    step = np.arange(0, 1001, 10)
    loss = np.where(step < 600, 3 + step / 600, 4 * np.exp(-(step - 600) / 50.0))
    curve = pd.DataFrame({"step": step, "test_loss": loss})
    found = progress.phases(curve, 100, 800).set_index("phase")
    assert list(found["start"]) == [0, 100, 600] and list(found["end"]) == [100, 600, 800]
    never = progress.phases(curve, 100, None)
    assert list(never["phase"]) == ["memorisation", "circuit formation"]
    assert progress.phases(curve, np.nan, None).empty


def test_when_measures_have_moved():
    step = np.array([0, 10, 20, 30, 40])
    wide = pd.DataFrame({"run_id": "a", "step": step, "x": [0, 1, 0, 3, 4.0], "y": [5.0] * 5})
    found = progress.moved(wide, ["x", "y"]).set_index("measure")
    assert found.loc["x", "step"] == 30  # halfway for good; once before it went back
    assert np.isnan(found.loc["y", "step"])


def test_spikes_and_what_came_before_them():
    step = np.arange(0, 600, 10)
    loss, accuracy = np.full(60, 1e-4), np.ones(60)
    loss[30], accuracy[30] = 0.5, 0.8
    loss[45] = 0.5  # no dip: not counted
    curve = pd.DataFrame({"step": step, "train_loss": loss, "train_accuracy": accuracy})
    measures = pd.DataFrame({"step": [100, 200, 290], "norms.unembed.norm": [1.0, 2.0, 3.0]})
    (spike,) = spikes.spikes(curve, measures).to_dict("records")
    assert spike["step"] == 300 and spike["ratio"] == pytest.approx(5000)
    assert spike["last_layer_norm"] == 3 and spike["norm_growth"] == pytest.approx(3)
    assert np.isnan(spike["sharpness_over_threshold"])
    assert spikes.spikes(curve).columns.tolist() == ["step", "ratio", "dip"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    experiment = Experiment(
        task=ModularArithmetic("sub", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=12),
        optimizer=AdamW(learning_rate=2e-2),
        steps=200,
        settle_steps=None,
        log_every=10,
        snapshots=SnapshotSchedule(at=(0,), log_spaced=5, moments=("end",)),
        instruments=(grokjax.Fourier(), grokjax.Norms()),
        sweep=grid(weight_decay=[0.1, 1.0], train_fraction=[0.5, 0.7], seed=range(2)),
    )
    return grokjax.run(experiment, tmp_path_factory.mktemp("p") / "r", progress=False)


@pytest.mark.drawn
def test_the_gallery_of_measures(measured):
    run_id = measured.runs["run_id"].iloc[0]
    assert repr(measured.plot("measures")).endswith("measures of 8 runs")
    drawn = measured.plot("progress")
    assert set(drawn.data_["losses"]["loss"]) == {
        "train_loss",
        "test_loss",
        "restricted",
        "excluded",
    }
    spectrum = progress.embedding_spectrum(measured, run_id)
    assert set(spectrum["frequency"]) == {1, 2, 3}
    instruments.spectrum_plot(spectrum)
    path = trajectory.trajectory(measured, run_id)
    assert path.shares.sum() == pytest.approx(1, abs=1e-6)
    drawn = instruments.path_plot(path, 10, 100)
    assert len(drawn.data_["path"]) == len(path.steps)
    last = measured.measures_wide().groupby("run_id").last().reset_index()
    runs = measured.runs.merge(last, on="run_id")
    cells = maps.value_map(runs, "weight_decay", "train_fraction", "fourier.circulant").data_
    assert len(cells["cells"]) == 4 and (cells["cells"]["n"] == 2).all()


@pytest.mark.drawn
@pytest.mark.parametrize("name", ["norms.all.norm", "final_test_loss", "t_mem"])
def test_any_number_over_a_map(measured, name):
    drawn = measured.plot(f"map_{name}")
    assert len(drawn.data_["cells"]) == 4 and drawn.data_["cells"]["median"].notna().all()


def test_a_number_that_is_none(measured):
    with pytest.raises(ConfigError, match=r"did you mean 'fourier\.circulant'"):
        measured.plot("map_fourier.circulent")


def test_what_a_path_needs(measured):
    run_id = measured.runs["run_id"].iloc[0]
    with pytest.raises(ConfigError, match="no parameter's name begins so"):
        trajectory.trajectory(measured, run_id, role="nowhere")
    with pytest.raises(ConfigError, match="it has 0 snapshots"):
        trajectory.trajectory(measured, "00")


def test_verdicts_are_printed_of_a_recorded_map(capsys, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.setattr("sys.argv", ["verdicts.py", str(root / "results/recorded/measures_map")])
    runpy.run_path(str(root / "experiments" / "verdicts.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "fourier.circulant                0.97 ± 0.06 of 88 runs" in said
    assert "predicted 50 and 90 % intervals hold 49% and 90%" in said


@pytest.mark.drawn
def test_the_page_shows_what_was_measured(measured, tmp_path):
    from grokjax import closing, phase

    summary = phase.summarise(measured)
    paths = closing.write(summary, "t_grok", tmp_path)
    page = next(path for path in paths if path.name == "report.html").read_text()
    assert '"fourier.circulant"' in page and 'id="measured-name"' in page
