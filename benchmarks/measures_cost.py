"""What instruments cost beside training: `python benchmarks/measures_cost.py [--expensive]`.

One layer, p = 113, 30 % of the table, width 128: times an update and a measurement of a network in
one process, as sweeps run them; says what the steps of the table in 20,000 updates add up to.
"""

from __future__ import annotations

import sys
import time
from collections import deque

import jax
import numpy as np

from grokjax import Experiment, ModularArithmetic, Transformer, config
from grokjax.engine import backend, donors, plan
from grokjax.engine.lanes import Lanes
from grokjax.engine.measuring import Meter, OnHost
from grokjax.training.spec import spaced_steps

BUDGET, SECONDS = 20_000, 4.0


def timed(work, least: float = SECONDS) -> float:
    """Seconds of a call: the median of as many as fit into some seconds, after one to warm up."""
    work()
    found, began = [], time.perf_counter()
    while time.perf_counter() - began < least or len(found) < 3:
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def main(expensive: bool) -> None:
    """Print a table: milliseconds, updates of the same time, share of 20,000 updates, memory."""
    backend.prepare()
    experiment = Experiment(
        task=ModularArithmetic("add", p=113),
        model=Transformer(layers=1, width=128, heads=4, mlp_width=512),
        train_fraction=0.3,
        steps=BUDGET,
        sweep=[{"seed": seed} for seed in range(jax.local_device_count())],
    )
    (program,) = plan.make(experiment, devices=jax.local_device_count(), lanes=len(jax.devices()))
    lanes = Lanes(program, experiment.thresholds)
    lanes.fill(deque(program.runs))

    def segment() -> None:
        lanes.advance()
        lanes.wait()

    update = timed(segment) / program.log_points / experiment.log_every
    state = donors.state_shapes(program.spec)
    names = [*donors.by_name({"params": state.params, "optimizer": state.optimizer})]
    leaves = jax.tree.leaves({"params": lanes.state.params, "optimizer": lanes.state.optimizer})
    networks = [
        OnHost(run, 0, dict(zip(names, (np.asarray(x)[lane] for x in leaves), strict=True)))
        for lane, run in enumerate(program.runs)
    ]
    points = sum(step <= BUDGET for step in spaced_steps(experiment.log_every, 20))
    print(f"{1e3 * update:.1f} ms an update of each run, {points} steps of the table in {BUDGET}")
    chosen = [kind() for kind in config.INSTRUMENTS.values()]
    fitting = [i for i in chosen if i.why_not(experiment.task, experiment.model) is None]
    table = tuple(i for i in fitting if i.cadence != "snapshots")
    each = [(i,) for i in fitting if expensive or i.cadence != "snapshots"]
    for instruments in (table, *each):
        meter = Meter(
            program.spec, instruments, program.lanes, program.devices, with_optimizer=True
        )
        seconds = timed(lambda meter=meter: meter.measure(networks), 2.0)
        name = "all of the table" if len(instruments) > 1 else instruments[0].kind
        share = points * seconds / (BUDGET * update)
        memory = meter.memory() / program.lanes * program.devices / 2**20
        print(
            f"{name:22} {1e3 * seconds:8.0f} ms {seconds / update:8.1f} updates "
            f"{share:8.2%} of {BUDGET} {memory:6.0f} MiB a network"
        )


if __name__ == "__main__":
    main("--expensive" in sys.argv[1:])
