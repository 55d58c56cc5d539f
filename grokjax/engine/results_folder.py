"""A results folder as a sweep opens it: what may be there, who holds it, its manifest."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from grokjax.config import ConfigError, Experiment, GivenSplit
from grokjax.config.fields import leaves, leaves_at
from grokjax.config.identity import FORMER_IDS, column, plain, unknown_paths
from grokjax.engine import final_states, plan
from grokjax.engine.plan import Program
from grokjax.results import manifest, parts, snapshots
from grokjax.results.files import temporary, write_json
from grokjax.results.manifest import Manifest, Provenance
from grokjax.results.reading import PLAN, WORK

OURS = (
    "experiment.py",
    "report.html",
    "plotly.min.js",
    "summary.md",
    "runs",
    "curves",
    "measures",
    "snapshots",
    final_states.FOLDER,
    "figures",
    manifest.NAME,
)
"""What a sweep may have put into its folder; `remove_results` touches nothing else. The
manifest comes last: it is what tells the folder from somebody else's."""


TEMPORARY = tuple(temporary(Path(name)).name for name in (manifest.NAME, "experiment.py"))
"""What a death leaves of the files beside the tables."""


def earlier_start(experiment: Experiment, folder: Path) -> Manifest | None:
    """The manifest of an earlier start of this sweep, None where there is none.

    Raises:
      ConfigError: the folder holds another sweep, or something that is not ours.
    """
    old = manifest.read(folder)
    if old is not None:
        described = manifest.describe(experiment, folder.name)
        manifest.check_same_base(old, described, experiment, folder)
        if old["schema_version"] <= FORMER_IDS:
            _check_ids_are_certain(experiment, old, folder)
    else:
        check_free(folder)
    return old


def called_as_before(experiment: Experiment, old: Manifest | None) -> Experiment:
    """The experiment, its runs with ids by the rule that the folder began with."""
    if old is None or old["schema_version"] > FORMER_IDS:
        return experiment
    return experiment.with_former_ids(unknown_paths(experiment, old["base"]))


def _check_ids_are_certain(experiment: Experiment, old: Manifest, folder: Path) -> None:
    """Refuse a folder of an older grokjax where it is not certain what that one called its runs."""
    # Of a part that is an axis the base says too little: it may be of another kind there.
    paths = leaves(experiment)
    parts_vary = any(other.startswith(f"{path}.") for path in old["axes"] for other in paths)
    if unknown_paths(experiment, old["base"]) and parts_vary:
        why = "has axes of whole parts, whose fields of that time are not known"
    elif experiment.refine:
        why = "is refined"
    elif (folder / WORK / "checkpoints").exists():
        why = "is not finished"
    else:
        return
    raise ConfigError(
        f"{folder}: an older grokjax began this sweep (schema_version="
        f"{old['schema_version']}), and it {why}; go on with that one, choose another --out, or "
        "start over with --overwrite."
    )


def check_free(folder: Path) -> None:
    """Refuse a folder with files of somebody else's."""
    foreign = folder.exists() and not folder.is_dir()
    if folder.is_dir() and not (folder / manifest.NAME).exists():
        foreign = not all(_left_by_a_start(path) for path in folder.iterdir())
    if foreign:
        raise ConfigError(
            f"out={str(folder)!r}: it exists and is no results folder of grokjax, "
            "choose a new folder."
        )


def _left_by_a_start(path: Path) -> bool:
    """Whether a death before there is a manifest, or while one is replaced, may have left this."""
    if path.name == WORK or path.name in TEMPORARY:
        return True
    empty = path.is_dir() and not any(path.iterdir())
    return empty and path.name in (*parts.TABLES, snapshots.FOLDER)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; the lock of a dead one is free.

    A start that is refused leaves no `.work` where there was none: it would make a finished
    sweep look unfinished.
    """
    made = not (folder / WORK).exists()
    try:
        (folder / WORK).mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / WORK / "lock", blocking=False).acquire()
    except filelock.Timeout:
        raise ConfigError(
            f"out={str(folder)!r}: another process is running a sweep there, "
            "wait for it or give another --out."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"out={str(folder)!r}: {error.strerror}, give a folder that can be written to."
        ) from None
    with lock:
        try:
            yield
        except ConfigError:
            if made and [path.name for path in (folder / WORK).iterdir()] == ["lock"]:
                shutil.rmtree(folder / WORK)
            raise


def remove_results(folder: Path) -> None:
    """Remove what an earlier sweep wrote, but not the lock that is held."""
    drop_checkpoints(folder)
    for name in (*TEMPORARY, *OURS):
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def drop_checkpoints(folder: Path) -> None:
    """Remove the checkpoints, at once for every reader: half of one could not be read."""
    checkpoints, doomed = folder / WORK / "checkpoints", folder / WORK / "doomed"
    if doomed.exists():
        shutil.rmtree(doomed)
    if checkpoints.exists():
        checkpoints.rename(doomed)
        shutil.rmtree(doomed)


def write_manifest(
    folder: Path,
    experiment: Experiment,
    old: Manifest | None,
    programs: dict[str, dict[str, Any]],
    provenance: Provenance,
    rounds: list[dict[str, Any]],
    warnings: Sequence[str] = (),
) -> None:
    """The manifest of this start; a sweep that goes on or grows keeps what earlier ones told.

    Args:
      folder: of the results.
      experiment: that is trained.
      old: manifest of the earlier start, None where there was none.
      programs: name → how it is cut.
      provenance: of this start.
      rounds: of a refined sweep.
      warnings: what was found about the tables.
    """
    described = manifest.describe(experiment, folder.name)
    starts = [provenance]
    new: Manifest = {**described, **provenance, "starts": starts, "programs": programs}
    new |= {"ticks": 0, "rounds": rounds, "warnings": list(warnings)}
    if old is not None:
        for path, values in old["axes"].items():
            more = described["axes"].setdefault(path, [])
            described["axes"][path] = [*values, *(v for v in more if v not in values)]
        starts[:0] = old["starts"]
        new |= starts[0]
        new |= {
            "schema_version": old["schema_version"],  # it says how the runs are called
            "sources": {**old.get("sources", {}), **described["sources"]},
            "vocabularies": {**old.get("vocabularies", {}), **described["vocabularies"]},
            "programs": {**programs, **old["programs"]},  # what was chosen first stays
            "ticks": old["ticks"],
            # A start that does not refine keeps the record of those that did.
            "rounds": rounds or old.get("rounds", []),
        }
        if "parts" in old:
            new["parts"] = old["parts"]
    manifest.write(folder, new)


def write_plan(folder: Path, programs: Sequence[Program], axes: Collection[str]) -> None:
    """Say which runs are to be trained, for those who look at the sweep meanwhile.

    Args:
      folder: of the results.
      programs: with their runs.
      axes: dotted paths of the sweep's axes.
    """
    heads = {path.split(".")[0] for path in axes}
    columns, known = {path: column(path) for path in axes}, dict[Any, dict[str, Any]]()
    rows = []
    for program in programs:
        name = program.name
        for run in program.runs:
            told: dict[str, Any] = {}
            for head in heads:
                told |= _told(run.config, head, known)
            values = {columns[path]: told.get(path) for path in axes}
            rows.append({"run_id": run.run_id, "program": name, **values})
    write_json(folder / PLAN, rows)


def _told(run: Experiment, head: str, known: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """Paths of a field of a run, with what tables have there; runs have most values in common."""
    if head == "train_fraction":
        return {head: run.row()[head] if isinstance(run.split, GivenSplit) else run.train_fraction}
    value = getattr(run, head)
    key = (head, type(value), value)
    if key not in known:
        known[key] = {path: plain(one) for path, one in leaves_at(head, value).items()}
    return known[key]


def record_cut(folder: Path, program: Program, **more: Any) -> None:
    """Let the manifest say that a program had to be shaped anew, and more about its cut."""
    found = manifest.read(folder)
    assert found is not None  # written when the sweep was opened
    found["programs"][program.name] |= plan.cut_of(program) | more
    manifest.write(folder, found)


def record_programs(
    folder: Path, programs: Mapping[str, dict[str, Any]], device: dict[str, Any]
) -> None:
    """Let the manifest say how programs are cut, and on what this start trains them."""
    found = manifest.read(folder)
    assert found is not None  # written when the sweep was opened
    found["programs"] = {**found["programs"], **programs}
    found["starts"][-1]["device"] = device
    if len(found["starts"]) == 1:
        found["device"] = device
    manifest.write(folder, found)
