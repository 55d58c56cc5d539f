"""Ray as an engine: what of it listens, whom it lets in, and sweeps whose nodes and drivers die.

All of Ray runs in processes of its own, bound to the loopback address.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray_nodes import LOOPBACK, Nodes

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs pip install 'grokjax[ray]'"
)
HERE = Path(__file__).parent
PATHS = {"PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}


@pytest.fixture(scope="module")
def nodes():
    os.environ |= PATHS
    with Nodes() as nodes:
        nodes.add("first")
        nodes.add("second")
        yield nodes


def drive(cluster, folder, env):
    command = [sys.executable, HERE / "ray_driver.py", cluster, folder]
    ran = subprocess.run(command, env=env | PATHS, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) == 1  # nothing of the workers', and nothing of Ray's
    return json.loads(ran.stdout), ran.stderr


def check_jobs(seen, folder):
    """Every job had a process of its own, and its end is told."""
    assert seen["told"] == [[None, False]] * 3
    assert len({path.name.split("-")[1] for path in folder.glob("told*")}) == 3
    assert seen["raises"] == [["ValueError: a sentence", False]]
    ((error, lost),) = seen["dies"]
    assert lost and "The worker died unexpectedly" in error
    assert all(lost for _, lost in seen["sleeps"]) and len(seen["sleeps"]) == 9
    assert len(list(folder.glob("sleeps*"))) <= seen["capacity"]


def test_on_this_machine_it_is_for_this_process_alone(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    seen, said = drive("local", str(tmp_path), env | {"TMPDIR": "/tmp"})
    check_jobs(seen, tmp_path)
    assert seen["same_handler"]
    assert set(seen["listens"]) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert seen["listens"]
    assert not seen["lets_in_anybody"] and seen["lets_us_in"]
    assert seen["strays"] == []
    (line,) = said.splitlines()
    assert "listens to this machine alone (127.0.0.1), with a token" in line


def test_a_cluster_that_runs_is_joined(nodes, tmp_path):
    seen, said = drive("auto", str(tmp_path), nodes.env)
    check_jobs(seen, tmp_path)
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


def test_who_lets_in_anybody_is_refused():
    with Nodes(token=None) as nodes:
        nodes.add("only")
        env = nodes.env | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
        assert "it asks for no token" in refusal(nodes.address, env)
        assert refusal(nodes.address, env, "--insecure") == ""


def test_an_address_without_a_cluster_is_refused_at_once():
    env = os.environ | LOOPBACK | {"RAY_AUTH_TOKEN": "0" * 64}
    assert "no head of a Ray cluster is there" in refusal("127.0.0.1:1", env)
    assert "ray job submit" in refusal("ray://127.0.0.1:10001", env)
    assert "choose from" in refusal("everywhere", env)
