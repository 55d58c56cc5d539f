"""L lanes of one compiled program, each with a run.

The only place that vmaps and the only place that compiles. Between segments finished
runs leave their lanes and waiting ones take them; what a run computes depends on
neither its lane, nor its neighbours, nor the moment it entered.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from grokjax.engine.plan import Program, Run
from grokjax.training import run as training
from grokjax.training.run import State
from grokjax.training.spec import Hparams, Spec

MATMUL_PRECISION = "highest"
"""Matrix products in full float32: recent accelerators default to less."""


@dataclasses.dataclass(eq=False)
class Occupant:
    """A run in a lane, and how far it is."""

    run: Run
    step: int = 0
    """Of the next row."""
    wall_s: float = 0.0


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows that a segment added to one run."""

    occupant: Occupant
    step: np.ndarray  # [K]
    metrics: dict[str, np.ndarray]  # each [K]
    diverged: bool
    """Whether the last row is of a network that is no longer finite."""


class Lanes:
    """The device's side of one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.occupants: list[Occupant | None] = [None] * program.lanes
        self._hparams = [program.runs[0].hparams()] * program.lanes
        with self._precision():
            shapes = jax.eval_shape(partial(training.init, program.spec), program.runs[0].hparams())
            stacked = jax.tree.map(lambda x: jnp.zeros((program.lanes, *x.shape), x.dtype), shapes)
            self._state: State = stacked
            fresh = np.zeros(program.lanes, bool)
            refill = partial(_refill, program.spec)
            segment = partial(training.segment, program.spec, program.log_points)
            hparams = self._stacked_hparams()
            # Compiled ahead: a call whose shapes had changed would fail, never recompile.
            self._refill = _compile(refill, (2,), hparams, fresh, self._state)
            self._segment = _compile(segment, (1,), hparams, self._state)
        self._metrics: training.Metrics | None = None

    @property
    def busy(self) -> bool:
        """Whether any lane has a run."""
        return any(self.occupants)

    def fill(self, queue: deque[Run]) -> None:
        """Give every free lane the next run of the queue."""
        fresh = np.zeros(len(self.occupants), bool)
        for lane, occupant in enumerate(self.occupants):
            if occupant is None and queue:
                run = queue.popleft()
                self.occupants[lane] = Occupant(run)
                self._hparams[lane] = run.hparams()
                fresh[lane] = True
        if fresh.any():
            with self._precision():
                self._state = self._refill(self._stacked_hparams(), fresh, self._state)

    def advance(self) -> None:
        """Start a segment; returns before it is done."""
        with self._precision():
            self._state, self._metrics = self._segment(self._stacked_hparams(), self._state)

    def collect(self) -> list[Rows]:
        """Wait for the segment and take its rows, cut at each run's end."""
        assert self._metrics is not None  # a segment was started
        columns = {name: np.asarray(v) for name, v in self._metrics.columns().items()}
        collected = []
        for lane, occupant in enumerate(self.occupants):
            if occupant is None:
                continue
            log_every = self.program.spec.log_every
            step = occupant.step + log_every * np.arange(self.program.log_points)
            occupant.step = int(step[-1]) + log_every
            finite = np.isfinite(columns["train_loss"][lane] + columns["weight_norm"][lane])
            kept = step <= occupant.run.config.steps
            diverged = not finite[kept].all()
            if diverged:
                kept &= np.arange(len(step)) <= np.argmin(finite)
            metrics = {name: values[lane][kept] for name, values in columns.items()}
            collected.append(Rows(occupant, step[kept], metrics, diverged))
        return collected

    def release(self, occupant: Occupant) -> None:
        """Free the lane of a run that has ended."""
        self.occupants[self.occupants.index(occupant)] = None

    def arrays(self) -> list[np.ndarray]:
        """A copy of the lanes' state on the host."""
        return [np.array(leaf) for leaf in jax.tree.leaves(self._state)]

    def restore(self, arrays: list[np.ndarray], occupants: list[Occupant | None]) -> None:
        """Go on from what `arrays` returned and the occupants of that moment."""
        with self._precision():
            leaves = [jnp.asarray(array) for array in arrays]
        self._state = jax.tree.unflatten(jax.tree.structure(self._state), leaves)
        self.occupants = occupants
        for lane, occupant in enumerate(occupants):
            if occupant is not None:
                self._hparams[lane] = occupant.run.hparams()

    def _stacked_hparams(self) -> Hparams:
        return jax.tree.map(lambda *lanes: np.stack(lanes), *self._hparams)

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        double = self.program.spec.dtype == "float64"
        with jax.enable_x64(double), jax.default_matmul_precision(MATMUL_PRECISION):
            yield


def _refill(spec: Spec, hp: Hparams, fresh: jax.Array, state: State) -> State:
    """A new run's state where `fresh`, else the state as it is."""
    return jax.tree.map(partial(jnp.where, fresh), training.init(spec, hp), state)


def _compile(function, donated: tuple[int, ...], *arguments):
    return jax.jit(jax.vmap(function), donate_argnums=donated).lower(*arguments).compile()
