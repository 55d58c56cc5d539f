"""The same claim once more, to exclude an accident: with other seeds, or in float64."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from grokjax.atlas import files
from grokjax.atlas.claim import Claim
from grokjax.config import ConfigError, Experiment, Sweep

SEEDS_LATER = 1000
"""How much larger the seeds of a check are; claims and their trials have smaller ones."""
CHECKS = {"seeds": f"seeds + {SEEDS_LATER}", "float64": "all in float64"}


def varied(claim: Claim, name: str, check: str) -> Claim:
    """The claim with its experiments changed as the check says, in folders of their own."""
    if check not in CHECKS:
        raise ConfigError(f"check={check!r}: choose from {', '.join(CHECKS)}.")
    new = {key: _changed(e, name, check) for key, e in claim.experiments.items()}
    return dataclasses.replace(claim, experiments=new)


def folder_of(name: str, check: str = "") -> Path:
    """Where the sweeps of a claim, or of a check of it, lie."""
    return files.RESULTS / name / (f"{files.SWEEPS}-{check}" if check else files.SWEEPS)


def _changed(experiment: Experiment, name: str, check: str) -> Experiment:
    given: dict[str, Any] = {
        field: dataclasses.replace(donor, path=_moved(donor.path, name, check))
        for field in ("start", "mask")
        if (donor := getattr(experiment, field)) is not None
    }
    if check == "float64":
        given |= {"dtype": "float64", "loss_dtype": None}
        if any("dtype" in key for cell in experiment.sweep.cells for key in cell):
            raise ConfigError(
                "check='float64': the claim is about types of numbers, check='seeds'."
            )
        return dataclasses.replace(experiment, **given)
    cells = [
        {
            key: value + SEEDS_LATER if key in ("seed", "split_seed") else value
            for key, value in c.items()
        }
        for c in experiment.sweep.cells
    ]
    return dataclasses.replace(experiment, sweep=Sweep(tuple(cells)), **given)


def _moved(path: str, name: str, check: str) -> str:
    """A donor's folder, where it is one of the claim's own."""
    own = folder_of(name)
    return (
        str(folder_of(name, check) / Path(path).relative_to(own))
        if own in Path(path).parents
        else path
    )
