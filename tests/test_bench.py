"""The benchmark measures something, and its peers train the same network."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import grokjax
from benchmarks import peers
from benchmarks.peers import plain_jax, torch_map
from grokjax.bench import __main__ as command
from grokjax.bench import cases, ours, record
from grokjax.bench import peers as beside

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
    return ours.workload(dataclasses.replace(experiment, task=task, model=model))


@pytest.fixture
def one_thread():
    """PyTorch, whose threads wait for each other at every operation where cores are shared."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.drawn
def test_plain_jax_trains_the_same_network(small):
    workload, losses = small
    with jax.numpy_rank_promotion("allow"):  # as users write it
        ours = plain_jax.contender(workload).steps(4)
    np.testing.assert_allclose(ours, losses, rtol=1e-5)
    assert losses[3] < losses[0]


@pytest.mark.drawn
@pytest.mark.usefixtures("one_thread")
def test_pytorch_trains_the_same_network_eager_and_vmapped(small):
    from benchmarks.peers import torch_steps

    workload, losses = small
    eager = torch_steps.one_by_one(workload, "cpu", compiled=False)
    np.testing.assert_allclose(eager.steps(4), losses, rtol=1e-4)
    vmapped = torch_steps.ensemble(workload, "cpu", runs=2)
    np.testing.assert_allclose(vmapped.steps(4), losses, rtol=1e-4)


# PyTorch's compiler calls what PyTorch deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.slow  # up to half a minute; what it compiles is the eager network
@pytest.mark.usefixtures("one_thread")
def test_pytorch_trains_the_same_network_compiled(small):
    from benchmarks.peers import torch_steps

    workload, losses = small
    compiled = torch_steps.one_by_one(workload, "cpu", compiled=True)
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


@pytest.mark.drawn
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


MAP = """
from grokjax import MLP, AdamW, Experiment, ModularArithmetic, grid
experiment = Experiment(
    task=ModularArithmetic("add", p=7, format="a b"),
    model=MLP(width=16, mlp_width=64, biases=True, init="torch"),
    optimizer=AdamW(learning_rate=1e-2),
    steps=100,
    log_every=20,
    settle_steps=None,
    sweep=grid(weight_decay=[0.0, 0.1], train_fraction=[0.6, 0.8]),
)
"""


@pytest.mark.usefixtures("one_thread")
def test_the_plain_loop_trains_a_part_of_a_map(tmp_path, capsys):
    (tmp_path / "map.py").write_text(MAP)
    arguments = ["--file", str(tmp_path / "map.py"), "--runs", "2"]
    assert torch_map.main([*arguments, "--json", "--out", str(tmp_path / "records")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["runs"], found["of_runs"], found["steps"]) == (2, 4, 200)
    assert [run["train_fraction"] for run in found["ended"]] == [0.6, 0.8]
    assert all(run["train_accuracy"] == 1 for run in found["ended"])
    (path,) = (tmp_path / "records").iterdir()
    assert json.loads(path.read_text()) == found
    assert "2 of 4 runs" in torch_map.sentence(found)


@pytest.mark.parametrize(
    ("text", "arguments", "name"),
    [
        (MAP, ["--runs", "5"], "runs=5"),
        (MAP.replace("settle_steps=None", "settle_steps=500"), [], "settle_steps=500"),
        (MAP.replace('init="torch"', 'init="normal"'), [], "init='normal'"),
        (FILE, [], "model='transformer'"),
    ],
)
def test_the_plain_loop_refuses_what_it_would_train_otherwise(
    text, arguments, name, tmp_path, capsys
):
    (tmp_path / "map.py").write_text(text)
    assert torch_map.main(["--file", str(tmp_path / "map.py"), *arguments]) == 2
    assert f"error: {name}" in capsys.readouterr().err


def test_peers_that_are_not_there_are_said_in_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(beside, "ROOT", tmp_path)
    assert command.main(["--peers"]) == 2
    assert "run this in a checkout" in capsys.readouterr().err


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
