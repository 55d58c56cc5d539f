"""Ray Core as an engine: on this machine for one sweep, or a cluster that runs already.

A job is a Ray task in a process that is used once. Ray places tasks and says how they ended; it
retries nothing and keeps no result, and jobs end with their driver. Its libraries beyond tasks
(Tune, Train, Data, Client, the dashboard) are not used.

Whoever reaches the ports of a Ray cluster runs code as its user (CVE-2023-48022), so a token is
asked for everywhere. On this machine it is drawn for the sweep, and Ray listens on the loopback
address alone; a cluster must refuse a client without the token of its nodes.
"""

from __future__ import annotations

import importlib.metadata
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from grokjax.cluster.engines import Ended, Job
from grokjax.cluster.engines.scratch import Scratch
from grokjax.command import say
from grokjax.config.cluster import Cluster
from grokjax.config.coercion import ConfigError, require
from grokjax.engine import backend

OLDEST = (2, 59)
"""Before this version Ray starts without a token where nobody asks for one."""
ACCELERATOR = "ray.io/accelerator-type"
"""The label that Ray gives to nodes with accelerators, such as H100."""
OBJECTS = 80 << 20
"""Bytes of the object store, about Ray's least: what jobs hand on lies in files."""
REACH_SECONDS = 5.0
"""How long the head of a cluster may take to take a connection."""
HELLO = "import sys; from ray._raylet import GcsClient; GcsClient(address=sys.argv[1])"
"""A client that asks a head for the name of its cluster."""


class RayEngine:
    """Jobs as Ray tasks; one engine at a time in a process."""

    name = "ray"

    def __init__(self, ray: Any, options: Cluster, scratch: Scratch | None) -> None:
        self._ray = ray
        self._options = options
        self._scratch = scratch
        self._refs: dict[str, Any] = {}

    def capacity(self) -> int:
        return sum(self._room(node) for node in self._ray.nodes() if node["Alive"])

    def _room(self, node: dict[str, Any]) -> int:
        """Jobs that a node holds when it is empty."""
        if self._options.kind not in (None, node["Labels"].get(ACCELERATOR)):
            return 0
        has = node["Resources"]
        room = int(has.get("CPU", 0)) // self._options.cores
        gpus = self._options.gpus
        return min(room, int(has.get("GPU", 0)) // gpus) if gpus else room

    def submit(self, function: Callable[[Job], None], jobs: Sequence[Job]) -> list[str]:
        refs = [self._task(function, job).remote(job) for job in jobs]
        handles = [ref.hex() for ref in refs]
        self._refs |= dict(zip(handles, refs, strict=True))
        return handles

    def _task(self, function: Callable[[Job], None], job: Job) -> Any:
        return self._ray.remote(
            num_cpus=job.cores,
            num_gpus=job.gpus,
            max_calls=1,  # a process for each
            max_retries=0,  # the driver decides, by what is in the depot
            label_selector={ACCELERATOR: job.kind} if job.kind else None,
        )(function)

    def wait(self, seconds: float) -> list[Ended]:
        if not self._refs:
            time.sleep(seconds)
            return []
        handles = {ref: handle for handle, ref in self._refs.items()}
        ready, _ = self._ray.wait(list(handles), timeout=seconds)
        if ready:  # and whatever else there is by now
            ready, _ = self._ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return [self._ended(handles[ref]) for ref in ready]

    def _ended(self, handle: str) -> Ended:
        errors = self._ray.exceptions
        try:
            self._ray.get(self._refs.pop(handle))
        except errors.RayTaskError as error:
            return Ended(handle, _sentence(error.cause), lost=False)
        except (errors.RuntimeEnvSetupError, errors.TaskUnschedulableError) as error:
            return Ended(handle, _sentence(error), lost=False)
        except errors.RayError as error:  # its process, its node or that node's memory
            return Ended(handle, _sentence(error), lost=True)
        return Ended(handle, None, lost=False)

    def adopt(self, handles: Collection[str]) -> set[str]:
        return set()

    def cancel(self, handles: Collection[str]) -> None:
        for handle in self._refs.keys() & set(handles):
            self._ray.cancel(self._refs[handle], force=True)

    def close(self) -> None:
        self._refs.clear()
        self._ray.shutdown()
        if self._scratch:
            self._scratch.remove()


def start(options: Cluster, work: Path) -> RayEngine:
    """Ray on this machine for `local`, else the cluster that the options name."""
    found = importlib.metadata.version("ray")
    remedy = f"Ray {found} starts without a token, pip install -U 'grokjax[ray]'"
    new = tuple(int(part) for part in found.split(".")[:2]) >= OLDEST
    require(new, "cluster", options.engine, remedy)
    _ask_for_token(options)
    return _alone(options) if options.engine == "local" else _joined(options)


def _alone(options: Cluster) -> RayEngine:
    """Ray of this process's own, for as long as it lives."""
    # Ray's way to keep the firewall of a laptop silent: everything binds to the loopback address.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    os.environ["RAY_gcs_rpc_server_reconnect_timeout_s"] = "5"  # its agents die so long after it
    scratch = Scratch("grokjax-ray")
    own = {"object_store_memory": OBJECTS, "_temp_dir": str(scratch.path)}
    ray = _connected("local", num_cpus=backend.cores(), include_dashboard=False, **own)
    engine = RayEngine(ray, options, scratch)
    address = ray.nodes()[0]["NodeManagerAddress"]
    who = "this machine alone" if address.startswith("127.") else "ALL addresses of this machine"
    room = f"room for {engine.capacity()} workers"
    say(f"Ray {ray.__version__} on this machine: {room}, listens to {who} ({address}), with a token")
    return engine


def _joined(options: Cluster) -> RayEngine:
    """The cluster that runs at an address, if it lets in only who has its token."""
    if options.engine != "auto":
        _reach(options.engine)
    ray = _connected(options.engine, address=options.engine)
    engine = RayEngine(ray, options, None)
    address = ray.get_runtime_context().gcs_address
    is_open = _lets_in_anybody(address)
    if is_open and not options.insecure:
        engine.close()
        raise ConfigError(
            f"cluster={options.engine!r}: it asks for no token, and whoever reaches its ports runs "
            "code as you; start its nodes with RAY_AUTH_MODE=token, or add --insecure."
        )
    nodes = sorted(n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"])
    room = f"{len(nodes)} nodes, room for {engine.capacity()} workers"
    where = f"listens on all addresses of {', '.join(nodes[:3])}{' …' * (len(nodes) > 3)}"
    guard = "WITHOUT a token" if is_open else "with a token"
    say(f"Ray {ray.__version__} at {address}: {room}, {where}, {guard}; keep a firewall before it")
    return engine


def _ask_for_token(options: Cluster) -> None:
    """Have Ray use a token, and refuse where there is none or others can read it."""
    if os.environ.setdefault("RAY_AUTH_MODE", "token") != "token":
        remedy = "RAY_AUTH_MODE lets anybody run code as you, unset it or add --insecure"
        require(options.insecure, "cluster", options.engine, remedy)
    elif options.engine == "local":
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elif "RAY_AUTH_TOKEN" not in os.environ:
        default = Path.home() / ".ray" / "auth_token"
        path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", default))
        if path.is_file():
            remedy = f"others can read its token, chmod 600 {path}"
            require(not path.stat().st_mode & 0o077, "cluster", options.engine, remedy)
            return
        remedy = f"there is no token in {path}, copy it from a node, or add --insecure"
        require(options.insecure, "cluster", options.engine, remedy)
        os.environ["RAY_AUTH_MODE"] = "disabled"


def _reach(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"cluster={address!r}: no head of a Ray cluster is there, {error}.") from None


def _connected(cluster: str, **where: Any) -> Any:
    """The module `ray`, connected; what it says goes to its logs and not to our terminal."""
    import ray

    require(not ray.is_initialized(), "cluster", cluster, "this process uses Ray, start another")
    # Deaths of workers would appear on standard output, and Ray has no switch for that.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **where)
    except Exception as error:  # of any kind, from Ray's connection and the processes it starts
        ray.shutdown()
        raise ConfigError(f"cluster={cluster!r}: Ray says {_sentence(error)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end us before a commit
    return ray


def _lets_in_anybody(address: str) -> bool:
    """Whether a cluster answers a client without a token."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH_")}
    ask = [sys.executable, "-c", HELLO, address]
    environment["RAY_AUTH_MODE"] = "disabled"
    answer = subprocess.run(ask, env=environment, capture_output=True, check=False, timeout=60)
    return answer.returncode == 0


def _sentence(error: BaseException) -> str:
    """The first line of an error."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:200]}"
