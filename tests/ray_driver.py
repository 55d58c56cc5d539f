"""A driver of the Ray engine with small jobs of its own; prints what happened as JSON."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path


def told(job):
    print("a worker's output")
    Path(job.depot, f"{job.attempt}-{os.getpid()}").touch()


def raises(job):
    raise ValueError("a sentence\nand more")


def dies(job):
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(job):
    told(job)
    time.sleep(600)


def main(cluster, folder):
    import psutil
    import ray_driver

    from grokjax.cluster.engines import Job, access, open_engine
    from grokjax.config.cluster import Cluster

    before = signal.getsignal(signal.SIGTERM)
    engine = open_engine(Cluster(cluster), Path(folder))
    seen = {
        "capacity": engine.capacity(),
        "same_handler": signal.getsignal(signal.SIGTERM) == before,
    }

    def job(name):
        return Job(folder, "", name, secrets.token_bytes(64), 1, 0, None)

    def endings(handles):
        left, found = set(handles), {}
        while left:
            for ended in engine.wait(5):
                found[ended.handle] = [ended.error, ended.lost]
                left.discard(ended.handle)
        return [found[handle] for handle in handles]

    seen["told"] = endings(engine.submit(ray_driver.told, [job(f"told{n}") for n in range(9)]))
    seen["raises"] = endings(engine.submit(ray_driver.raises, [job("raises")]))
    seen["dies"] = endings(engine.submit(ray_driver.dies, [job("dies")]))
    sleeping = engine.submit(ray_driver.sleeps, [job(f"sleeps{n}") for n in range(9)])
    while not list(Path(folder).glob("sleeps*")):
        engine.wait(0.1)
    engine.cancel(sleeping)
    seen["sleeps"] = endings(sleeping)

    here = psutil.Process()
    processes = [here, *here.children(recursive=True)]
    seen["listens"] = [
        socket.laddr.ip
        for process in processes
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    ]
    import ray

    head = ray.get_runtime_context().gcs_address
    seen["lets_in_anybody"] = access.lets_in_anybody(head)
    hello = [sys.executable, "-c", access.HELLO, head]
    seen["lets_us_in"] = subprocess.run(hello, capture_output=True).returncode == 0
    engine.close()
    seen["strays"] = [p.name() for p in psutil.wait_procs(processes[1:], timeout=20)[1]]
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
