"""Sweeps in the queue of a SLURM of two nodes end with the bits of one process, whatever befalls
their jobs. Minutes of waiting: all of it by hand, with what came out in results/trust/slurm.json.
"""

import dataclasses
import os
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
    """Six runs, which are a shard each, of some seconds."""
    longer = dataclasses.replace(small(), steps=60_000, log_every=100)
    return swept(longer, weight_decay=[0.1, 1.0], seed=range(4))


@pytest.fixture(scope="module")
def alone(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "sweep"
    began = time.monotonic()
    grokjax.run(experiment, folder, lanes=1, progress=False)
    print(f"alone: {time.monotonic() - began:.1f} s")
    return folder


def options(**fields):
    return Cluster("slurm", cores=1, shard_minutes=1e-9, **{"slurm": Slurm(time=10), **fields})


def in_the_background(experiment, folder, cluster, stop=None):
    """A driver in a thread; its results by what is returned."""
    found = []

    def drive():
        found.append(grokjax.run(experiment, folder, lanes=1, progress=False, cluster=cluster, stop=stop))

    thread = threading.Thread(target=drive)
    thread.start()

    def results():
        thread.join()
        return found[0]

    return results


def running(cluster):
    """Jobs that train, as job and node."""
    lines = cluster.call("squeue", "-h", "-r", "-t", "R", "-o", "%i %N %M").splitlines()
    return [tuple(line.split()) for line in lines]


def test_an_array_trains_the_sweep(slurm, experiment, alone, tmp_path):
    results = grokjax.run(experiment, tmp_path / "sweep", lanes=1, progress=False, cluster=options())
    assert results.finished
    assert_same_rows(tmp_path / "sweep", alone)
    assert not (tmp_path / "sweep" / ".work").exists()
