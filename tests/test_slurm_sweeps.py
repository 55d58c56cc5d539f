"""Sweeps in the queue of a SLURM of two nodes end with the bits of one process, whatever befalls
their jobs. Minutes of waiting: all of it by hand, with what came out in results/trust/slurm.json.
"""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import conftest
import pytest
from crashes import assert_same_rows, small, swept
from slurm_cluster import missing, slurm_cluster

import grokjax
from grokjax.config import Cluster, Slurm

pytest.importorskip("submitit")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"SLURM is not here: {', '.join(missing())}"),
]


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory() as folder, slurm_cluster(Path(folder) / "c") as running:
        yield running


@pytest.fixture
def slurm(cluster, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    for name, value in conftest.QUICK_PROCESS.items():
        monkeypatch.setenv(name, value)
    path = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, path)))
    yield cluster
    cluster.settle()


@pytest.fixture(scope="module")
def experiment():
    """Four runs, a shard each, of some seconds."""
    longer = dataclasses.replace(small(), steps=20_000, log_every=100)
    return swept(longer, weight_decay=[0.1, 1.0], seed=range(2))


@pytest.fixture(scope="module")
def alone(experiment, tmp_path_factory):
    """The folder of the sweep in one process."""
    folder = tmp_path_factory.mktemp("alone") / "sweep"
    grokjax.run(experiment, folder, lanes=1, progress=False)
    return folder


def options(**fields):
    given = {"cores": 1, "shard_minutes": 1e-9, "slurm": Slurm(time=10), **fields}
    return Cluster("slurm", **given)


@contextlib.contextmanager
def driver(experiment, folder, cluster):
    """A driver in a thread, which is through when the block ends."""
    found = []

    def drive():
        how = {"lanes": 1, "progress": False, "cluster": cluster}
        found.append(grokjax.run(experiment, folder, **how))

    thread = threading.Thread(target=drive)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()
    assert found and found[0].finished


def in_training(folder, n=1, seconds=240):
    """Wait until attempts at n shards have begun, and a little longer."""
    end = time.monotonic() + seconds
    while len(begun(folder)) < n:
        assert time.monotonic() < end
        time.sleep(0.2)
    time.sleep(2.0)


def begun(folder):
    return sorted((folder / ".work" / "depot").glob("*/shards/*/*/begin.json"))


def running(cluster):
    """Jobs that run, each with its node."""
    lines = cluster.call("squeue", "-h", "-r", "-t", "R", "-o", "%i %N").splitlines()
    return dict(line.split() for line in lines)


def test_an_array_trains_the_sweep(slurm, experiment, alone, tmp_path):
    how = {"lanes": 1, "progress": False, "cluster": options()}
    assert grokjax.run(experiment, tmp_path / "sweep", **how).finished
    assert_same_rows(tmp_path / "sweep", alone)
    assert not (tmp_path / "sweep" / ".work").exists()


def test_requeued_elements_and_a_drained_node_change_nothing(slurm, experiment, alone, tmp_path):
    with driver(experiment, tmp_path / "sweep", options()):
        in_training(tmp_path / "sweep", 2)
        job, node = running(slurm).popitem()
        slurm.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        slurm.call("scontrol", "requeue", job)
    slurm.call("scontrol", "update", f"nodename={node}", "state=resume")
    assert_same_rows(tmp_path / "sweep", alone)


@pytest.mark.parametrize("jobs", [True, False], ids=["machine", "its link"])
def test_a_lost_machine_changes_nothing(slurm, experiment, alone, tmp_path, jobs):
    with driver(experiment, tmp_path / "sweep", options()):
        in_training(tmp_path / "sweep", 2)
        _, node = running(slurm).popitem()
        slurm.kill_node(node, jobs=jobs)
    assert_same_rows(tmp_path / "sweep", alone)


def test_a_shard_longer_than_its_jobs_goes_on_in_the_next(slurm, tmp_path):
    """Jobs of two minutes, which SLURM tells to leave in the first, as exact as it is.

    How many there are depends on the machine; `test_slurm.py` counts those of a shard that sleeps.
    """
    long = swept(dataclasses.replace(small(), steps=15_000, log_every=100), seed=range(2))
    grokjax.run(long, tmp_path / "alone", lanes=1, progress=False)
    attempts = set()
    with driver(long, tmp_path / "sweep", options(slurm=Slurm(time=2))) as thread:
        while thread.is_alive():
            attempts |= set(begun(tmp_path / "sweep"))
            time.sleep(0.2)
    assert_same_rows(tmp_path / "sweep", tmp_path / "alone")
    print(f"{len(attempts)} jobs for 2 shards")


FILE = """
import dataclasses
from crashes import small, swept

experiment = swept(
    dataclasses.replace(small(), steps=20_000, log_every=100), weight_decay=[0.1, 1.0], seed=range(2)
)
"""


def test_commands_submit_join_and_go_on(slurm, alone, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{os.environ['PYTHONPATH']}")
    (tmp_path / "map.py").write_text(FILE)

    def grok(*words):
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr

    sweep = "grokjax.sweep map.py --out sweep --lanes 1 --cluster slurm --cores 1".split()
    sweep += "--slurm.time 10 --shard-minutes 0.001".split()
    assert "the same command goes on" in grok(*sweep, "--detach")
    depot = tmp_path / "sweep" / ".work" / "depot"
    end = time.monotonic() + 300
    while not list(depot.glob("*/shards/*/*/done.json")):
        assert time.monotonic() < end
        time.sleep(0.5)
    assert "shards cut and not joined" in grok("grokjax.cluster", "status", "sweep")
    assert re.search("joined [1-4] runs", grok("grokjax.cluster", "join", "sweep"))
    grok(*sweep)
    assert_same_rows(tmp_path / "sweep", alone)
    assert not (tmp_path / "sweep" / ".work").exists()
