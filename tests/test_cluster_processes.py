"""Workers in processes of their own: users' own parts get there, and kill -9 costs nothing."""

import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from conftest import QUICK_PROCESS
from crashes import assert_same_rows

import grokjax
from grokjax import sweep

FILE = """
import jax
import grokjax
from grokjax import own, traced

@own.loss
def focal(logits, targets, *, gamma: float = traced(2.0)):
    one_hot = jax.nn.one_hot(targets, logits.shape[-1])
    log_right = (one_hot * jax.nn.log_softmax(logits)).sum(axis=-1)
    return -((1 - jax.numpy.exp(log_right)) ** gamma) * log_right

experiment = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=7),
    model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
    loss=focal(), steps=STEPS, log_every=10, sweep=grokjax.grid(gamma=[0.0, 2.0]),
)
"""


@pytest.fixture
def quick(monkeypatch):
    for name, value in QUICK_PROCESS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.drawn
def test_own_parts_reach_workers(tmp_path, quick, capsys):
    path, folder = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(FILE.replace("STEPS", "100"))
    words = [str(path), "--cluster", "inline", "--workers", "1", "--lanes", "2", "--quiet"]
    assert sweep.main([*words, "--out", str(folder)]) == 0
    results = grokjax.load(folder)
    assert results.finished and list(results.runs["loss"]) == ["mine.focal"] * 2
    assert set(results.runs["gamma"]) == {0.0, 2.0}
    (cut,) = results.manifest["programs"].values()
    assert cut["signature"]["cores"] == 1 and cut["lanes"] == 2
    assert not (folder / ".work").exists()


@pytest.mark.slow
def test_processes_that_are_killed_at_random_cost_nothing(tmp_path, quick):
    """Driver and workers get SIGKILL at random; the same command ends in the same tables."""
    path, folder = tmp_path / "mine.py", tmp_path / "out"
    path.write_text(FILE.replace("STEPS", "20000").replace("[0.0, 2.0]", "[0.0, 1.0, 2.0, 3.0]"))
    words = [sys.executable, "-m", "grokjax.sweep", str(path), "--lanes", "1", "--quiet"]
    on_workers = [*words, "--cluster", "inline", "--workers", "2", "--shard-minutes", "1e-9"]
    subprocess.run([*words, "--out", str(tmp_path / "alone")], check=True)
    chance, kills = random.Random(0), 0
    for _ in range(30):
        process = subprocess.Popen([*on_workers, "--out", str(folder)], start_new_session=True)
        end = time.monotonic() + chance.uniform(5, 30)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
        elif process.returncode == 0:
            break
    else:
        assert subprocess.run([*on_workers, "--out", str(folder)]).returncode == 0
    assert kills
    assert_same_rows(folder, tmp_path / "alone")
    assert len(pd.read_parquet(folder / "runs")) == 4
