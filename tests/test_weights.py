"""Networks, splits and configurations out of a results folder."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import network_inputs

import grokjax
from grokjax import (
    MLP,
    Change,
    ConfigError,
    Norms,
    SnapshotSchedule,
    export,
    measure,
    own,
    traced,
    weights,
)
from grokjax.weights import run_of


@own.gradient_modifier
def halved(*, factor: float = traced(0.5)):
    return optax.scale(factor)


SETTINGS = {
    "transformer": {},
    "mlp": {"model": MLP(width=8, mlp_width=16)},
    "two answers": {
        "task": grokjax.ModularArithmetic("sub", p=5),
        "model": grokjax.Transformer(
            width=8,
            heads=2,
            mlp_width=16,
            norm="peri",
            biases=True,
            gated=True,
            qk_norm=True,
            dropout=0.1,
            dropout_places=["weights", "hidden"],
            norm_kind="layer",
            embed_init="frequencies",
            frequencies=[1, 2],
            attention_biases=False,
        ),
        "dtype": "float64",
    },
    "changed and noisy": {
        "label_noise": 0.2,
        "changes": (Change(50, train_fraction=0.3, weight_decay=0.0),),
        "modifiers": (grokjax.GrokfastEMA(factor=1.0), halved(factor=0.25)),
    },
}


PARAMS = [pytest.param("transformer", marks=pytest.mark.slow), *list(SETTINGS)[1:]]
"""The plain transformer is in the one that changes, too."""


@pytest.fixture(scope="module", params=PARAMS)
def swept(request, tmp_path_factory):
    """A sweep with snapshots, and the folder of its results."""
    experiment = grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=100,
        log_every=10,
        snapshots=SnapshotSchedule(at=(0, 80)),
        sweep=grokjax.grid(seed=[1], weight_decay=[0.25, 0.5]),
    ).replaced(**SETTINGS[request.param])
    folder = tmp_path_factory.mktemp("weights") / "sweep"
    return experiment, grokjax.run(experiment, folder, progress=False)


@pytest.mark.drawn
def test_the_network_and_the_split_have_the_scores_of_the_curves(swept):
    _, results = swept
    for run_id, step in results.snapshots.itertuples(index=False):
        network = results.network(run_id, step)
        split = results.split(run_id, step)
        (row,) = results.curves_of(run_id).query("step == @step").to_dict("records")
        logits = np.asarray(network())
        guesses = logits.argmax(-1)
        right = guesses == split.targets
        assert right[split.test].mean() == pytest.approx(row["test_accuracy"], abs=1e-6)
        assert right[split.train].mean() == pytest.approx(row["train_accuracy_true"], abs=1e-6)
        fitted = guesses[split.train] == split.labels[split.train]
        assert fitted.mean() == pytest.approx(row["train_accuracy"], abs=1e-6)
        losses = -np.asarray(jax.nn.log_softmax(logits))[np.arange(len(logits)), split.targets]
        assert losses[split.test].mean() == pytest.approx(row["test_loss"], rel=1e-5)
        assert sorted([*split.train, *split.test]) == list(range(len(split.targets)))
        norm = np.sqrt(sum((np.asarray(x) ** 2).sum() for x in jax.tree.leaves(network.params)))
        assert norm == pytest.approx(row["weight_norm"], rel=1e-5)


def test_a_run_is_rebuilt_from_its_results_and_from_its_experiment(swept):
    experiment, results = swept
    for run_id, run in experiment.expansion.runs.items():
        assert run_of(results, run_id) == run_of(results, run_id, experiment) == run


@pytest.mark.drawn
def test_some_rows_have_the_logits_that_they_have_among_all(swept):
    experiment, results = swept
    network = results.network(results.runs["run_id"][0], 80)
    rows = network_inputs(experiment)[[3, 1, 4]]
    np.testing.assert_allclose(network(rows), network()[jnp.array([3, 1, 4])], rtol=1e-5, atol=1e-6)
    gradient = jax.jit(jax.grad(lambda params: network(rows, params).sum()))(network.params)
    assert jax.tree.structure(gradient) == jax.tree.structure(network.params)
    with pytest.raises(ConfigError, match="give rows of"):
        network(rows[:, :1])
    with pytest.raises(ConfigError, match="tokens are whole numbers from 0 to"):
        network(rows + 100)


def test_every_axis_of_a_parameter_has_a_word(swept):
    _, results = swept
    table = results.network(results.runs["run_id"][0], 0).parameters
    assert (table["axes"].str.split(", ").map(len) == table["shape"].map(len)).all()


@pytest.mark.drawn
def test_a_saved_network_is_read_and_measured_as_what_it_is(swept, tmp_path):
    experiment, results = swept
    network = results.network(results.runs["run_id"][1], 80)
    for path in (tmp_path / "net.npz", tmp_path / "net.safetensors"):
        network.save(path)
        again = weights.read(path)
        assert (again.run, again.step, again.model) == (network.run, 80, network.model)
        jax.tree.map(np.testing.assert_array_equal, again.params, network.params)
        assert weights.read(path, experiment).run == network.run
    np.testing.assert_array_equal(again(), network())
    measured = measure.weights(path, instruments=(Norms(),)).set_index("part")["value"]
    norm = np.sqrt(sum((np.asarray(x) ** 2).sum() for x in jax.tree.leaves(network.params)))
    assert measured["all.norm"] == pytest.approx(norm, rel=1e-5)
    with pytest.raises(ConfigError, match="its sweep has no such run"):
        weights.read(path, dataclasses.replace(experiment, sweep=grokjax.grid(seed=[7])))


def test_the_command_writes_what_save_writes(swept, tmp_path, capsys):
    _, results = swept
    run_id = results.runs["run_id"][0]
    words = [str(results.path), "--run", run_id, "--step", "80", "--out"]
    assert export.main([*words, str(tmp_path / "command.safetensors")]) == 0
    assert f"{run_id} at step 80" in capsys.readouterr().out
    results.network(run_id, 80).save(tmp_path / "save.safetensors")
    one, other = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("command", "save"))
    assert one == other
    torch = [*words, str(tmp_path / "torch.npz"), "--names", "torch"]
    assert export.main(torch) == 0
    with pytest.raises(ConfigError, match="does not say by grokjax's names what it is a network"):
        weights.read(tmp_path / "torch.npz")
    with pytest.raises(ConfigError, match="not readable"):
        weights.read(tmp_path / "nothing.npz")
    assert export.main([*words, str(tmp_path / "net.pt")]) == 2
    assert "end it in .safetensors or .npz" in capsys.readouterr().err


@pytest.mark.drawn
def test_what_results_do_not_tell_is_asked_for(tmp_path):
    inputs = [[a, b] for a in range(5) for b in range(5)]
    experiment = grokjax.Experiment(
        task=grokjax.Table(inputs, [(a + b) % 5 for a, b in inputs]),
        model=MLP(width=4, mlp_width=8),
        steps=20,
        log_every=10,
        snapshots=SnapshotSchedule(at=(20,)),
    )
    results = grokjax.run(experiment, tmp_path / "sweep", progress=False)
    (run_id,) = results.runs["run_id"]
    with pytest.raises(ConfigError, match=r"its rows are not in the results, give experiment="):
        results.network(run_id, 20)
    assert results.network(run_id, 20, experiment)().shape == (25, 5)
    results.network(run_id, 20, experiment).save(tmp_path / "net.npz")
    with pytest.raises(ConfigError, match=r"its rows are not in the results, give experiment="):
        weights.read(tmp_path / "net.npz")
    assert weights.read(tmp_path / "net.npz", experiment)().shape == (25, 5)
    other = dataclasses.replace(experiment, seed=1)
    with pytest.raises(ConfigError, match="its sweep has no such run"):
        results.split(run_id, experiment=other)
    with pytest.raises(ConfigError, match="no such run has ended"):
        weights.training_split(results, "0" * 16)
