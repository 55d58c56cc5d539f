"""Runs of a project at Weights & Biases, where its package is installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd

from grokjax.config import ConfigError
from grokjax.exchange import json_curves
from grokjax.exchange.formats import Table

MARK = "wandb:"


def package(what: str) -> Any:
    """The package `wandb`.

    Raises:
      ConfigError: it is not installed.
    """
    try:
        import wandb
    except ImportError:
        raise ConfigError(
            f"{what} needs the package of Weights & Biases, `pip install wandb`."
        ) from None
    return wandb


def read(source: str) -> list[Table]:
    """The histories of `wandb:ENTITY/PROJECT`, or of one run, `wandb:ENTITY/PROJECT/RUN`.

    Raises:
      ConfigError: there is no such project, or no package to ask for it.
    """
    path = source.removeprefix(MARK).strip("/")
    wandb = package(source)
    try:
        api = wandb.Api()
        runs = [api.run(path)] if path.count("/") == 2 else list(api.runs(path))
        found = [
            Table(
                source,
                pd.DataFrame(list(run.scan_history()), dtype=object),
                (str(run.name),),
                {**json_curves.flat(dict(run.config)), "wandb_id": str(run.id)},
                str(run.id),
            )
            for run in runs
        ]
    except (wandb.Error, ValueError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"{source}: {reason}.") from None
    if not found:
        raise ConfigError(f"{source}: there are no runs in it, give ENTITY/PROJECT.")
    return found


def apart(tables: Sequence[Table]) -> list[Table]:
    """The tables; where runs with several ids have one name, each is called by both."""
    ids: dict[tuple[str, ...], set[str]] = {}
    for table in tables:
        if table.id:
            ids.setdefault(table.names, set()).add(table.id)
    return [
        dataclasses.replace(table, names=(*table.names, table.id))
        if table.id and len(ids[table.names]) > 1
        else table
        for table in tables
    ]
