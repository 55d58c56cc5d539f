"""Workers of this process for tests: attempts run one after another where they are waited for."""

import random
import threading

from grokjax.cluster import attempt, calibration, worker
from grokjax.cluster.drive import Driver
from grokjax.cluster.engines import Ended
from grokjax.config import Cluster
from grokjax.engine import backend, sweep

FUNCTIONS = {worker.train: attempt.run, worker.calibrate: calibration.run}
"""What a process of its own would run once it has its cores."""


class Here:
    """An engine of this process."""

    name = "here"

    def __init__(self, slots=2, order=None, before=lambda job: None):
        self.slots, self.waiting, self.jobs = slots, [], []
        self.order, self.before = random.Random(order), before
        """`before` is called before a job and may raise `Lost`."""
        self.shuffles = order is not None

    def capacity(self):
        return self.slots

    def submit(self, function, jobs):
        self.jobs += jobs
        self.waiting += [(job.attempt, function, job) for job in jobs]
        return [job.attempt for job in jobs]

    def wait(self, seconds):
        if not self.waiting:
            return []
        at = self.order.randrange(len(self.waiting)) if self.shuffles else 0
        handle, function, job = self.waiting.pop(at)
        try:
            self.before(job)
            FUNCTIONS[function](job)
        except Lost as lost:
            return [Ended(handle, str(lost), lost=True)]
        except Exception as error:
            return [Ended(handle, f"{type(error).__name__}: {error}", lost=False)]
        return [Ended(handle, None, lost=False)]

    def adopt(self, handles):
        return set()

    def cancel(self, handles):
        self.waiting = [one for one in self.waiting if one[0] not in handles]

    def close(self):
        self.waiting = []


class Lost(BaseException):
    """The worker of an attempt is gone."""


def cluster(**options):
    """What users would say of such workers."""
    return Cluster(
        **{"cluster": "inline", "cores": backend.cores(), "shard_minutes": 1e-9} | options
    )


def run(experiment, folder, engine=None, *, lanes=2, cluster=None, stop=None, overwrite=False):
    """A sweep on such workers."""
    with Driver(cluster or _cluster(), engine or Here()) as train:
        options = sweep.RunOptions(
            lanes=lanes,
            retry_failed=False,
            fail_fast=False,
            report=lambda progress: None,
            stop=stop or threading.Event(),
            source=None,
            command="test",
            train=train,
        )
        return sweep.run_in(experiment, folder, options, overwrite=overwrite)


_cluster = cluster
