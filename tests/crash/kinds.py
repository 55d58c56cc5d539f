"""Sweeps of every kind that have files of their own, as small as they come."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import workers

import grokjax
from grokjax import Mask, Refine, SnapshotSchedule, StartFrom, Thresholds, grid
from grokjax.cluster import attempt, loop
from grokjax.engine import after_the_fact, plan
from grokjax.results import manifest

Start = Callable[[Path, Path], object]
"""What a user does in a folder, with one that gives parameters; done again it goes on."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A sweep, and the ways that it is started, one after another."""

    starts: tuple[Start, ...]
    has_donor: bool = False
    """Whether runs start from the parameters of another sweep."""
    slow: bool = False
    """Whether its states are too many, or too dear, for the suite."""
    deaths: int = 0
    """How often the sweep that is recorded has been killed itself."""


def base(**changes: object) -> grokjax.Experiment:
    """A run of some milliseconds."""
    experiment = grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=5),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=8),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=60,
        log_every=10,
        keep_final=None,
    )
    return dataclasses.replace(experiment, **changes)


@dataclasses.dataclass(frozen=True)
class Train:
    """A start of an experiment, which may name the folder of a donor."""

    experiment: Callable[[Path], grokjax.Experiment]
    options: dict[str, object]

    def __call__(self, folder: Path, donor: Path) -> object:
        options = {"lanes": 2, "progress": False, "source": "# as it was\n", **self.options}
        return grokjax.run(self.experiment(donor), folder, **options)


def train(experiment: Callable[[Path], grokjax.Experiment], **options: object) -> Train:
    """A start of an experiment with some options of `grokjax.run`."""
    return Train(experiment, options)


def _given(donor: Path) -> dict[str, object]:
    return {
        "start": StartFrom(str(donor), step=20, match=("p",)),
        "mask": Mask(str(donor), step=20, keep=0.5, match=("p",)),
        "snapshots": SnapshotSchedule(at=(0, 60), moments=("t_mem",)),
    }


def _measure(folder: Path, donor: Path) -> object:
    return after_the_fact.measure_folder(
        folder, [grokjax.Fourier()], None, lambda _: None, threading.Event()
    )


def _on_workers(folder: Path, donor: Path) -> object:
    return workers.run(base(sweep=grid(seed=[0, 1, 2])), folder, workers.Here())


DONOR = train(lambda _: base(snapshots=SnapshotSchedule(at=(20,))))
PLAIN = train(lambda _: base(sweep=grid(seed=[0, 1, 2])))
LONGER = {"settle_steps": 20, "keep_final": "all", "sweep": grid(seed=[0, 1, 2])}
KINDS = {
    "plain": Kind((PLAIN,)),
    "donors, masks and snapshots": Kind(
        (train(lambda donor: base(sweep=grid(seed=[0, 1, 2]), **_given(donor))),), has_donor=True
    ),
    "refinement": Kind(
        (
            train(
                lambda _: base(
                    thresholds=Thresholds(grokked=0.3),
                    sweep=grid(weight_decay=[0.1, 2.5], learning_rate=[1e-3, 3e-2], seed=[0, 1]),
                    refine=Refine(rounds=1, runs=2, seeds=3),
                ),
                lanes=4,
            ),
        )
    ),
    "several programs": Kind(
        (
            train(
                lambda _: base(
                    sweep=grid(optimizer=[grokjax.AdamW(), grokjax.SGD()], seed=[0, 1]),
                )
            ),
        )
    ),
    "growth of a grid": Kind(
        (
            train(lambda _: base(sweep=grid(seed=[0]))),
            train(lambda _: base(sweep=grid(seed=[0, 1], weight_decay=[0.5, 1.0]))),
        )
    ),
    "growth of a budget": Kind(
        (
            train(lambda _: base(**LONGER)),
            train(lambda _: base(**LONGER, steps=100)),
        )
    ),
    "instruments": Kind(
        (
            train(
                lambda _: base(
                    sweep=grid(seed=[0, 1, 2]),
                    snapshots=SnapshotSchedule(at=(30, 60)),
                    instruments=(grokjax.Representations(),),
                )
            ),
            _measure,
        )
    ),
    "killed twice and started again": Kind((PLAIN,), deaths=2),
    "workers of a cluster": Kind((_on_workers,), slow=True),
    "overwritten": Kind(
        (PLAIN, train(lambda _: base(steps=40, sweep=grid(seed=[3])), overwrite=True))
    ),
}


@contextlib.contextmanager
def small_ticks() -> Iterator[None]:
    """Several segments a run and some commits; starts that are cheap."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SEGMENT_SECONDS", 0.002)
        patch.setattr(plan, "TICK_SECONDS", 0.008)
        patch.setattr(loop, "PUSH_SECONDS", 0.0)
        patch.setattr(attempt, "LOSS_SECONDS", 0.0)
        patch.setattr(manifest, "git_state", lambda folder: None)  # it starts two processes
        yield
