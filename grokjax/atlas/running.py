"""Training what a claim needs, and deciding it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

import grokjax
from grokjax.atlas import figure, files, record, table, variant
from grokjax.atlas.claim import Claim
from grokjax.config import ConfigError
from grokjax.results.files import make_folder, write_json
from grokjax.results.load import Results, load
from grokjax.results.manifest import git_state
from grokjax.results.shapes import Checkout

ORIGIN = "origin.json"
"""In a folder of sweeps: the commit that began them, and the CPU-seconds of all starts."""


def run(name: str, claim: Claim, check: str = "", **options: Any) -> dict[str, Any] | None:
    """Train what is missing of a claim, decide it, and store verdict, table and figure.

    Args:
      name: of the claim.
      claim: itself.
      check: of `variant.CHECKS`, whose outcome is added to the verdict; empty: the claim itself.
      options: of `grokjax.run`.

    Returns:
      The record of the verdict; None where `stop` was set before all runs had ended.

    Raises:
      ConfigError: runs have failed, so that nothing can be decided.
    """
    if check and record.read(name) is None:
        raise ConfigError(f"NAME={name!r}: a check is of a verdict, run the claim itself first.")
    chosen = variant.varied(claim, name, check) if check else claim
    sweeps = variant.folder_of(name, check)
    words = f"python -m grokjax.atlas run {name}" + f" --check {check}" * bool(check)
    trained = {}
    for key, experiment in chosen.experiments.items():
        with _counted(name, sweeps):
            trained[key] = grokjax.run(
                experiment, sweeps / key, command=words, retry_failed=True, **options
            )
        if not trained[key].finished:
            return None
        if failed := int((trained[key].runs["status"] == "failed").sum()):
            raise ConfigError(
                f"NAME={name!r}: {failed} runs of {key} have failed, look at the column error in "
                f"{sweeps / key}; the same command tries again."
            )
    cost = cost_of(sweeps, trained)
    return (
        _checked(name, chosen, check, trained, cost)
        if check
        else _decided(name, chosen, trained, cost)
    )


def decide(name: str, claim: Claim) -> dict[str, Any]:
    """Decide a claim from its results, or from its stored table where these are not there."""
    sweeps = variant.folder_of(name)
    if all((sweeps / key / "sweep.json").exists() for key in claim.experiments):
        trained = {key: load(sweeps / key) for key in claim.experiments}
        for key, results in trained.items():
            if not results.finished:
                raise ConfigError(f"NAME={name!r}: {key} is not finished, go on with `run {name}`.")
        return _decided(name, claim, trained, cost_of(sweeps, trained))
    old = record.read(name) or {}
    rows = table.read(record.folder(name) / files.TABLE)
    return _stored(name, claim, rows, {"cost": old.get("cost", {}), "git": old.get("git")})


def _decided(
    name: str, claim: Claim, trained: dict[str, Results], cost: dict[str, float]
) -> dict[str, Any]:
    table.write(record.folder(name) / files.TABLE, table.of_results(claim, trained))
    # What is decided from is what is stored: anyone can repeat it.
    rows = table.read(record.folder(name) / files.TABLE)
    figure.write(claim, rows, record.folder(name) / files.FIGURE)
    # Results that were there already are of the commit that has trained them, not of this one.
    return _stored(
        name, claim, rows, {"cost": cost, "git": _origin(variant.folder_of(name))["git"]}
    )


def _stored(name: str, claim: Claim, rows: pd.DataFrame, origin: dict[str, Any]) -> dict[str, Any]:
    told = record.of_decision(name, claim, claim.decide(rows), rows) | origin
    record.write(name, told)
    return record.read(name) or told


def _checked(
    name: str, claim: Claim, check: str, trained: dict[str, Results], cost: dict[str, float]
) -> dict[str, Any]:
    path = record.folder(name) / f"check-{check}.csv"
    table.write(path, table.of_results(claim, trained))
    decision = claim.decide(table.read(path))
    outcome = {"verdict": decision.verdict, **record.numbers(decision), "because": decision.because}
    told = record.read(name) or {}
    others = [one for one in told.get("checks", []) if one["check"] != check]
    found = {"check": check, "what": variant.CHECKS[check], **outcome, "cost": cost}
    record.write(name, told | {"checks": [*others, found]})
    return record.read(name) or told


def cost_of(sweeps: Path, trained: dict[str, Results]) -> dict[str, float]:
    """Run-steps of all experiments, donors included, and CPU-seconds of all starts."""
    steps = sum(int(results.runs["last_step"].sum()) for results in trained.values())
    return {"run_steps": steps, "cpu_s": round(_origin(sweeps)["cpu_s"], 1)}


@contextlib.contextmanager
def _counted(name: str, sweeps: Path) -> Iterator[None]:
    """Note the commit that begins, and add the CPU-seconds of what is done here to earlier ones."""
    known = _origin(sweeps) or {"git": _checkout(name), "cpu_s": 0.0}
    make_folder(sweeps)
    write_json(sweeps / ORIGIN, known)
    begun = time.process_time()
    try:
        yield
    finally:
        known["cpu_s"] += time.process_time() - begun
        write_json(sweeps / ORIGIN, known)


def _checkout(name: str) -> Checkout | None:
    """The commit, and whether the package or the claim differ from it; None outside of git."""
    return git_state(Path(), "grokjax", str(files.path_of(name)))


def _origin(sweeps: Path) -> dict[str, Any]:
    """What has trained these sweeps, and for how long; empty before it has begun."""
    path = sweeps / ORIGIN
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
