"""The benchmark measures something, and its peers train the same network."""

import dataclasses
import json

import numpy as np
import pytest

import grokjax
from grokjax.bench import __main__ as command
from grokjax.bench import cases, jax_peer, ours, record

FILE = """
from grokjax import Experiment, ModularArithmetic, Transformer
experiment = Experiment(
    task=ModularArithmetic("sub", p=7), model=Transformer(width=8, heads=2, mlp_width=16)
)
"""


@pytest.mark.parametrize("name", cases.STANDARD)
def test_plain_jax_trains_the_same_network(name):
    experiment = cases.STANDARD[name]
    small = dataclasses.replace(
        experiment,
        task=dataclasses.replace(experiment.task, p=11),
        model=dataclasses.replace(experiment.model, width=16, mlp_width=32),
    )
    problem, losses = ours.problem(small)
    np.testing.assert_allclose(jax_peer.contender(problem).steps(4), losses, rtol=1e-5)
    assert losses[3] < losses[0]


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
