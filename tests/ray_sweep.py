"""A sweep of tests on Ray, and the same in one process; workers commit and push all the time."""

import dataclasses
import json
import sys
import time

import grokjax

EXPERIMENT = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=7),
    model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
    optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
    steps=10_000,
    log_every=100,
)


def often():
    """Commits and pushes in no time, in this process."""
    from grokjax.cluster import attempt
    from grokjax.engine import plan

    attempt.LOSS_SECONDS, attempt.BEAT_SECONDS = 0.0, 1.0
    plan.SEGMENT_SECONDS = plan.TICK_SECONDS = 0.1


def train(job):
    """What a worker does."""
    from grokjax.cluster import worker

    worker.restrict(job)
    from grokjax.cluster import attempt

    often()
    attempt.run(job)


def calibrate(job):
    """The same with what chooses the length of segments."""
    from grokjax.cluster import worker

    worker.restrict(job)
    from grokjax.cluster import calibration

    often()
    calibration.run(job)


def main(cluster, out, seeds):
    import ray_sweep

    from grokjax.cluster import crew, loop, words, worker

    # By these names workers find them.
    worker.train, worker.calibrate = ray_sweep.train, ray_sweep.calibrate
    loop.PUSH_SECONDS, loop.POLL_SECONDS, words.EVERY_SECONDS = 0.0, 0.3, 1.0
    crew.SILENT_SECONDS = 30.0
    began = time.monotonic()

    def report(progress):
        print(json.dumps([round(time.monotonic() - began, 1), progress.activity]), flush=True)

    sweep = grokjax.grid(weight_decay=[0.1, 1.0], seed=range(int(seeds)))
    experiment = dataclasses.replace(EXPERIMENT, sweep=sweep)
    options = None if cluster == "none" else grokjax.Cluster(cluster, shard_minutes=0.001)
    results = grokjax.run(experiment, out, lanes=2, cluster=options, report=report)
    assert results.finished


if __name__ == "__main__":
    main(*sys.argv[1:])
