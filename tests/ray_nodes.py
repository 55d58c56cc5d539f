"""A Ray cluster of several nodes on this machine, in a process of its own that does as it is told.

Every node is a raylet with its workers. All of them bind to the loopback address, as Ray does where
it must not wake a firewall.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
STARTS = 8
"""Of a node: a raylet gives its agents 15 s to come up, which is too little on a busy machine."""
QUICK_CHECKS = {
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 4000,
    "health_check_failure_threshold": 4,
}
"""A silent node is dead after some 20 s; Ray takes up to 65."""


class Nodes:
    """The cluster as tests see it: `with Nodes(environment of its workers) as nodes`."""

    def __init__(self, env, token="0" * 64, quick_checks=False):
        self.folder = Path(tempfile.mkdtemp(prefix="gjt-", dir="/tmp"))
        mode = {"RAY_AUTH_MODE": "disabled"}
        if token:
            path = self.folder / "token"
            path.touch(mode=0o600)
            path.write_text(token)
            mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}
        self.env = os.environ | LOOPBACK | mode | env | {"RAY_TMPDIR": str(self.folder)}
        self.env.pop("RAY_AUTH_TOKEN", None)
        """Environment of whoever belongs to the cluster."""
        self._log = (self.folder / "log").open("w+")
        command = [sys.executable, __file__, json.dumps(QUICK_CHECKS if quick_checks else {})]
        self._process = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self.address = self._answer()
        self.raylets = {}
        """Name of a node, living or dead → the process of its raylet."""
        self._workers = {}

    def add(self, name, cores=1):
        """Start a node."""
        self.raylets[name] = self._do("add", name, cores)

    def of(self, worker):
        """Which node a worker belongs to, as was seen while both lived; None where it was not."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(worker).ppid()
            names = {raylet: name for name, raylet in self.raylets.items()}
            if parent in names:
                self._workers[worker] = names[parent]
        return self._workers.get(worker)

    def kill(self, name):
        """Kill the raylet of a node, as if its power had gone."""
        self._do("kill", name)

    def _do(self, *words):
        print(json.dumps(words), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        assert line, (self.folder / "log").read_text()
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # it ends, and its nodes with it
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _patiently(start):
    """What `start` returns, at the first time that it does not raise."""
    for _ in range(STARTS - 1):
        before = set(psutil.Process().children(recursive=True))
        try:
            return start()
        except Exception:
            for half in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(psutil.NoSuchProcess):
                    half.kill()
    return start()


def _serve(checks):
    from ray.cluster_utils import Cluster

    own = os.dup(1)
    os.dup2(2, 1)  # what Ray prints is no answer
    answers = os.fdopen(own, "w")

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": checks}
    cluster = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    nodes = {}
    answer(cluster.address)
    for line in sys.stdin:
        word, name, *rest = json.loads(line)
        if word == "add":
            cores = rest[0]
            nodes[name] = _patiently(lambda cores=cores: cluster.add_node(num_cpus=cores))
            answer(nodes[name].all_processes["raylet"][0].process.pid)
        else:
            cluster.remove_node(nodes.pop(name), allow_graceful=False)
            answer(None)
    signal.alarm(20)  # what hangs dies, and every node with this process
    cluster.shutdown()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
