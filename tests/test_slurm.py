"""SLURM as an engine, with jobs that count: against Debian's SLURM where it is installed, else as
far as submitit's processes of this machine and imitations of SLURM's commands lead.

`tests/test_slurm_sweeps.py` trains on it.
"""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
import slurm_jobs
from slurm_cluster import ARRAY, NODES, missing, slurm_cluster
from workers import Here

from grokjax.cluster.crew import Crew
from grokjax.cluster.engines import Ended, Job, open_engine, queue
from grokjax.config import Cluster, ConfigError, Slurm

submitit = pytest.importorskip("submitit")
from grokjax.cluster.engines import slurm  # noqa: E402 # it imports submitit

REAL = pytest.mark.skipif(bool(missing()), reason=f"SLURM is not here: {', '.join(missing())}")


@pytest.fixture(autouse=True)
def found_by_jobs(monkeypatch):
    """Jobs import the functions of `slurm_jobs`, and a state is asked for at once."""
    here = [
        str(Path(__file__).parent),
        str(Path(__file__).parents[1]),
        *os.environ.get("PYTHONPATH", "").split(":"),
    ]
    monkeypatch.setenv("PYTHONPATH", ":".join(here))
    monkeypatch.setattr(slurm.Slurm, "queue_seconds", 1.0)


def job(folder, shard, to=5):
    return Job(str(folder), str(shard), f"a{shard}", str(to).encode(), 1, 0, None)


def until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def ends(engine, n, seconds=180):
    """The next n ends, by their handles."""
    found: dict[str, Ended] = {}
    until(lambda: found.update({e.handle: e for e in engine.wait(2)}) or len(found) >= n, seconds)
    return found


# Without SLURM


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A function that makes an imitation of a command, of which there are no others."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return put


@pytest.fixture
def processes(tmp_path, monkeypatch):
    """The adapter over submitit's processes of this machine, which know no queue."""
    placed = []

    class Executor(submitit.LocalExecutor):
        def map_array(self, *words):
            placed.extend(super().map_array(*words))
            return placed[-len(words[1]) :]

    monkeypatch.setattr(queue, "states", lambda jobs: {})
    monkeypatch.setattr(slurm, "_parameters", lambda *words: {"timeout_min": 10})
    yield slurm.Slurm(Cluster("slurm"), Executor(tmp_path / "work", max_num_timeout=100), array=2)
    for one in placed:
        one._process.wait()


def test_an_element_that_has_to_leave_goes_on_where_it_was(processes, tmp_path):
    engine = processes
    (counting,) = engine.submit(slurm_jobs.count, [job(tmp_path, 1, 30)])
    (failing,) = engine.submit(slurm_jobs.fail, [job(tmp_path, 2)])
    until(lambda: (tmp_path / "1").exists() and slurm_jobs.counted(tmp_path, 1))
    (start,) = slurm_jobs.history(tmp_path, 1)
    os.kill(int(start.split()[-1]), signal.SIGUSR2)
    assert ends(engine, 2) == {
        counting: Ended(counting, None, lost=False),
        failing: Ended(failing, "ValueError: shard 2 cannot be trained", lost=False),
    }
    first, left, second = slurm_jobs.history(tmp_path, 1)
    assert left == "left after SIGUSR2" and first != second
    assert slurm_jobs.counted(tmp_path, 1) == list(range(30))


def test_a_machine_without_slurm_is_told_so(tmp_path, commands):
    with pytest.raises(ConfigError, match=r"no sbatch on the PATH; start this on a node"):
        open_engine(Cluster("slurm", cores=1), tmp_path)


def test_what_the_site_refuses_is_its_own_sentence(tmp_path, commands):
    commands("srun", "exit 0")
    commands("sbatch", 'echo "sbatch: error: invalid partition specified: $2" >&2; exit 1')
    options = Cluster("slurm", cores=1, slurm=Slurm(partition="gpus"))
    sentence = "cluster='slurm': sbatch says: invalid partition specified: --partition=gpus."
    with pytest.raises(ConfigError, match=sentence):
        open_engine(options, tmp_path)
    assert not (tmp_path / "slurm").exists()


def test_states_are_those_of_the_queue_then_of_the_accounts(commands):
    commands("squeue", "printf '7_0|RUNNING\\n7_1|COMPLETED\\n8|PENDING\\n'")
    commands("sacct", "printf '7_2|CANCELLED by 1000\\n7_0|PENDING\\n'")
    found = queue.states({"7_0", "7_1", "7_2", "7_3", "8"})
    assert found == {
        **{"7_0": "RUNNING", "7_1": "COMPLETED", "8": "PENDING"},
        **{"7_2": "CANCELLED", "7_3": "UNKNOWN"},
    }
    commands("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    commands("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert queue.states({"7_0"}) == {"7_0": "UNKNOWN"}
    # A controller that is away says nothing of jobs, which train on.
    commands("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert queue.states({"7_0"}) == {}


def test_a_job_that_waits_in_the_queue_is_not_slow(tmp_path):
    """A second worker is given a shard that takes too long, by the time since it has begun."""
    crew = Crew(Here(), Cluster("slurm", cores=1), "depot", "t", tmp_path / "jobs.json")
    crew.submit(slurm_jobs.count, [("shard", "t-00001", b"5"), ("other", "t-00002", b"5")])
    (waiting,), (other,) = crew.at("shard"), crew.at("other")
    assert waiting.began is None
    crew.heard({"t-00001-0a": 0.0, "t-00009-0b": 0.0})
    first = waiting.began
    crew.heard({"t-00001-0a": 7.0})
    assert waiting.began == first and other.began is None
    crew.heard({"t-00001-0a": 7.0, "t-00001-0c": 0.0})  # requeued, it begins again
    assert waiting.began > first


def test_room_is_that_of_usable_nodes(commands):
    lines = [
        "gpu*|a1|idle|64|gpu:h100:8(S:0-1)",
        "gpu*|a2|mixed|64|gpu:a100:4(S:0),gpu:h100:2",
        "gpu*|a3|idle*|64|gpu:h100:8",
        "other|a1|idle|64|gpu:h100:8(S:0-1)",
        "other|b1|allocated|8|(null)",
    ]
    commands("sinfo", "printf '" + "\\n".join(lines) + "\\n'")
    assert queue.room(None, cores=1, gpus=1, kind=None) == 8 + 6
    assert queue.room(None, cores=16, gpus=1, kind=None) == 4 + 4
    assert queue.room(None, cores=1, gpus=1, kind="a100") == 4
    assert queue.room(None, cores=4, gpus=0, kind=None) == 16 + 16


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"time": 0}, r"slurm.time=0: give 1 minute or more"),
        ({"options": ("array=1-9",)}, r"slurm.options='array': .*none of array, "),
        ({"options": ("--exclusive",)}, r"slurm.options='--exclusive': .*without their dashes"),
    ],
)
def test_options_on_which_the_way_through_the_queue_depends_are_refused(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Slurm(**options)


# With it


@pytest.fixture(scope="module")
def cluster():
    with tempfile.TemporaryDirectory() as folder, slurm_cluster(Path(folder) / "c") as running:
        yield running


@pytest.fixture
def engine(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    opened = open_engine(Cluster("slurm", cores=1, slurm=Slurm(time=10)), tmp_path / "work")
    yield opened
    cluster.settle()


@REAL
def test_a_real_slurm_refuses_what_it_does_not_have(engine, tmp_path):
    assert engine.capacity() == len(NODES)
    assert (tmp_path / "work" / "slurm").stat().st_mode & 0o777 == 0o700
    refused = {
        "Invalid partition name specified": Slurm(partition="nowhere"),
        r"Invalid generic resource \(gres\) specification": Slurm(gres="gpu:1"),
        "Invalid feature specification": Slurm(constraint="h100"),
        "unrecognized option '--sideways=up'": Slurm(options=("sideways=up",)),
    }
    for sentence, options in refused.items():
        with pytest.raises(ConfigError, match=f"^cluster='slurm': sbatch says: {sentence}.$"):
            open_engine(Cluster("slurm", cores=1, slurm=options), tmp_path)


@REAL
@pytest.mark.slow
def test_arrays_are_no_longer_than_slurm_has_them(engine, tmp_path):
    jobs = [job(tmp_path, shard) for shard in range(ARRAY + 2)]
    handles = engine.submit(slurm_jobs.count, jobs)
    assert len({handle.split("_")[0] for handle in handles}) == 2
    assert ends(engine, len(jobs)) == {h: Ended(h, None, lost=False) for h in handles}
    assert all(slurm_jobs.counted(tmp_path, one.shard) == list(range(5)) for one in jobs)


@REAL
@pytest.mark.slow
def test_what_a_job_raises_is_said_and_what_kills_it_is_a_loss(engine, tmp_path):
    failing = engine.submit(slurm_jobs.fail, [job(tmp_path, 1), job(tmp_path, 2)])
    (dying,) = engine.submit(slurm_jobs.die, [job(tmp_path, 3)])
    found = ends(engine, 3)
    said = "ValueError: shard 1 cannot be trained"
    assert found[failing[0]] == Ended(failing[0], said, lost=False)
    assert found[dying] == Ended(dying, f"SLURM says FAILED of job {dying}", lost=True)


@REAL
@pytest.mark.slow
def test_more_than_slurm_takes_is_refused_as_lost(engine, tmp_path, cluster):
    (first,) = engine.submit(slurm_jobs.count, [job(tmp_path, 1, 30)])
    cluster.call("scontrol", "update", "partitionname=main", "state=down")
    cluster.call("scontrol", "update", "partitionname=main", "state=drain")
    second, third = engine.submit(slurm_jobs.count, [job(tmp_path, 2), job(tmp_path, 3)])
    assert engine.capacity() == 1
    found = ends(engine, 3)
    assert found[first] == Ended(first, None, lost=False)
    assert found[second].lost and found[third].lost
    assert "sbatch says: " in found[second].error
    cluster.call("scontrol", "update", "partitionname=main", "state=up")


@REAL
@pytest.mark.slow
@pytest.mark.parametrize("way", ["requeued", "preempted", "machine lost", "machine cut off"])
def test_a_job_that_leaves_goes_on_under_its_handle(engine, tmp_path, cluster, way):
    (handle,) = engine.submit(
        slurm_jobs.count, [job(tmp_path, 1, 400 if way == "machine cut off" else 60)]
    )
    until(lambda: (tmp_path / "1").exists() and len(slurm_jobs.counted(tmp_path, 1)) > 3)
    node = slurm_jobs.history(tmp_path, 1)[0].split()[-1]
    if way == "requeued":
        cluster.call("scontrol", "requeue", handle)
    elif way == "preempted":
        cluster.call("sbatch", "-p", "urgent", "-N2", "-o", "/dev/null", "--wrap", "sleep 2")
    else:
        cluster.kill_node(node, jobs=way == "machine lost")
    assert ends(engine, 1) == {handle: Ended(handle, None, lost=False)}
    *_, last = slurm_jobs.history(tmp_path, 1)
    if way in ("requeued", "preempted"):
        left = {"requeued": "SIGTERM", "preempted": "SIGUSR2"}[way]
        assert f"left after {left}" in slurm_jobs.history(tmp_path, 1)
        assert slurm_jobs.counted(tmp_path, 1) == list(range(60))
    if way == "machine lost":
        assert last == f"start on {({*NODES} - {node}).pop()}"
        assert slurm_jobs.counted(tmp_path, 1) == list(range(60))


@REAL
@pytest.mark.slow
def test_a_walltime_that_ends_is_announced_and_the_job_requeued(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    options = Cluster("slurm", cores=1, slurm=Slurm(time=2))
    engine = open_engine(options, tmp_path / "work")
    (handle,) = engine.submit(slurm_jobs.count, [job(tmp_path, 1, 900)])
    assert ends(engine, 1, 400) == {handle: Ended(handle, None, lost=False)}
    history = slurm_jobs.history(tmp_path, 1)
    assert history.count("left after SIGUSR2") >= 1 and "left after SIGTERM" not in history
    assert slurm_jobs.counted(tmp_path, 1) == list(range(900))


@REAL
@pytest.mark.slow
def test_jobs_outlive_their_driver_and_can_be_cancelled(engine, tmp_path):
    handles = engine.submit(slurm_jobs.count, [job(tmp_path, 1, 1000), job(tmp_path, 2, 1000)])
    engine.close()
    until(lambda: (tmp_path / "1").exists() and (tmp_path / "2").exists())
    other = open_engine(Cluster("slurm", cores=1, slurm=Slurm(time=10)), tmp_path / "work")
    assert other.adopt([*handles, "999999_0", "refused-a1"]) == set(handles)
    other.cancel(handles)
    found = ends(other, 2)
    assert all(
        e.lost and e.error == f"SLURM says CANCELLED of job {e.handle}" for e in found.values()
    )
    assert slurm_jobs.history(tmp_path, 1)[-1] == "left after SIGTERM"
    assert other.adopt(handles) == set()
