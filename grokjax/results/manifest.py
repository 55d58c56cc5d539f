"""`sweep.json`: what was run, with what, and on what."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from grokjax.config import ConfigError, Experiment, Thresholds
from grokjax.config.fields import leaves
from grokjax.config.identity import checksums, identity, sources
from grokjax.config.rows import Table
from grokjax.config.refusals import cut
from grokjax.results import parts
from grokjax.results.files import write_json
from grokjax.results.outside import check_shape, read_json, refuse
from grokjax.results.shapes import Checkout, Described, Manifest, Provenance
from grokjax.results.schema import GROWABLE, READABLE, SCHEMA_VERSION

NAME = "sweep.json"
HASH = "blake2b"
"""Key of a hash of all the others; a manifest of an older grokjax, or one by hand, has none."""
MOST_TICKS = 10**8
"""The names of parts have room for fewer."""
BUDGET = ("steps", "settle_steps")
"""Fields that may grow in a folder that has results: they only say when a run ends."""
_PACKAGES = ("grokjax", "jax", "jaxlib", "flax", "optax", "numpy", "pandas", "pyarrow")


def read(folder: Path) -> Manifest | None:
    """The manifest of a results folder, or None where there is none.

    What an older grokjax did not write is empty.

    Raises:
      ConfigError: it is not as it was written, or no manifest that this grokjax reads.
    """
    path = folder / NAME
    if not path.exists() and not path.is_symlink():
        return None
    found = read_json(path)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if type(version) is not int or version not in READABLE:
        known = ", ".join(map(str, READABLE))
        said = cut(ascii(version), 40)
        raise ConfigError(
            f"{path}: schema_version={said}, but this grokjax reads {known}; use the grokjax that "
            "wrote it, or restore the file from a copy."
        )
    if found.pop(HASH, None) not in (None, hash_of(found)):
        raise ConfigError(
            f"{path}: it is not as it was written, restore it from a copy; if you have changed it "
            f"yourself, remove its line {HASH!r}."
        )
    empty: dict[str, Any] = {name: {} for name in ("base", "axes", "thresholds", "sources", "vocabularies")}
    none = {"name": folder.name, "starts": [], "programs": {}, "ticks": 0, **empty}
    return _checked({**none, **found}, path)


def _checked(found: Any, path: Path) -> Manifest:
    """A manifest, refused where it is none."""
    check_shape(found, Manifest, path)
    told: Manifest = found
    for name in {*BUDGET} & told["base"].keys():
        check_shape(told["base"][name], int | None, path, f"base.{name}")
    if "parts" in told:
        parts.check(told["parts"], path, "parts")
    if not 0 <= told["ticks"] < MOST_TICKS:
        refuse(path, "ticks", f"{told['ticks']} is no number of commits")
    for name, of_program in told["programs"].items():
        # Workers tell more of a cut: what its bits depend on.
        numbers = {key: n for key, n in of_program.items() if isinstance(n, (int, float))}
        if low := [key for key, number in numbers.items() if not number > 0]:
            refuse(path, f"programs.{name}.{low[0]}", "a number above 0 belongs there")
    thresholds(told, path)
    return told


def thresholds(found: Manifest, path: Path) -> Thresholds:
    """The thresholds that a manifest tells of; defaults where it tells nothing."""
    known = {field.name for field in dataclasses.fields(Thresholds)}
    stored = {name: value for name, value in found.get("thresholds", {}).items() if name in known}
    try:
        return Thresholds(**stored)
    except ConfigError as error:
        refuse(path, "thresholds", cut(str(error).rstrip("."), 120))


def hash_of(found: Mapping[str, Any]) -> str:
    """A hash of all that a manifest says."""
    text = json.dumps(found, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest."""
    told = plain(manifest)
    write_json(folder / NAME, {**told, HASH: hash_of(told)})


def base_of(experiment: Experiment) -> dict[str, Any]:
    """Dotted path → value of the base configuration, thresholds included."""
    own = ("sweep", "refine", "keep_final")
    found = leaves(experiment) | checksums(experiment)
    return plain({path: value for path, value in found.items() if path.split(".")[0] not in own})


def describe(experiment: Experiment, name: str) -> Described:
    """The part of a manifest that says what is run."""
    swept = experiment.expansion.swept.values()
    values = [*vars(experiment).values(), *(value for of_field in swept for value in of_field)]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "base": base_of(experiment),
        "axes": plain(experiment.axes()),
        "thresholds": plain(leaves(experiment.thresholds)),
        "sources": sources(values),
        "vocabularies": _vocabularies(values),
    }


def _vocabularies(values: Iterable[Any]) -> dict[str, dict[str, list[str]]]:
    tables = {value.sha256: value for value in values if isinstance(value, Table)}
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


def git_state(folder: Path, *paths: str) -> Checkout | None:
    """Commit of the checkout that holds `folder`, if it is one, and whether `paths` (all) differ."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"sha": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--", *paths))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _size(budget: int | None) -> float:
    """A budget as one compares it: steps that a run need not be calm for are some that never come."""
    return float("inf") if budget is None else budget


def smaller_budget(old: Described, experiment: Experiment) -> dict[str, Any] | None:
    """What `BUDGET` was in a folder, where an experiment has no less of it and more of some.

    None where it is not so, or where the budget is an axis, which grows by further values.
    """
    if set(BUDGET) & {*old["axes"], *experiment.axes()}:
        return None
    before = {path: old["base"][path] for path in BUDGET if path in old["base"]}
    sizes = [(_size(was), _size(getattr(experiment, path))) for path, was in before.items()]
    grows = any(now > was for was, now in sizes) and all(now >= was for was, now in sizes)
    return before if grows else None


def _larger_budget(
    old: Described, experiment: Experiment, differing: Collection[str]
) -> dict[str, Any] | None:
    """What a folder has of the budget that an experiment has less of, where that is all.

    None where something else differs too, or where this would not make the two fit together.
    """
    if not set(differing) <= old["base"].keys() & set(BUDGET):
        return None
    before = {path: old["base"][path] for path in differing}
    larger = {
        path: was
        for path, was in before.items()
        if _size(was) > _size(getattr(experiment, path))
    }
    rest_grows = larger and smaller_budget(old, experiment.replaced(**larger))
    return larger if rest_grows or larger == before else None


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
    differing = {}
    for path in sorted((set(old["base"]) | set(new["base"])) - axes):
        before, now = (base.get(path) for base in (old["base"], new["base"]))
        if before != now and (path in old["base"] or path in told or path not in new["base"]):
            differing[path] = f"{path}: {before!r} → {now!r}"
    if differing:
        said = "; ".join(differing.values())
        if larger := _larger_budget(old, experiment, differing):
            flags = " ".join(f"--{p.replace('_', '-')} {value}" for p, value in larger.items())
            raise ConfigError(
                f"{folder}: the runs there have a larger budget ({said}); go on with {flags}, or "
                "choose another --out."
            )
        remedy = "choose another --out, or replace them with --overwrite"
        if any(path.startswith("thresholds.") for path in differing):
            remedy += "; to look at them by other thresholds needs no training, see "
            remedy += "`python -m grokjax.phase --help` and `Results.with_thresholds`"
        raise ConfigError(
            f"{folder}: the results there have another base configuration ({said}); {remedy}."
        )


def plain(value: Any) -> Any:
    """As JSON gives it back, so that manifests compare equal after a round trip."""
    return json.loads(json.dumps(value, default=str))
