"""`sweep.json`: what was run, with what, and on what."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, TypedDict

from grokjax.config import ConfigError, Experiment
from grokjax.config.fields import leaves
from grokjax.config.identity import checksums, identity, sources
from grokjax.config.rows import Table
from grokjax.results.files import write_json
from grokjax.results.parts import Record
from grokjax.results.schema import GROWABLE, READABLE, SCHEMA_VERSION

NAME = "sweep.json"
BUDGET = ("steps", "settle_steps")
"""Fields that may grow in a folder that has results: they only say when a run ends."""
_PACKAGES = ("grokjax", "jax", "jaxlib", "flax", "optax", "numpy", "pandas", "pyarrow")


class Described(TypedDict):
    """What a manifest says of what is run."""

    schema_version: int
    """Which columns, files and ids the folder has; see `results.schema`."""
    name: str
    base: dict[str, Any]
    """Dotted path → value of the configuration that all runs share but for the axes."""
    axes: dict[str, list[Any]]
    """Dotted path → the values that it takes."""
    thresholds: dict[str, Any]
    """What the onset columns were computed with."""
    sources: dict[str, str]
    """Kind → source of every word that the user has written."""
    vocabularies: dict[str, dict[str, list[str]]]
    """Checksum of a user's table → what its tokens and its classes stand for, where it is text."""


class Provenance(TypedDict, total=False):
    """With what, and on what, a start of a sweep ran."""

    command: str
    created: str
    git: dict[str, Any] | None
    versions: dict[str, str]
    device: dict[str, Any]
    matmul_precision: str
    trained_again: dict[str, Any]
    """Runs that had lost rows, and the parts that were lost."""
    work: dict[str, float]
    """Updates that this start did, and its seconds."""


class Manifest(Described, Provenance, total=False):
    """`sweep.json`: what is run, the provenance of the first start, and how far the sweep is."""

    starts: list[Provenance]
    """Provenance of every start, in their order."""
    programs: dict[str, dict[str, Any]]
    """Name of a compiled program → how it is cut into lanes, tiles and segments."""
    ticks: int
    """Commits so far, when the sweep last finished."""
    rounds: list[dict[str, Any]]
    """What a refined sweep has chosen so far; see `engine.rounds.Round`."""
    parts: Record
    """The files of a finished sweep, with their rows and hashes."""
    warnings: list[str]
    """What was found about the tables: rows that are there twice, or on both sides of a split."""
    measured: dict[str, dict[str, Any]]
    """Kind of an instrument that has measured snapshots → its fields."""
    curves_of: dict[str, Any]
    """Of curves that another program has left: where from, what was taken for what, what is not
    known; see `exchange.folder.Origin`."""
    growing: list[dict[str, Any]]
    """Budgets that rows may still have, while that of `base` is being given to them."""


def read(folder: Path) -> Manifest | None:
    """The manifest of a results folder, or None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not a readable manifest ({error}), restore the file.") from None
    found = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if found not in READABLE:
        known = ", ".join(map(str, READABLE))
        raise ConfigError(
            f"{path}: schema_version={found!r}, but this grokjax reads {known}; "
            "use the grokjax that wrote it."
        )
    return manifest


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest."""
    write_json(folder / NAME, manifest)


def base_of(experiment: Experiment) -> dict[str, Any]:
    """Dotted path → value of the base configuration, thresholds included."""
    own = ("sweep", "refine", "keep_final")
    found = plain(leaves(experiment) | checksums(experiment))
    return {path: value for path, value in found.items() if path.split(".")[0] not in own}


def describe(experiment: Experiment, name: str) -> Described:
    """The part of a manifest that says what is run."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "base": base_of(experiment),
        "axes": plain(experiment.axes()),
        "thresholds": plain(leaves(experiment.thresholds)),
        "sources": sources([experiment, *experiment.runs()]),
        "vocabularies": _vocabularies([experiment, *experiment.runs()]),
    }


def _vocabularies(experiments: list[Experiment]) -> dict[str, dict[str, list[str]]]:
    tables = {run.task.sha256: run.task for run in experiments if isinstance(run.task, Table)}
    named = {sha: (table.vocabulary, table.class_names) for sha, table in tables.items()}
    return {
        sha: {"vocabulary": list(tokens), "class_names": list(classes)}
        for sha, (tokens, classes) in named.items()
        if tokens or classes
    }


def provenance(device: str, matmul_precision: str, command: str) -> Provenance:
    """With what and where a start of a sweep was run."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "command": command,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git": git_state(Path(__file__).parent),
        "versions": {"python": platform.python_version(), **versions},
        "device": {"kind": device, "cpus": os.cpu_count(), "machine": platform.machine()},
        "matmul_precision": matmul_precision,
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the checkout that holds `folder`, if it is one."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"sha": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def smaller_budget(old: Described, experiment: Experiment) -> dict[str, Any] | None:
    """What `BUDGET` was in a folder, where an experiment has no less of it and more of some.

    None where it is not so, or where the budget is an axis, which grows by further values.
    """
    if set(BUDGET) & {*old["axes"], *experiment.axes()}:
        return None
    before = {path: old["base"][path] for path in BUDGET if path in old["base"]}
    pairs = [(before[path], getattr(experiment, path)) for path in before]
    # No number of steps that a run has to be calm for is one that never comes.
    sizes = [[float("inf") if value is None else value for value in pair] for pair in pairs]
    grows = any(now > was for was, now in sizes) and all(now >= was for was, now in sizes)
    return before if grows else None


def check_same_base(
    old: Described, new: Described, experiment: Experiment, folder: Path
) -> None:
    """Refuse to mix two base configurations, or two schemas, in one folder.

    A field that either sweep has as an axis may differ: that is a grid that grew. So may a budget
    that grew. A field that the older grokjax did not have counts as being at its default there.

    Args:
      old: the manifest in the folder.
      new: what `describe` says of the experiment.
      experiment: to be trained there.
      folder: of the results.

    Raises:
      ConfigError: what differs, or which version began the sweep.
    """
    if old["schema_version"] not in GROWABLE:
        raise ConfigError(
            f"{folder}: schema_version={old['schema_version']!r}, an older grokjax began this sweep; "
            "go on with that one, choose another --out, or start over with --overwrite."
        )
    axes, told = set(old["axes"]) | set(new["axes"]), identity(experiment)
    if smaller_budget(old, experiment):
        axes |= set(BUDGET)
    differing = []
    for path in sorted((set(old["base"]) | set(new["base"])) - axes):
        before, now = (base.get(path) for base in (old["base"], new["base"]))
        if before != now and (path in old["base"] or path in told or path not in new["base"]):
            differing.append(f"{path}: {before!r} → {now!r}")
    if differing:
        remedy = "choose another --out, or replace them with --overwrite"
        if any(line.startswith("thresholds.") for line in differing):
            remedy += "; to look at them by other thresholds needs no training, see "
            remedy += "`python -m grokjax.phase --help` and `Results.with_thresholds`"
        raise ConfigError(
            f"{folder}: the results there have another base configuration "
            f"({'; '.join(differing)}); {remedy}."
        )


def plain(value: Any) -> Any:
    """As JSON gives it back, so that manifests compare equal after a round trip."""
    return json.loads(json.dumps(value, default=str))
