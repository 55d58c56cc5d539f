"""How programs are cut, chosen once and by a worker like those that will train them."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grokjax.cluster import gifts, parcel, signature, worker
from grokjax.cluster.crew import Crew
from grokjax.cluster.depot import Depot, open_depot
from grokjax.cluster.engines import Job
from grokjax.config.cluster import WorkersError
from grokjax.engine import backend, plan, tune
from grokjax.engine.plan import Program
from grokjax.engine.progress import Progress
from grokjax.engine.sweep import RunOptions, Start

MOST_RUNS = 1024
"""Of a program, whose lanes are timed."""
TRIES = 3
"""Workers that may die over it."""
WAIT_SECONDS = 5.0
"""Between two looks at whether the sweep is to stop."""


def run(job: Job) -> None:
    """Time the programs of a sample of the runs, and put what was chosen."""
    depot = open_depot(job.depot)
    asked = depot.get_json(f"calibrations/{job.attempt}/asked.json")
    backend.prepare()
    experiment = parcel.unpacked(job.experiment)
    recorded, lanes = asked["recorded"], asked["lanes"]
    with tempfile.TemporaryDirectory(prefix="grokjax-") as folder:
        find = gifts.finder(depot, asked["donors"], Path(folder))
        programs = plan.here(experiment, lanes, recorded, (), find)
        if lanes is None:
            programs = tune.tuned(programs, recorded, lambda activity: None)
    cuts = {
        program.name: recorded.get(program.name, {**plan.cut_of(program), "asked_lanes": lanes})
        for program in programs
    }
    told = {name: {**cut, "signature": signature.here(cut)} for name, cut in cuts.items()}
    name = f"calibrations/{job.attempt}/{secrets.token_hex(4)}.json"
    depot.put_json(name, told)


def choose(
    opened: Start,
    programs: Sequence[Program],
    recorded: Mapping[str, Any],
    crew: Crew,
    depot: Depot,
    options: RunOptions,
) -> dict[str, dict[str, Any]] | None:
    """Have a worker choose cut and signature of programs; None where the sweep is to stop.

    Args:
      opened: the grid.
      programs: that have no signature yet.
      recorded: cuts that are chosen already, by a start without workers.
      crew: to have it done by.
      depot: to speak through.
      options: of the sweep.

    Raises:
      WorkersError: no worker can.
    """
    cells, told = [], {}
    for program in programs:
        # In more lanes than that some workers would have no runs.
        share = -(-len(program.runs) // max(1, crew.workers()))
        count = max(min(MOST_RUNS, share), options.lanes or 1)
        for run in program.runs[:count]:
            cells.append(opened.experiment.expansion.cells[run.run_id])
            told[run.run_id] = gifts.put(depot, run.donors)
    known = {p.name: recorded[p.name] for p in programs if p.name in recorded}
    content = parcel.packed(opened.experiment, cells)
    for _ in range(TRIES):
        name = crew.name()
        asked = {"lanes": options.lanes, "recorded": known, "donors": told}
        depot.put_json(f"calibrations/{name}/asked.json", asked)
        lost = False
        crew.submit(worker.calibrate, [("", name, content)])
        while crew.at(""):
            options.report(Progress(opened.experiment.thresholds, "calibrating on a worker"))
            for placed, end in crew.wait(WAIT_SECONDS):
                if not placed.shard and end.error is not None and not end.lost:
                    raise WorkersError(f"a worker could not calibrate: {end.error}")
                lost = end.lost
            if options.stop.is_set():
                crew.cancel()
                return None
        if (chosen := _chosen(depot, name, 0.0 if lost else depot.patience)) is not None:
            return chosen
    raise WorkersError(f"{TRIES} workers died while they chose lanes; see what they have logged.")


def _chosen(depot: Depot, submission: str, patience: float) -> dict[str, dict[str, Any]] | None:
    """What the first calibration by name has chosen; None where none has come to an end."""
    end = time.monotonic() + patience
    while True:
        names = depot.names(f"calibrations/{submission}")
        done = (depot.look(name) for name in names if not name.endswith("/asked.json"))
        if chosen := next((told for told in done if told), None):
            return chosen
        if time.monotonic() > end:
            return None
        time.sleep(1.0)
