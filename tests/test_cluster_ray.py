"""Ray as an engine: what of it listens, whom it lets in, and sweeps whose nodes and drivers die.

All of Ray runs in processes of its own, bound to the loopback address.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest
from conftest import QUICK_PROCESS
from crashes import ORDER, tables
from ray_nodes import LOOPBACK, Nodes

from grokjax.cluster.engines import Job
from grokjax.cluster.engines.ray import RayEngine
from grokjax.cluster.engines.scratch import Scratch
from grokjax.config.cluster import Cluster

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs pip install 'grokjax[ray]'"
)
HERE = Path(__file__).parent
PATHS = {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
ENOUGH = 240
"""Seconds that a busy machine may take for anything here."""


@pytest.fixture(scope="module")
def nodes():
    with Nodes(PATHS | QUICK_PROCESS) as nodes:
        nodes.add("first")
        nodes.add("second")
        yield nodes


class Sweep:
    """A driver of `ray_sweep` in a process, and what its depot says of its workers."""

    def __init__(self, nodes, out, seeds):
        self._nodes, self._out = nodes, out
        self.attempts = {}
        """Attempt → what it said when it began, and which shard it is at."""
        command = [sys.executable, HERE / "ray_sweep.py", "auto", out, str(seeds)]
        self.process = subprocess.Popen(command, env=nodes.env, stdout=subprocess.DEVNULL)

    def look(self):
        """Take note of the attempts that have begun; the last commit of each that is not done."""
        ticks, done = {}, set()
        for path in self._out.glob(".work/depot/*/shards/*/*/*.json"):
            if path.name.startswith("tick-"):
                ticks[path.parent.name] = max(ticks.get(path.parent.name, 0), int(path.stem[5:]))
            elif path.name == "done.json":
                done.add(path.parent.name)
            elif path.name == "begin.json" and path.parent.name not in self.attempts:
                try:
                    told = json.loads(path.read_text())
                except (OSError, ValueError):
                    continue  # it is being written, or its shard was joined
                where = {"shard": path.parent.parent.name, "node": self._nodes.of(told["pid"])}
                self.attempts[path.parent.name] = told | where
        return {name: tick for name, tick in ticks.items() if name not in done}

    def until(self, wanted):
        """Wait until something is true of the attempts; it is returned."""
        end = time.monotonic() + ENOUGH
        while not (found := wanted(self.look())):
            assert time.monotonic() < end
            assert self.process.poll() is None
            time.sleep(0.05)
        return found

    def under_way(self, ticks, besides=()):
        """An attempt that has pushed a commit or two and lives."""
        for name, tick in ticks.items():
            told = self.attempts.get(name, {"pid": 0})
            if tick > told.get("tick", 0) + 1 and name not in besides and alive(told["pid"]):
                return name
        return None

    def on_nodes(self):
        """How many nodes an attempt has begun on."""
        return len({told["node"] for told in self.attempts.values()})

    def end(self):
        """Wait for the driver, which must succeed."""
        while self.process.poll() is None:
            self.look()
            time.sleep(0.05)
        assert self.process.returncode == 0

    def successors(self, name):
        """The attempts at the same shard that began where this one or a later one was."""
        first = self.attempts[name]
        return [
            other
            for other, told in self.attempts.items()
            if told["shard"] == first["shard"] and other != name and told["tick"] > first["tick"]
        ]


def alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep in one process, with one device of one core as workers have."""
    out = tmp_path_factory.mktemp("whole") / "out"
    core = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(core), sys.executable, HERE / "ray_sweep.py", "none", out, "3"]
    env = os.environ | PATHS | QUICK_PROCESS
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return tables(out)


def assert_rows_of(whole, out, runs):
    """All rows of so many runs, bit for bit."""
    (found, curves), (expected, expected_curves) = tables(out), whole
    assert len(found) == runs
    mine = set(found["run_id"])
    expected = (t[t["run_id"].isin(mine)] for t in (expected, expected_curves))
    for name, one, other in zip(ORDER, (found, curves), expected, strict=True):
        one, other = (t.sort_values(ORDER[name], ignore_index=True) for t in (one, other))
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_node_that_dies_and_one_that_joins(nodes, whole, tmp_path):
    sweep = Sweep(nodes, tmp_path / "out", seeds=3)
    victim = sweep.until(sweep.under_way)
    nodes.kill(sweep.attempts[victim]["node"])
    nodes.add("third")
    sweep.end()
    assert sweep.successors(victim)  # it went on, and not from the start
    assert "third" in {told["node"] for told in sweep.attempts.values()}
    assert_rows_of(whole, tmp_path / "out", runs=6)


def test_a_driver_that_dies(nodes, whole, tmp_path):
    sweep = Sweep(nodes, tmp_path / "out", seeds=2)
    victim = sweep.until(sweep.under_way)
    sweep.process.kill()
    sweep.process.wait()
    workers = [psutil.Process(t["pid"]) for t in sweep.attempts.values() if alive(t["pid"])]
    assert not psutil.wait_procs(workers, timeout=ENOUGH)[1]
    again = Sweep(nodes, tmp_path / "out", seeds=2)
    again.attempts |= sweep.attempts
    again.end()
    assert again.successors(victim)
    assert_rows_of(whole, tmp_path / "out", runs=4)


@pytest.mark.slow
def test_a_frozen_node_whose_worker_wakes_late(whole, tmp_path):
    """The cluster takes it for dead; its worker goes on beside its successor, and one of them wins."""
    with Nodes(PATHS | QUICK_PROCESS, quick_checks=True) as nodes:
        nodes.add("first")
        nodes.add("second")
        sweep = Sweep(nodes, tmp_path / "out", seeds=3)
        # Ray leases workers through the driver's node, which may be the one that freezes.
        victim = sweep.until(lambda ticks: sweep.on_nodes() == 2 and sweep.under_way(ticks))
        frozen = sweep.attempts[victim]
        for process in (nodes.raylets[frozen["node"]], frozen["pid"]):
            os.kill(process, signal.SIGSTOP)
        successor = sweep.until(lambda ticks: next(iter(sweep.successors(victim)), None))
        late = f".work/depot/*/shards/*/{victim}/*"
        files = set((tmp_path / "out").glob(late))
        os.kill(sweep.attempts[successor]["pid"], signal.SIGSTOP)  # or it might be through first
        os.kill(frozen["pid"], signal.SIGCONT)
        sweep.until(lambda ticks: set((tmp_path / "out").glob(late)) - files)
        os.kill(sweep.attempts[successor]["pid"], signal.SIGCONT)
        sweep.end()
        os.kill(nodes.raylets[frozen["node"]], signal.SIGCONT)
    assert_rows_of(whole, tmp_path / "out", runs=6)
    assert not (tmp_path / "out" / ".work").exists()


def drive(cluster, folder, env):
    command = [sys.executable, HERE / "ray_driver.py", cluster, folder]
    ran = subprocess.run(command, env=env | PATHS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 1  # nothing of the workers', and nothing of Ray's
    return json.loads(ran.stdout), ran.stderr


def check_jobs(seen, folder, shared):
    """Jobs share processes or have one each, and each one's end is told."""
    assert seen["told"] == [[None, False]] * 9
    processes = {path.name.split("-")[1] for path in folder.glob("told*")}
    assert len(processes) < 9 if shared else len(processes) == 9
    assert seen["raises"] == [["ValueError: a sentence", False]]
    ((error, lost),) = seen["dies"]
    assert lost and "The worker died unexpectedly" in error
    assert all(lost for _, lost in seen["sleeps"]) and len(seen["sleeps"]) == 9
    assert len(list(folder.glob("sleeps*"))) <= seen["capacity"]


def test_a_job_with_a_gpu_has_a_process_of_its_own():
    """JAX keeps most of a GPU's memory for as long as its process lives."""
    asked = []
    ray = SimpleNamespace(remote=lambda **options: lambda _: asked.append(options))
    engine = RayEngine(ray, Cluster("local"), Scratch("grokjax-test"))
    for gpus in (0, 1):
        engine._task(print, Job("depot", "shard", "attempt", b"", cores=1, gpus=gpus, kind=None))
    engine._scratch.remove()
    without, having = (options["max_calls"] for options in asked)
    assert having == 1 < without


def test_on_this_machine_it_is_for_this_process_alone(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    seen, said = drive("local", str(tmp_path), env | {"TMPDIR": "/tmp"})
    check_jobs(seen, tmp_path, shared=True)
    assert seen["same_handler"]
    assert set(seen["listens"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert seen["listens"]
    assert not seen["lets_in_anybody"] and seen["lets_us_in"]
    assert seen["strays"] == []
    (line,) = said.splitlines()
    assert "listens to this machine alone (127.0.0.1) with a token" in line


@pytest.mark.slow
def test_a_cluster_that_runs_is_joined(nodes, tmp_path):
    seen, said = drive("auto", str(tmp_path), nodes.env)
    check_jobs(seen, tmp_path, shared=False)
    assert seen["capacity"] == 2
    assert not seen["lets_in_anybody"]
    (line,) = said.splitlines()
    assert f"at {nodes.address}: room for 2 workers" in line
    assert "with a token; keep a firewall before it" in line


OPEN = """
import sys
from pathlib import Path
from grokjax.cluster.engines import open_engine
from grokjax.config.cluster import Cluster
from grokjax.config.coercion import ConfigError
try:
    open_engine(Cluster(sys.argv[1], insecure="--insecure" in sys.argv), Path()).close()
except ConfigError as error:
    print(error)
"""


def refusal(cluster, env, *flags):
    """The sentence with which a cluster is refused; empty where it is used."""
    command = [sys.executable, "-c", OPEN, cluster, *flags]
    run = subprocess.run(command, env=env | PATHS, stdout=subprocess.PIPE, text=True, check=True)
    assert len(run.stdout.splitlines()) <= 1
    return run.stdout.strip()


def test_a_token_is_asked_for(nodes, tmp_path):
    homeless = {n: v for n, v in nodes.env.items() if not n.startswith("RAY_AUTH")}
    homeless["HOME"] = str(tmp_path)
    assert "there is no token in" in refusal(nodes.address, homeless)
    assert "--insecure" in refusal("auto", homeless | {"RAY_AUTH_MODE": "disabled"})
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0" * 64)
    token.chmod(0o644)
    assert f"chmod 600 {token}" in refusal(nodes.address, homeless)
    token.chmod(0o600)
    assert refusal(nodes.address, homeless) == ""


@pytest.mark.slow
def test_who_lets_in_anybody_is_refused():
    with Nodes(PATHS, token=None) as nodes:
        nodes.add("only")
        env = nodes.env | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        assert "it asks for no token" in refusal(nodes.address, env)
        assert refusal(nodes.address, env, "--insecure") == ""


def test_an_address_without_a_cluster_is_refused_at_once():
    env = os.environ | LOOPBACK | {"RAY_AUTH_TOKEN": "0" * 64}
    assert "no head of a Ray cluster is there" in refusal("127.0.0.1:1", env)
    assert "ray job submit" in refusal("ray://127.0.0.1:10001", env)
    assert "choose from" in refusal("everywhere", env)
    client = env | {"RAY_ADDRESS": "ray://127.0.0.1:10001"}
    assert "ray job submit" in refusal("auto", client)
