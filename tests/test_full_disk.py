"""Commands at their work on a disk that takes no more: a sentence, and the same command goes on."""

import json
import os
import resource
import subprocess
import sys

import pandas as pd
import pytest
from conftest import QUICK_PROCESS

import grokjax
from grokjax import experiment_file

LIMITED = """
import json, os, resource, sys
import matplotlib.font_manager
import grokjax.analysis
from grokjax import command, export, measure, phase, sweep
name, words, most = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
sys.argv = [name, *words]
resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
command.run({"sweep": sweep, "phase": phase, "measure": measure, "export": export}[name].main)
"""
"""A command whose files can have so many bytes, which fails where a full disk would."""
FILE = """
from grokjax import *
experiment = Experiment(
    task=ModularArithmetic("sub", p=7), model=Transformer(width=8, heads=2, mlp_width=16),
    steps=40, log_every=10, sweep=grid(seed=range(2)), snapshots=SnapshotSchedule(at=(20, 40)),
)
"""


def ended(folder, name, words, most):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, name, json.dumps(words), str(most)],
        cwd=folder, env=os.environ | QUICK_PROCESS, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An experiment file, and its sweep in `made`."""
    folder = tmp_path_factory.mktemp("disk")
    (folder / "two.py").write_text(FILE)
    experiment, source = experiment_file.read(folder / "two.py")
    grokjax.run(experiment, folder / "made", source=source, progress=False)
    return folder


CASES = {
    "sweep": ["two.py", "--out", "new", "--quiet"],
    "phase": ["made", "--out", "figures"],
    "measure": ["made", "--instruments", "spectra"],
    "export": ["made", "--run", "THE RUN", "--out", "one.npz"],
}


@pytest.mark.drawn
@pytest.mark.parametrize("name", CASES)
def test_a_command_at_work_on_a_full_disk(folder, name):
    run_id = grokjax.load(folder / "made").runs["run_id"][0]
    words = [run_id if word == "THE RUN" else word for word in CASES[name]]
    before = {path: path.read_bytes() for path in (folder / "made").rglob("*") if path.is_file()}
    status, said = ended(folder, name, words, 600)
    assert (status, "Traceback" in said) == (74, False), said
    assert "File too large; raise the limit of a file's size and give the same command" in said
    assert {path: path.read_bytes() for path in before} == before
    status, said = ended(folder, name, words, resource.RLIM_INFINITY)
    assert status == 0, said
    if name == "sweep":
        tables = [grokjax.load(folder / one).curves for one in ("made", "new")]
        pd.testing.assert_frame_equal(*tables)
