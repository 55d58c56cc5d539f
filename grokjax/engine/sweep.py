"""A sweep from an experiment to a finished folder."""

from __future__ import annotations

import functools
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax

from grokjax.config import ConfigError, Experiment
from grokjax.engine import backend, plan, rounds
from grokjax.engine import folder as folders
from grokjax.engine import standing as standings
from grokjax.engine.progress import Report
from grokjax.engine.trainer import Trainer
from grokjax.results import manifest
from grokjax.results.files import write_text
from grokjax.results.load import Results, load


def run(
    experiment: Experiment,
    out: str | Path | None = None,
    *,
    lanes: int | None = None,
    overwrite: bool = False,
    retry_failed: bool = False,
    fail_fast: bool = False,
    report: Report = lambda progress: None,
    stop: threading.Event | None = None,
    source: str | None = None,
    command: str = "grokjax.run",
) -> Results:
    """Train every run of the experiment that is not in `out` yet, and refine where it says so.

    Args:
      experiment: what to run.
      out: results folder; left out, the results are only returned.
      lanes: runs trained at once; left out, the planner chooses.
      overwrite: remove the results in `out` first.
      retry_failed: train runs again that an error ended, or whose rows were lost from `out`.
      fail_fast: raise the first error instead of recording it.
      report: called with the counters after every tick.
      stop: when it is set, the sweep commits its tick and returns.
      source: text of the experiment file, kept with the results.
      command: how the sweep was started, for the manifest.

    Returns:
      The results so far, which is all of them unless `stop` was set.

    Raises:
      ConfigError: a value cannot work, or `out` holds something else; nothing was changed.
    """
    if out is None:
        with tempfile.TemporaryDirectory() as temporary:
            options: dict[str, Any] = {"lanes": lanes, "fail_fast": fail_fast}
            inside = Path(temporary) / "sweep"
            results = run(experiment, inside, report=report, stop=stop, **options)
            _ = results.runs, results.curves, results.measures  # read before the folder goes
            return results
    folder, stop = Path(out), stop or threading.Event()
    backend.prepare()
    folders.check_free(folder)
    # Refuse what cannot work before anything is written, the lock included. In a folder that
    # has results it is refused under the lock, where nobody is changing what is read.
    old = None if overwrite else folders.earlier_start(experiment, folder)
    if old is None:
        _check_donors_stay(plan.here(experiment, lanes, {}, ()), folder)
    with folders.locked(folder):
        if overwrite:
            folders.remove_results(folder)
        old = folders.earlier_start(experiment, folder)
        recorded = old.get("rounds", []) if old and experiment.refine else []
        made = [of_round for of_round in recorded if of_round["cells"]]
        once = functools.partial(
            _train,
            folder=folder,
            lanes=lanes,
            fail_fast=fail_fast,
            report=report,
            stop=stop,
            source=source,
            command=command,
        )
        finished = once(rounds.grown(experiment, made), made, retry_failed=retry_failed)
        while finished and experiment.refine and not (made and "reason" in made[-1]):
            made = [*made, rounds.following(experiment, experiment.refine, made, load(folder))]
            finished = once(rounds.grown(experiment, made), made, retry_failed=False)
        if finished:
            shutil.rmtree(folder / folders.WORK)
    return load(folder)


def _check_donors_stay(programs: list[plan.Program], folder: Path) -> None:
    """Refuse to remove the results that the runs are to start from."""
    for run in (run for program in programs for run in program.runs):
        for name, donor in (("start", run.donors.start), ("mask", run.donors.mask)):
            if donor and folder.resolve() in donor.path.resolve().parents:
                raise ConfigError(
                    f"{name}={str(donor.path)!r}: it lies in the results that --overwrite would "
                    "remove, give another --out."
                )


def _train(
    experiment: Experiment,
    made: list[rounds.Round],
    *,
    folder: Path,
    lanes: int | None,
    retry_failed: bool,
    fail_fast: bool,
    report: Report,
    stop: threading.Event,
    source: str | None,
    command: str,
) -> bool:
    """Train what is missing of a grid in a folder that is locked; whether all of it is there."""
    old = folders.earlier_start(experiment, folder)
    experiment = folders.called_as_before(experiment, old)
    recorded = old["programs"] if old else {}
    device = jax.devices()[0].device_kind
    provenance = manifest.provenance(device, experiment.matmul_precision, command)
    standing = standings.read(
        folder,
        old,
        grid={run.run_id for run in experiment.runs()},
        retry_failed=retry_failed,
        provenance=provenance,
    )
    if standing.store.lost:
        lost = [str(path.relative_to(folder)) for path in standing.store.lost]
        provenance["trained_again"] = {"lost": lost, "runs": sorted(standing.again)}
    programs = plan.here(experiment, lanes, recorded, set(standing.ended()["run_id"]))
    standing.check_grid(folder, programs)
    trainer = Trainer(folder, experiment, programs, report, stop, fail_fast, standing)
    if trainer.todo():
        if lanes is None:
            programs = trainer.tune(recorded)
        shapes = {p.name: {**plan.shape(p), "asked_lanes": lanes} for p in programs}
        folders.write_manifest(folder, experiment, old, shapes, provenance, made)
        if source is not None:
            write_text(folder / "experiment.py", source)
    elif old and old.get("rounds", []) != made and made:
        manifest.write(folder, {**old, "rounds": made})
    finished = trainer.train()
    if finished:
        trainer.finish()
        folders.drop_checkpoints(folder)
    return finished
