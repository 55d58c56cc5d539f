"""`verdict.json`: what was decided, from what, and whether that still stands."""

from __future__ import annotations

import datetime
import functools
import json
import math
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokjax.atlas import effects, files
from grokjax.atlas.claim import Claim, Decision
from grokjax.results.files import write_json
from grokjax.results.outside import read_json
from grokjax.results.schema import SCHEMA_VERSION

if TYPE_CHECKING:
    import pandas as pd

KEPT = ("surprise", "checks")
"""What a person or another command has added, which a new decision leaves alone."""
NOT_RUN = "not run"
DECIDING = tuple(
    f"grokjax/{package}"
    for package in ("analysis", "config", "engine", "measures", "models", "tasks", "training")
)
"""What numbers depend on: a commit to any of it makes a verdict stale, changed or not."""


def folder(name: str) -> Path:
    """Where the results of a claim lie."""
    return files.RESULTS / name


def read(name: str) -> dict[str, Any] | None:
    """The record of a claim's verdict; None where it has not been decided."""
    path = folder(name) / files.VERDICT
    return dict(read_json(path)) if path.exists() else None


def of_decision(name: str, claim: Claim, decision: Decision, table: pd.DataFrame) -> dict[str, Any]:
    """The record of a decision, without what it has cost and which commit has trained it."""
    import grokjax
    from grokjax.atlas import table as tables

    counts = tables.cells(claim, table)
    return {
        "verdict": decision.verdict,
        "under": decision.under,
        **numbers(decision),
        "unit": claim.unit,
        "because": decision.because,
        "runs": len(table),
        "cells": len(counts),
        "seeds_a_cell": [int(counts["n"].min()), int(counts["n"].max())],
        "run_steps": int(table["last_step"].sum()),
        "grokjax": grokjax.__version__,
        "schema": SCHEMA_VERSION,
        "claim_file": files.hash_of(name),
        "decided": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "claim": claim.told(),
    }


def numbers(decision: Decision) -> dict[str, Any]:
    """Effect and interval; a limit that is open is null, as JSON has no infinity."""
    effect = decision.effect
    limits = [value if math.isfinite(value) else None for value in (effect.low, effect.high)]
    return {
        "effect": effect.value if math.isfinite(effect.value) else None,
        "interval": limits,
        "effect_is": "at least" * effect.at_least + "at most" * effect.at_most or "measured",
    }


def write(name: str, told: dict[str, Any]) -> None:
    """Store a record; what was added to the one before stays."""
    old = read(name) or {}
    kept = {key: old[key] for key in KEPT if key in old and key not in told}
    write_json(folder(name) / files.VERDICT, json.loads(json.dumps({**told, **kept})))


def stale(name: str, told: dict[str, Any] | None) -> str:
    """Why a verdict does not stand for the claim as it is now; empty where it does."""
    if told is None:
        return NOT_RUN
    if told.get("schema") != SCHEMA_VERSION:
        return f"schema {told.get('schema')}, now {SCHEMA_VERSION}"
    if told.get("claim_file") != files.hash_of(name):
        return "the claim's file has changed"
    git = told.get("git")
    if not git:
        return ""
    if git["dirty"]:
        return f"trained by code that was not committed, after {git['sha'][:7]}"
    return commits_since(git["sha"])


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


@functools.cache
def commits_since(sha: str) -> str:
    """What has changed since a commit in what trains and measures; empty: nothing, or no git."""
    try:
        _git("rev-parse", "HEAD")
    except (OSError, subprocess.CalledProcessError):
        return ""
    try:
        n = len(_git("rev-list", f"{sha}..HEAD", "--", *DECIDING).split())
    except subprocess.CalledProcessError:
        return f"trained by {sha[:7]}, a commit that is not here"
    return f"trained by {sha[:7]}, commits to what trains since: {n}" if n else ""


def effect_text(told: dict[str, Any]) -> str:
    """Effect and interval as a text."""
    value, low, high = (math.inf if n is None else n for n in (told["effect"], *told["interval"]))
    at_least, at_most = (told["effect_is"] == bound for bound in ("at least", "at most"))
    return effects.told(effects.Effect(value, low, high, at_least, at_most))


def verdict_text(told: dict[str, Any]) -> str:
    """The verdict, with its condition."""
    return f"{told['verdict']} {told['under']}".strip()
