"""grokjax's own step as a contender, through the lanes that sweeps use."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from functools import partial

import jax
import numpy as np

from grokjax import tasks
from grokjax.bench.cases import Case
from grokjax.bench.contender import Contender, Workload
from grokjax.config import MLP, AdamW, CrossEntropy, Experiment, MeanSquaredError, Transformer, grid
from grokjax.engine import cost, plan
from grokjax.engine.lanes import Lanes
from grokjax.engine.plan import Run
from grokjax.training import loop
from grokjax.training.data import splits
from grokjax.training.spec import spec_of
from grokjax.training.streams import permutation

UPDATES = 50
"""Updates in a timed segment: its one test evaluation is then a hundredth of the work."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A case, ready to be timed, and what can be said of it without a clock."""

    case: Case
    contender: Contender
    devices: int
    flops: int
    """That an update of a run needs: of the matrix products that remain, padding left out."""
    memory: int
    compile_seconds: float


def enter(case: Case, log_every: int = UPDATES) -> Entry:
    """Compile a case."""
    experiment = dataclasses.replace(
        case.experiment,
        steps=UPDATES,
        log_every=log_every,
        settle_steps=None,
        sweep=grid(seed=range(case.lanes or 8)),
    )
    (program,) = plan.here(experiment, case.lanes, {}, ended=())
    program = dataclasses.replace(program, log_points=UPDATES // log_every)
    began = time.perf_counter()
    lanes = Lanes(program, experiment.thresholds)
    compile_seconds = time.perf_counter() - began
    lanes.fill(deque(program.runs))

    def steps(count: int) -> list[float]:
        for _ in range(count // UPDATES):
            lanes.advance()
            lanes.wait()
        return []

    steps(UPDATES)
    return Entry(
        case=case,
        contender=Contender("grokjax", program.lanes, steps, least=UPDATES),
        devices=program.devices,
        flops=cost.step_flops(program.spec, experiment.n_train),
        memory=lanes.memory(),
        compile_seconds=compile_seconds,
    )


def workload(experiment: Experiment) -> tuple[Workload, list[float]]:
    """The run as plain arrays, and its losses before the first four steps."""
    spec, hp = spec_of(experiment), Run("bench", experiment.resolved()).hparams()
    table = tasks.build(experiment.task)
    rows = np.asarray(permutation(hp.split_seed[0], len(table.targets)))[: experiment.n_train]
    step = jax.jit(lambda state: loop.step(spec, hp, splits(spec, hp)[0], state))
    with jax.default_matmul_precision(spec.matmul_precision):
        state = jax.jit(partial(loop.init, spec))(hp)
        params, losses = jax.tree.map(np.asarray, state.params), []
        for _ in range(4):
            state, info = step(state)
            losses.append(float(info.scores.loss))
    model, optimizer, loss = experiment.model, experiment.optimizer, experiment.loss
    assert isinstance(model, (Transformer, MLP))  # peers.check refuses others
    assert isinstance(optimizer, AdamW)
    assert isinstance(loss, (CrossEntropy, MeanSquaredError))
    plain = Workload(
        model=model,
        optimizer=optimizer,
        loss=loss,
        tokens=table.inputs[rows],
        targets=table.targets[rows],
        vocabulary=table.vocabulary,
        n_classes=table.n_classes,
        params=params,
    )
    return plain, losses
