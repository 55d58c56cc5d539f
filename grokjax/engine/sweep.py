"""A sweep from an experiment to a finished folder."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import jax

from grokjax.config import Experiment
from grokjax.engine import backend, plan
from grokjax.engine import folder as folders
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
    """Train every run of the experiment that is not in `out` yet.

    Args:
      experiment: what to run.
      out: results folder; left out, the results are only returned.
      lanes: runs trained at once; left out, the planner chooses.
      overwrite: remove the results in `out` first.
      retry_failed: train runs again that an error ended.
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

    def prepare() -> tuple[dict[str, Any] | None, list[plan.Program]]:
        old = None if overwrite else folders.earlier_start(experiment, folder)
        return old, plan.here(experiment, lanes, old["programs"] if old else {})

    backend.prepare()
    folders.check_free(folder)
    prepare()  # refuse what cannot work before anything is written, the lock included
    with folders.locked(folder):
        old, programs = prepare()
        if overwrite:
            folders.remove_results(folder)
        device = jax.devices()[0].device_kind
        provenance = manifest.provenance(device, experiment.matmul_precision, command)
        trainer = Trainer(folder, experiment, programs, report, stop, fail_fast, provenance)
        trainer.recover()
        if trainer.todo(retry_failed):
            if lanes is None:
                programs = trainer.tune(old["programs"] if old else {})
            shapes = {p.name: {**plan.shape(p), "asked_lanes": lanes} for p in programs}
            folders.write_manifest(folder, experiment, old, shapes, provenance)
            if source is not None:
                write_text(folder / "experiment.py", source)
        finished = trainer.train(retry_failed)
        if finished:
            trainer.finish()
            folders.drop_checkpoints(folder)
            shutil.rmtree(folder / folders.WORK)
    return load(folder)
