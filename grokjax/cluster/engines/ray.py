"""Ray Core as an engine: on this machine for one sweep, or a cluster that runs already.

A job is a Ray task: on a cluster in a process that is used once, on this machine in one that has
imported everything for a job before it, where there is no GPU whose memory it would keep. Ray
places tasks and says how they ended; it retries nothing and keeps no result, and jobs end with
their driver. Its libraries beyond tasks (Tune, Train, Data, Client, the dashboard) are not used.

Whoever reaches the ports of a Ray cluster runs code as its user (CVE-2023-48022), so a token is
asked for everywhere. On this machine it is drawn for the sweep, and Ray listens on the loopback
address alone; a cluster must refuse a client without the token of its nodes.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from grokjax.cluster.engines import Ended, Job, access
from grokjax.cluster.engines.scratch import Scratch
from grokjax.command import say
from grokjax.config.cluster import Cluster
from grokjax.config.coercion import ConfigError, require
from grokjax.engine import backend

ACCELERATOR = "ray.io/accelerator-type"
"""The label that Ray gives to nodes with accelerators, such as H100."""
STARTS = 4
"""Of Ray on this machine: its raylet gives others 15 s to come up, too little on a busy one."""
MOST_CALLS = 16
"""Jobs of a process of this machine: each start takes 4 to 5 CPU seconds, and programs are kept.
With shared processes a frozen node of a cluster held up the jobs of the others."""
OBJECTS = 80 << 20
"""Bytes of the object store, about Ray's least: what jobs hand on lies in files."""


class RayEngine:
    """Jobs as Ray tasks; one engine at a time in a process."""

    name = "ray"

    def __init__(self, ray: Any, options: Cluster, scratch: Scratch | None = None) -> None:
        self._ray = ray
        self._scratch = scratch
        self._refs: dict[str, Any] = {}
        self._kind = options.kind
        self._cores = options.cores or 1
        self._gpus = options.gpus
        # What waits in Ray's queue is what an autoscaler, if there is one, begins nodes for.
        self._wanted = 0 if scratch else options.workers or 1

    def capacity(self) -> int:
        return max(self.room(), self._wanted)

    def room(self) -> int:
        """Jobs that the nodes which are there hold when they are empty."""
        return sum(self._room(node) for node in self._ray.nodes() if node["Alive"])

    def _room(self, node: dict[str, Any]) -> int:
        """Jobs that a node holds when it is empty."""
        if self._kind not in (None, node["Labels"].get(ACCELERATOR)):
            return 0
        has = node["Resources"]
        room = int(has.get("CPU", 0)) // self._cores
        return min(room, int(has.get("GPU", 0)) // self._gpus) if self._gpus else room

    def submit(self, function: Callable[[Job], None], jobs: Sequence[Job]) -> list[str]:
        refs = [self._task(function, job).remote(job) for job in jobs]
        handles = [ref.hex() for ref in refs]
        self._refs |= dict(zip(handles, refs, strict=True))
        return handles

    def _task(self, function: Callable[[Job], None], job: Job) -> Any:
        return self._ray.remote(
            num_cpus=job.cores,
            num_gpus=job.gpus,
            max_calls=MOST_CALLS if self._scratch and not job.gpus else 1,
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
        except (
            errors.RuntimeEnvSetupError,
            errors.TaskUnschedulableError,
            errors.UnserializableException,  # raised, of a class that no pickle brings here
        ) as error:
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
    cluster = str(options.cluster)
    access.check_version(cluster)
    access.ask_for_token(options)
    return _alone(options) if cluster == "local" else _joined(options, cluster)


def _alone(options: Cluster) -> RayEngine:
    """Ray of this process's own, for as long as it lives."""
    os.environ |= {
        # Ray's way to keep a laptop's firewall silent: all of it binds to the loopback address.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_worker_niceness": "0",  # what the user has said of this process; Ray would say 15
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    scratch = Scratch("grokjax-ray")
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECTS}
    own |= {"num_cpus": backend.cores(), "_temp_dir": str(scratch.path)}
    for left in reversed(range(STARTS)):
        try:
            ray = _connected("local", "local", **own)
            break
        except ConfigError:
            scratch.end_processes()
            if not left:
                scratch.remove()
                raise
    engine = RayEngine(ray, options, scratch)
    address = ray.nodes()[0]["NodeManagerAddress"]
    who = "this machine alone" if address.startswith("127.") else "ALL addresses of this machine"
    room = f"room for {engine.capacity()} workers"
    say(f"Ray {ray.__version__}: {room}, listens to {who} ({address}) {access.guard()}")
    return engine


def _joined(options: Cluster, cluster: str) -> RayEngine:
    """The cluster that runs at an address, if it lets in only who has its token."""
    address = access.address(cluster)
    ray = _connected(cluster, address)
    engine = RayEngine(ray, options)
    head = ray.get_runtime_context().gcs_address
    is_open = access.lets_in_anybody(head)
    if is_open and not options.insecure:
        engine.close()
        raise ConfigError(
            f"cluster={cluster!r}: it asks for no token, and whoever reaches its ports runs code "
            "as you; start its nodes with RAY_AUTH_MODE=token, or add --insecure."
        )
    nodes = sorted({n["NodeManagerAddress"] for n in ray.nodes() if n["Alive"]})
    room = f"room for {engine.room()} workers"
    where = f"listens on {', '.join(nodes[:3])}{' …' * (len(nodes) > 3)}"
    guard = access.guard(is_open)
    say(f"Ray {ray.__version__} at {head}: {room}, {where} {guard}; keep a firewall before it")
    return engine


def _connected(cluster: str, address: str, **own: Any) -> Any:
    """The module `ray`, connected; what it says goes to its logs and not to our terminal."""
    import ray

    require(not ray.is_initialized(), "cluster", cluster, "this process uses Ray, start another")
    # Deaths of workers would appear on standard output, and Ray has no switch for that.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            # JAX warns of forks; those of Ray's processes become other programs at once.
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # of any kind, from Ray's connection and the processes it starts
        ray.shutdown()
        hint = ", as with another token than its nodes have"
        hint = hint if isinstance(error, ConnectionError) else ""
        raise ConfigError(f"cluster={cluster!r}: {_sentence(error)}{hint}.") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end us before a commit
    return ray


def _sentence(error: BaseException) -> str:
    """What an error says first, and where it is of an import on a node what that ended with."""
    first, *_, last = str(error).strip().splitlines() * 2 or ["it says no more"] * 2
    ending = f", {last}" if last.startswith(("ImportError:", "ModuleNotFoundError:")) else ""
    return f"{type(error).__name__}: {first.split('. ')[0][:200]}{ending[:200]}"
