"""A SLURM of two nodes of one processor each, on this machine, of this user, in a folder.

It needs Debian's `slurm-wlm` and `munge` (22.05 and 0.5.15 are what it was written with), and
neither root nor systemd nor a database. By hand:

    python tests/slurm_cluster.py FOLDER     # ends with Ctrl-C

prints the variable that `sbatch`, `squeue` and `python -m grokjax.sweep … --cluster slurm` find it
by. The folder's path must be short: a socket lies in it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NODES = ("n1", "n2")
ARRAY = 6
"""Elements that an array may have: few, so that a small sweep needs two."""

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")


def missing() -> list[str]:
    """The programs that are not here."""
    return [name for name in PROGRAMS if _path(name) is None]


def _path(name: str) -> str | None:
    # Debian's daemons lie where only root's PATH leads.
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class SlurmCluster:
    """The daemons, and what a test does to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.conf = self.folder / "slurm.conf"
        self.environment = {**os.environ, "SLURM_CONF": str(self.conf)}
        self._daemons: dict[str, subprocess.Popen] = {}

    def start(self) -> None:
        # Whoever may speak to munge's socket must reach it; what is secret has modes of its own.
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        (self.folder / "state").mkdir(0o700, exist_ok=True)
        self._configure()
        ends = {"socket": "sock", "key-file": "key", "log-file": "log", "pid-file": "pid"}
        ends["seed-file"] = "seed"
        files = [f"--{name}={self.folder / f'munge.{end}'}" for name, end in ends.items()]
        self._daemon("munged", "munged", "--foreground", "--force", *files)
        _until((self.folder / "munge.sock").exists, "no munge")
        self._daemon("slurmctld", "slurmctld", "-D", "-i")
        for node in NODES:
            self.start_node(node)
        _until(lambda: self.states() == ["idle"] * len(NODES), "the nodes are not idle")

    def _configure(self) -> None:
        user, here = getpass.getuser(), self.folder
        controller, *nodes = _ports(1 + len(NODES))
        host = socket.gethostname().split(".")[0]
        text = f"""\
            ClusterName=grokjax
            SlurmctldHost={host}(127.0.0.1)
            SlurmUser={user}
            SlurmdUser={user}
            AuthType=auth/munge
            AuthInfo=socket={here}/munge.sock,cred_expire=5
            SlurmctldPort={controller}
            StateSaveLocation={here}/state
            SlurmdSpoolDir={here}/%n
            SlurmctldPidFile={here}/slurmctld.pid
            SlurmdPidFile={here}/%n.pid
            ProctrackType=proctrack/linuxproc
            TaskPlugin=task/none
            MpiDefault=none
            SwitchType=switch/none
            JobAcctGatherType=jobacct_gather/none
            AccountingStorageType=accounting_storage/none
            SelectType=select/cons_tres
            SelectTypeParameters=CR_Core
            MaxArraySize={ARRAY}
            PreemptType=preempt/partition_prio
            PreemptMode=REQUEUE
            SlurmctldParameters=preempt_send_user_signal
            SchedulerParameters=sched_interval=2,bf_interval=2
            JobRequeue=1
            KillWait=10
            ReturnToService=2
            SlurmdTimeout=10
            SlurmdParameters=config_overrides
            PartitionName=main Nodes=ALL Default=YES PriorityTier=1 GraceTime=60
            PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
            """
        for node, port in zip(NODES, nodes, strict=True):
            address = f"NodeHostname=localhost NodeAddr=127.0.0.1 Port={port}"
            text += f"NodeName={node} {address} CPUs=1 RealMemory=4000 State=UNKNOWN\n"
        self.conf.write_text("".join(f"{line.strip()}\n" for line in text.splitlines()))

    def start_node(self, node: str) -> None:
        (self.folder / node).mkdir(exist_ok=True)
        self._daemon(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str, jobs: bool = True) -> None:
        """End a node at once, as a power cut does; without `jobs` they work on behind a lost link."""
        daemon = self._daemons.pop(node)
        daemon.kill()
        for pid in self._processes(node) if jobs else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def _processes(self, node: str) -> list[int]:
        """The jobs' processes on a node, those first that watch them."""
        ours = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={self.conf}"}
        jobs, watchers = set(), set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if ours <= set(path.read_text(errors="replace").split("\0")):
                    jobs.add(int(path.parent.name))
                    parent = path.with_name("stat").read_text().rpartition(")")[2].split()[1]
                    name = Path(f"/proc/{parent}/comm").read_text().strip()
                    watchers |= {int(parent)} if name == "slurmstepd" else set()
        return [*watchers, *jobs]

    def call(self, *words: str) -> str:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def settle(self) -> None:
        """Bring the cluster to what it was at the start."""
        self.call("scancel", "--user", getpass.getuser())
        for node in set(NODES) - self._daemons.keys():
            self.start_node(node)
        _until(lambda: not self.call("squeue", "-h"), "jobs run on")
        _until(lambda: self.states() == ["idle"] * len(NODES), "the nodes are not idle")

    def states(self) -> list[str]:
        """How the nodes are."""
        return self.call("sinfo", "-h", "-N", "-p", "main", "-o", "%T").split()

    def stop(self) -> None:
        with suppress(RuntimeError, TimeoutError):
            self.call("scancel", "--user", getpass.getuser())
            _until(lambda: not self.call("squeue", "-h"), "jobs run on", seconds=20)
        for daemon in self._daemons.values():
            daemon.terminate()
        for daemon in self._daemons.values():
            daemon.wait()
        self._daemons = {}

    def _daemon(self, name: str, program: str, *words: str) -> None:
        path = _path(program)
        assert path is not None, program
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [path, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever started the cluster
            )


def _until(true: Callable[[], object], sentence: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{sentence} after {seconds:.0f} s")
        time.sleep(0.2)


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[SlurmCluster]:
    """A running cluster."""
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _wait_for_a_signal() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        signal.pause()


if __name__ == "__main__":
    with slurm_cluster(Path(sys.argv[1])) as running:
        print(f"export SLURM_CONF={running.conf}", flush=True)
        _wait_for_a_signal()
