"""Networks of other programs: their weights under our names, measured by the same instruments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokjax.config import ConfigError, Experiment, Sweep
from grokjax.engine import after_the_fact, donors
from grokjax.engine.measuring import Meter, OnHost
from grokjax.engine.plan import Run
from grokjax.formats import files
from grokjax.training.spec import spec_of

MOST_MISSING = 10
"""Names that are listed in a sentence."""
HOW = ("name", "rows", "transpose", "shape")
"""What an entry of the names may say."""


def read(
    path: Path, experiment: Experiment, names: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """The parameters in a file, by our names and in our shapes.

    Args:
      path: of a safetensors or an npz file.
      experiment: the task and model.
      names: our name → the name there, or a dictionary with `name`, and with `rows`, `transpose`
        and `shape` that are applied in this order; None: the names are ours.

    Raises:
      ConfigError: an array is missing, or has another shape than the network's.
    """
    arrays, _ = files.read(path)
    names = {name: name for name in wanted_shapes(experiment)} if names is None else names
    params, wanted = {}, wanted_shapes(experiment)
    for name, shape in wanted.items():
        if name not in names:
            continue
        array = _made_ours(path, arrays, name, names[name])
        if array.shape != shape:
            raise ConfigError(
                f"names, {name}: {path} has it in the shape {array.shape}, this network's is "
                f"{shape}; give `transpose` or `shape`, or an experiment of that network."
            )
        params[name] = array
    if missing := [name for name in wanted if name not in names]:
        listed = ", ".join(missing[:MOST_MISSING])
        listed += f" and {len(missing) - MOST_MISSING} more" * (len(missing) > MOST_MISSING)
        remedy = f"are missing, say which arrays of {path} they are"
        if len(missing) == 1:
            remedy = f"is missing, say which array of {path} it is"
        raise ConfigError(f"names: {listed} {remedy}.")
    if unknown := sorted(names.keys() - params.keys()):
        raise ConfigError(
            f"names: {', '.join(unknown)} is no parameter of this network, whose parameters are "
            f"{', '.join(params)}."
        )
    return params


def wanted_shapes(experiment: Experiment) -> dict[str, tuple[int, ...]]:
    """Name → shape of the parameters of an experiment's network, as in a snapshot's file."""
    state = donors.state_shapes(spec_of(_only_run(experiment)))
    named = donors.by_name({"params": state.params})
    return {name.removeprefix("params/"): leaf.shape for name, leaf in named.items()}


def measure(
    params: Mapping[str, np.ndarray],
    experiment: Experiment,
    instruments: after_the_fact.Asked = None,
) -> pd.DataFrame:
    """The measurements of a network, `instrument`, `part` and `value` a row.

    Args:
      params: its parameters by name, as `read` gives them.
      experiment: the task and model; its split says which rows count as trained on.
      instruments: what to measure; None: all that fit and cost no more than a few updates; all:
        all that fit.
    """
    run = _only_run(experiment)
    chosen = after_the_fact.applicable(instruments, run, experiment)
    arrays = {f"params/{name}": np.asarray(array) for name, array in params.items()}
    network = OnHost(Run(run.run_id, run), 0, arrays)
    (measured,) = Meter(spec_of(run), chosen, 1).measure([network])
    rows = [
        (instrument, part, value)
        for instrument, parts in measured.items()
        for part, value in parts.items()
    ]
    return pd.DataFrame(rows, columns=["instrument", "part", "value"])


def _only_run(experiment: Experiment) -> Experiment:
    """The experiment without its sweep, or with what needs other files."""
    bare = dataclasses.replace(
        experiment,
        sweep=Sweep(),
        refine=None,
        snapshots=None,
        start=None,
        mask=None,
        instruments=(),
    )
    return bare.runs()[0]


def _made_ours(path: Path, arrays: Mapping[str, np.ndarray], name: str, how: Any) -> np.ndarray:
    """An array of a file as an entry of the names says."""
    told: dict[str, Any] = {"name": how} if isinstance(how, str) else dict(how)
    if unknown := sorted(told.keys() - set(HOW)):
        raise ConfigError(
            f"names, {name}: {', '.join(unknown)} is not known, say {', '.join(HOW)}."
        )
    if told.get("name") not in arrays:
        raise ConfigError(
            f"names, {name}: {path} has no array {told.get('name')!r}, it has "
            f"{', '.join(sorted(arrays))}."
        )
    array = np.asarray(arrays[told["name"]])
    try:
        if "rows" in told:
            array = array[slice(*told["rows"])]
        if "transpose" in told:
            array = array.transpose(told["transpose"])
        return array.reshape(told["shape"]) if "shape" in told else array
    except (ValueError, TypeError) as error:
        raise ConfigError(f"names, {name}: {error}.") from None
