"""The benchmark measures something, and its peers train the same network."""

import dataclasses
import json

import numpy as np
import pytest

import grokjax
from grokjax.bench import __main__ as command
from grokjax.bench import cases, jax_peer, ours, peers, record

FILE = """
from grokjax import Experiment, ModularArithmetic, Transformer
experiment = Experiment(
    task=ModularArithmetic("sub", p=7), model=Transformer(width=8, heads=2, mlp_width=16)
)
"""


@pytest.fixture(scope="module", params=cases.STANDARD)
def small(request):
    """A standard case, narrow and on a small table, and its first losses."""
    experiment = cases.STANDARD[request.param]
    model = dataclasses.replace(experiment.model, width=16, mlp_width=32)
    task = dataclasses.replace(experiment.task, p=11)
    return ours.problem(dataclasses.replace(experiment, task=task, model=model))


def test_plain_jax_trains_the_same_network(small):
    problem, losses = small
    np.testing.assert_allclose(jax_peer.contender(problem).steps(4), losses, rtol=1e-5)
    assert losses[3] < losses[0]


def test_pytorch_trains_the_same_network_eager_and_vmapped(small):
    pytest.importorskip("torch")
    from grokjax.bench import torch_peers

    problem, losses = small
    eager = torch_peers.one_by_one(problem, "cpu", compiled=False)
    np.testing.assert_allclose(eager.steps(4), losses, rtol=1e-4)
    vmapped = torch_peers.ensemble(problem, "cpu", runs=2)
    np.testing.assert_allclose(vmapped.steps(4), losses, rtol=1e-4)


# PyTorch's compiler calls what PyTorch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.slow  # up to half a minute; what it compiles is the eager network
def test_pytorch_trains_the_same_network_compiled(small):
    pytest.importorskip("torch")
    from grokjax.bench import torch_peers

    problem, losses = small
    compiled = torch_peers.one_by_one(problem, "cpu", compiled=True)
    np.testing.assert_allclose(compiled.steps(4), losses, rtol=1e-4)


@pytest.mark.parametrize("experiment", cases.STANDARD.values(), ids=cases.STANDARD)
def test_peers_know_the_standard_cases(experiment):
    peers.check(experiment)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("task", {"task": grokjax.SparseParity(), "model": grokjax.MLP()}),
        ("optimizer", {"optimizer": grokjax.SGD()}),
        ("loss", {"loss": grokjax.StableMax()}),
        ("batch_size", {"batch_size": 32}),
        ("warmup_steps", {"optimizer": grokjax.AdamW(warmup_steps=10)}),
        ("norm", {"model": grokjax.Transformer(norm="rms")}),
        ("layers", {"model": grokjax.MLP(layers=2)}),
        ("activation", {"model": grokjax.MLP(token_inputs="one_hot")}),
    ],
)
def test_what_peers_do_not_know_is_refused_in_a_sentence(name, changes):
    with pytest.raises(grokjax.ConfigError, match=f"^{name}=.* leave peers out.$"):
        peers.check(grokjax.Experiment(**changes))


def test_a_file_is_timed_and_the_record_is_complete(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.setattr("grokjax.bench.timing.ROUND_SECONDS", 0.01)
    arguments = ["--cases", str(tmp_path / "mine.py"), "--rounds", "1", "--lanes", "1"]
    assert command.main([*arguments, "--json", "--out", str(tmp_path / "records")]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert row["run_steps_per_second"] == pytest.approx(1e3 / row["ms_per_run_step"])
    assert row["lanes"] == row["devices"] == 1
    assert 0 < row["share_of_peak"] < 1
    assert found["matmul_peak_gflop_per_second"] > 1
    (path,) = (tmp_path / "records").iterdir()
    assert json.loads(path.read_text()) == found
    assert command.main(arguments) == 0
    assert "ms/run-step" in capsys.readouterr().out


def test_records_are_never_overwritten(tmp_path):
    found = {**record.described("cpu", 2, "highest", "x")}
    paths = [record.write(tmp_path, found) for _ in range(3)]
    assert len(set(paths)) == 3


@pytest.mark.parametrize("name", ["2L", "missing.py"])
def test_unknown_cases_are_refused_in_a_sentence(name, capsys):
    assert command.main(["--cases", name]) == 2
    assert name in capsys.readouterr().err


def test_a_ladder_varies_one_thing_at_a_time():
    base = {"p": 97, "width": 64, "layers": 1}
    for case in cases.scaling():
        row = case.experiment.row()
        changed = {name for name, value in base.items() if row[name] != value}
        assert len(changed) + (case.lanes != 1) <= 1
        assert isinstance(case.experiment, grokjax.Experiment)
        assert row["mlp_width"] == 4 * row["width"]
