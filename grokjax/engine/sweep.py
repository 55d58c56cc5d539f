"""A sweep from an experiment to a finished folder."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from grokjax import display
from grokjax.command import say
from grokjax.config import Cluster, ConfigError, Experiment
from grokjax.engine import backend, donors, plan, repeats, results_folder, rounds
from grokjax.engine.after_the_fact import measure_snapshots
from grokjax.engine.donors import DonorFiles
from grokjax.engine.growth import grow
from grokjax.engine.hooks import Hooks
from grokjax.engine.progress import Progress, Report
from grokjax.engine.rounds import Round, next_round, recorded_rounds, with_rounds
from grokjax.engine.standing import Standing, read_standing
from grokjax.engine.trainer import Trainer
from grokjax.results import manifest
from grokjax.results.files import Temporary, write_text
from grokjax.results.load import Results, load
from grokjax.results.shapes import Manifest, Provenance, RoundTold

Train = Callable[[Experiment, Sequence[Round], Path, "RunOptions"], bool]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How a sweep is trained; the arguments of `run` say what each means."""

    lanes: int | None
    retry_failed: bool
    fail_fast: bool
    report: Report
    stop: threading.Event
    source: str | None
    command: str
    hooks: Hooks = Hooks()
    find_donors: Callable[[Experiment], DonorFiles] = donors.find
    train: Train | None = None
    """Trains what is missing of a grid; None: this process."""


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    lanes: int | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
    progress: bool = True,
    report: Report | None = None,
    stop: threading.Event | None = None,
    source: str | None = None,
    command: str = "grokjax.run",
    cluster: Cluster | str | None = None,
) -> Results:
    """Train every run of the experiment that is not in `out` yet, and refine where it says so.

    Args:
      experiment: what to run.
      out: results folder; left out, it is a temporary one, which is there as long as the results
        that are returned, or for good where an interruption keeps them from being returned.
      lanes: runs trained at once; left out, the planner chooses.
      overwrite: remove the results in `out` first.
      retry_failed: train runs again that an error ended, or whose rows were lost from `out`.
      fail_fast: raise the first error instead of recording it.
      progress: show how it goes: a bar in a terminal or a notebook, a line a minute elsewhere.
      report: called with the counters after every tick, instead of showing them.
      stop: when it is set, the sweep commits its tick and returns.
      source: text of the experiment file, kept with the results.
      command: how the sweep was started, for the manifest.
      cluster: where workers train it, a `Cluster` or the first word of one; left out, this process
        does.

    Returns:
      The results so far, which is all of them unless `stop` was set.

    Raises:
      ConfigError: a value cannot work, or `out` holds something else; nothing was changed.
    """
    stop = stop or threading.Event()
    shown = display.here() if progress and report is None else display.Silent()
    with shown, _trainer(cluster) as train:
        backend.prepare()
        how = (report or shown, stop, source, command)
        options = RunOptions(lanes, retry_failed, fail_fast, *how, train=train)
        if out is not None:
            return run_in(experiment, Path(out), options, overwrite=overwrite)
        return _run_for_now(experiment, options)


def _trainer(cluster: Cluster | str | None) -> contextlib.AbstractContextManager[Train]:
    """What trains what is missing of a grid."""
    if cluster is None:
        return contextlib.nullcontext(_train)
    import grokjax  # whose rooms above this one are asked for when they are needed

    driver: Any = grokjax.cluster.drive.Driver(cluster)
    return driver


def _run_for_now(experiment: Experiment, options: RunOptions) -> Results:
    """Train in a temporary folder that goes with the results."""
    folder = Path(tempfile.mkdtemp(prefix="grokjax-")) / "sweep"
    try:
        results = run_in(experiment, folder, options)
    except BaseException as error:
        if (folder / manifest.NAME).exists():
            say(
                f"what was trained until now is in {folder}; "
                f"grokjax.run(experiment, {str(folder)!r}) goes on from there"
            )
        else:
            shutil.rmtree(folder.parent, ignore_errors=True)
        raise error
    return dataclasses.replace(results, holds=Temporary(folder.parent))


def run_in(
    experiment: Experiment, folder: Path, options: RunOptions, *, overwrite: bool = False
) -> Results:
    """Train what is missing in a folder, the grid first and then round after round."""
    results_folder.check_free(folder)
    # Refuse what cannot work before anything is written, the lock included. In a folder that
    # has results it is refused under the lock, where nobody is changing what is read.
    old = None if overwrite else results_folder.earlier_start(experiment, folder)
    rounds.check(experiment, old)
    if old is None:
        _check_donors_stay(plan.here(experiment, options.lanes, {}, ()), folder)
    with results_folder.locked(folder):
        if overwrite:
            results_folder.remove_results(folder)
        old = results_folder.earlier_start(experiment, folder)
        trained = recorded_rounds(experiment, old)
        if old and (growth := grow(folder, with_rounds(experiment, trained), old)):
            options.report(Progress(experiment.thresholds, growth.describe()))
        train = options.train or _train
        finished = train(with_rounds(experiment, trained), trained, folder, options)
        # What was to be trained again has been: the rounds that follow are new.
        options = dataclasses.replace(options, retry_failed=False)
        while finished and experiment.refine and not (trained and trained[-1].reason):
            trained += [next_round(experiment, experiment.refine, trained, load(folder))]
            finished = train(with_rounds(experiment, trained), trained, folder, options)
        if finished and _measured(experiment, folder, options):
            results_folder.drop_work(folder)
    return load(folder)


def _measured(experiment: Experiment, folder: Path, options: RunOptions) -> bool:
    """Whether the instruments of the snapshots have measured, after they have gone on."""
    instruments = [i for i in experiment.instruments if i.cadence == "snapshots"]
    if not instruments:
        return True

    def say(activity: str) -> None:
        options.report(Progress(experiment.thresholds, activity))

    return measure_snapshots(folder, experiment, instruments, say, options.stop)


def _check_donors_stay(programs: list[plan.Program], folder: Path) -> None:
    """Refuse to remove the results that the runs are to start from."""
    for run in (run for program in programs for run in program.runs):
        for name, donor in (("start", run.donors.start), ("mask", run.donors.mask)):
            if donor and folder.resolve() in donor.path.resolve().parents:
                raise ConfigError(
                    f"{name}={str(donor.path)!r}: it lies in the results that --overwrite would "
                    "remove, give another --out."
                )


@dataclasses.dataclass(frozen=True)
class Start:
    """A grid that is about to be trained in a folder that is locked."""

    folder: Path
    experiment: Experiment
    old: Manifest | None
    rounds: list[RoundTold]
    provenance: Provenance
    standing: Standing
    programs: list[plan.Program]

    def write(
        self, programs: list[plan.Program], cuts: dict[str, Any], options: RunOptions
    ) -> None:
        """Say what is trained and how it is cut, which must be known before the first row is."""
        warnings = repeats.warnings(self.experiment.runs())
        for warning in warnings:
            options.report(Progress(self.experiment.thresholds, f"warning: {warning}"))
        what = (self.old, cuts, self.provenance, self.rounds, warnings)
        results_folder.write_manifest(self.folder, self.experiment, *what)
        results_folder.write_plan(self.folder, programs, self.experiment.axes())
        if options.source is not None:
            write_text(self.folder / "experiment.py", options.source)

    def write_rounds(self) -> None:
        """Say which rounds there are, where no run is left to train."""
        if self.old and self.rounds and self.old.get("rounds", []) != self.rounds:
            manifest.write(self.folder, {**self.old, "rounds": self.rounds})


def start(
    experiment: Experiment,
    trained: Sequence[Round],
    folder: Path,
    options: RunOptions,
    programs_of: Callable[..., list[plan.Program]] = plan.here,
) -> Start:
    """Read where a grid stands, and plan what is missing of it; nothing is written.

    Args:
      experiment: the grid, those of the rounds among its cells.
      trained: rounds so far, for the manifest.
      folder: of the results.
      options: how to train.
      programs_of: makes the programs.
    """
    old = results_folder.earlier_start(experiment, folder)
    experiment = results_folder.called_as_before(experiment, old)
    recorded = old["programs"] if old else {}
    chosen = [one.to_json() for one in trained]
    device = jax.devices()[0].device_kind
    provenance = manifest.provenance(device, experiment.matmul_precision, options.command)
    standing = read_standing(
        folder,
        old,
        grid={run.run_id for run in experiment.runs()},
        retry_failed=options.retry_failed,
        provenance=provenance,
    )
    if standing.damaged:
        say(f"{standing.damaged.path}: damaged, going on from the commit before it")
    if standing.store.lost:
        lost = [str(path.relative_to(folder)) for path in standing.store.lost]
        provenance["trained_again"] = {"lost": lost, "runs": sorted(standing.again)}
    ended = set(standing.ended()["run_id"])
    programs = programs_of(experiment, options.lanes, recorded, ended, options.find_donors)
    standing.check_grid(folder, programs)
    return Start(folder, experiment, old, chosen, provenance, standing, programs)


def _train(
    experiment: Experiment, trained: Sequence[Round], folder: Path, options: RunOptions
) -> bool:
    """Train what is missing of a grid in a folder that is locked; whether all of it is there.

    The arguments are those of `start`.
    """
    opened = start(experiment, trained, folder, options)
    programs, standing = opened.programs, opened.standing
    how = (options.report, options.stop, options.hooks)
    trainer = Trainer(folder, opened.experiment, programs, standing, *how)
    if trainer.todo():
        if options.lanes is None:
            programs = trainer.tune(opened.old["programs"] if opened.old else {})
        cuts = {p.name: {**plan.cut_of(p), "asked_lanes": options.lanes} for p in programs}
        opened.write(programs, cuts, options)
    else:
        opened.write_rounds()
    finished = trainer.train(options.fail_fast)
    if finished:
        trainer.finish()
        results_folder.drop_checkpoints(folder)
    return finished
