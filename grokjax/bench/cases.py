"""What is timed by default, and the ladders of `--scaling`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from grokjax import experiment_file
from grokjax.bench.options import Options
from grokjax.config import (
    MLP,
    ConfigError,
    Experiment,
    MeanSquaredError,
    ModularArithmetic,
    Sweep,
    Transformer,
)
from grokjax.config.replacing import replace_paths
from grokjax.config.synonyms import suggestion

STANDARD = {
    "1L": Experiment(task=ModularArithmetic("add", p=113), model=Transformer(), train_fraction=0.3),
    "2L-causal": Experiment(
        task=ModularArithmetic("add", p=113), model=Transformer(layers=2), train_fraction=0.3
    ),
    "2L-bidirectional": Experiment(
        task=ModularArithmetic("add", p=97, format="a b"),
        model=Transformer(layers=2, norm="pre", causal=False, readout="mean"),
        train_fraction=0.5,
    ),
    "narrow": Experiment(
        task=ModularArithmetic("sub", p=53),
        model=Transformer(width=32, mlp_width=128),
        train_fraction=0.5,
    ),
    "mlp": Experiment(
        task=ModularArithmetic("add", p=97, format="a b"),
        model=MLP(width=16, mlp_width=64, biases=True),
        train_fraction=0.7,
    ),
    "mlp-quadratic": Experiment(
        task=ModularArithmetic("add", p=97, format="a b"),
        model=MLP.quadratic(mlp_width=512),
        loss=MeanSquaredError(),
        train_fraction=0.5,
    ),
}
"""One run each, with AdamW at its defaults here: learning rate 1e-3, b1 0.9, b2 0.98, decay 1.

`1L` is the network of Nanda et al. 2023, `narrow` that of the quickstart, `mlp` a cell of
`experiments/mlp_map.py`, `mlp-quadratic` the network of Gromov 2023.
"""

LADDERS = {
    "p": ("task.p", [53, 97, 149, 199]),
    "width": ("model.width", [32, 64, 128, 256]),
    "layers": ("model.layers", [1, 2, 3, 4]),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to time."""

    name: str
    experiment: Experiment
    lanes: int | None = None
    """Runs at once; what the planner chooses when left out."""


def scaling() -> Iterator[Case]:
    """One thing at a time varied around a network of width 64 on a table of 97 · 97 rows."""
    task, model = ModularArithmetic("sub", p=97), Transformer(width=64, mlp_width=256)
    base = Experiment(task=task, model=model, train_fraction=0.3)
    for name, (path, values) in LADDERS.items():
        for value in values:
            changes = {path: value}
            if path == "model.width":
                changes["model.mlp_width"] = 4 * value
            yield Case(f"{name}={value}", replace_paths(base, changes), lanes=1)
    for lanes in (1, 2, 4, 8):
        yield Case(f"lanes={lanes}", base, lanes)


def chosen(options: Options) -> list[Case]:
    """The cases that the options name, in the precision that they ask for."""
    cases = []
    for name in options.cases or tuple(STANDARD):
        if name.endswith(".py"):
            experiment, _ = experiment_file.read(Path(name))
            experiment = dataclasses.replace(experiment, sweep=Sweep())
        elif name in STANDARD:
            experiment = STANDARD[name]
        else:
            raise ConfigError(f"cases={name!r}: it is no .py file, {suggestion(name, STANDARD)}")
        experiment = dataclasses.replace(experiment, matmul_precision=options.precision)
        cases.append(Case(name, experiment, options.lanes))
    return cases
