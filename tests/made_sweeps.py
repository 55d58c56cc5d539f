"""Sweeps of every shape, as Hypothesis draws them, with made-up outcomes and no training."""

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from grokjax import (
    MLP,
    SGD,
    Adam,
    AdamW,
    CrossEntropy,
    Experiment,
    GrokfastEMA,
    Lion,
    MeanSquaredError,
    ModularArithmetic,
    ParameterGroups,
    Thresholds,
    Transformer,
    grid,
)
from grokjax.analysis import onset
from grokjax.analysis.curves import Curves
from grokjax.results import manifest
from grokjax.results.load import Results
from grokjax.results.schema import METRICS, onset_columns, runs_schema, runs_table

BUDGET, EVERY = 2000, 100
AXES = {
    "optimizer.weight_decay": [[0.0, 0.1, 1.0], [0.1, 1.0], [0.01, 0.1, 1.0, 10.0], [1.0], [0.5, 0.6, 0.7, 3.0]],
    "optimizer.learning_rate": [[1e-3, 3e-3, 1e-2], [0.1, 0.2], [1e-3, 1e-3 * (1 + 1e-9)]],
    "train_fraction": [[0.4, 0.6], [0.3, 0.4, 0.5, 0.9], [0.5]],
    "label_noise": [[0.0, 0.1], [0.0, 0.01, 0.1, 1.0]],
    "steps": [[BUDGET, BUDGET // 2], [BUDGET // 4, BUDGET // 2, BUDGET]],
    "batch_size": [[None, 8], [None, 5, 8]],
    "model.dropout": [[None, 0.1], [0.1, 0.2, None]],
    "task.p": [[5, 7], [5, 7, 11]],
    "dtype": [["float32", "float64"]],
    "model.activation": [["relu", "gelu"], ["gelu"]],
    "model.norm": [["none", "pre", "post"]],
    "model.causal": [[True, False]],
    "loss": [[CrossEntropy(), MeanSquaredError()], [MeanSquaredError()]],
    "model": [[Transformer(width=8, heads=2), MLP(width=8)], [MLP(width=8), MLP(width=16), MLP(width=8, layers=2)]],
    "optimizer": [
        [SGD(), SGD(momentum=0.9), Adam(b2=0.999), AdamW(b2=0.999)],
        [Lion(), AdamW()],
        [SGD(momentum=0.1), SGD(momentum=0.2), SGD(momentum=0.4)],
    ],
    "modifiers": [[(), (GrokfastEMA(1.0),)], [(GrokfastEMA(1.0),), (GrokfastEMA(2.0),)]],
    "groups": [[None, ParameterGroups()], [None, ParameterGroups(body_decay=0.1), ParameterGroups(body_decay=0.2)]],
}  # fmt: skip
"""Field → lists of values for it: numbers, words, flags, absent ones and whole parts."""
SEEDS = [
    {"seed": [0]}, {"seed": [0, 1]}, {"seed": [3, 1, 2]}, {"seed": range(4)}, {"seed": range(5)},
    {"seed": [0, 1], "split_seed": [0, 1]}, {"seed": range(3), "split_seed": [7, 8]},
    {"seed": [0, 1, 2], "split_seed": [5]}, {"split_seed": [0, 1, 2]}, {},
]  # fmt: skip
OUTCOMES = [
    "mixed", "never memorised", "memorised only", "diverged", "diverged at once", "grokked",
    "grokked at once", "grokked at 0", "some at 0", "grokked first", "collapsed", "half failed",
    "all but one failed", "by the first axis",
]  # fmt: skip
MOST_RUNS = 60


@st.composite
def sweeps(draw):
    """An experiment with a sweep, and how its runs shall end."""
    wanted = draw(st.lists(st.sampled_from(sorted(AXES)), min_size=1, max_size=4, unique=True))
    axes = {name: draw(st.sampled_from(AXES[name])) for name in wanted}
    seeds = draw(st.sampled_from(SEEDS))
    has_dropout_or_causal = {name.split(".")[1] for name in axes if name.startswith("model.")}
    if "model" in axes and has_dropout_or_causal:
        axes.pop("model")  # fields of one kind only are no axes of several kinds
    axes = dict(sorted(axes.items(), key=lambda axis: len(axis[0])))  # parts before their fields
    while np.prod([len(v) for v in (*axes.values(), *seeds.values())]) > MOST_RUNS:
        axes.popitem()
    experiment = Experiment(
        task=ModularArithmetic("add", p=7),
        model=Transformer(width=8, heads=2),
        steps=BUDGET,
        log_every=EVERY,
        settle_steps=None,
        sweep=grid({**axes, **seeds}),
    )
    return experiment, draw(st.sampled_from(OUTCOMES)), draw(st.integers(0, 99))


def made(experiment, outcome, number, folder=Path("made")):
    """Results in memory as a sweep of the experiment would leave them."""
    rng, rows, pieces = np.random.default_rng(number), [], []
    runs = experiment.runs()
    levels = sorted({str(next(iter(cell.values()), None)) for cell in experiment.sweep.cells})
    first = [levels.index(str(next(iter(cell.values()), None))) for cell in experiment.sweep.cells]
    for at, run in enumerate(runs):
        status, end, mem, grok, collapse = _fate(outcome, at, first[at % len(first)], rng)
        end = min(end, run.steps)
        row = {
            **run.row(), "run_id": run.run_id, "status": status, "stop_reason": "budget",
            "error": "out of memory" if status == "failed" else None, "last_step": end,
            "n_rows": 49, "n_train": 25, "n_test": 24, "chance": 1 / 7, "lanes": 4, "wall_s": 1.5,
        }  # fmt: skip
        rows.append({**row, **({"last_step": None} if status == "failed" else {})})
        if status != "failed":
            pieces.append(_curve(run.run_id, end, mem, grok, collapse, status == "diverged"))
    curves = pd.concat(pieces, ignore_index=True)
    of_runs = Curves.of_table(curves)
    measured = onset.onsets(of_runs, np.full(len(of_runs.run_ids), 1 / 7), Thresholds())
    plain = {name: values.tolist() for name, values in measured.items()}
    found = pd.DataFrame({"run_id": of_runs.run_ids, **plain}, dtype=object)
    schema = runs_schema(experiment)
    known = {name: found.set_index("run_id")[name] for name in onset_columns(Thresholds())}
    rows = [
        {**row, **{name: _value(column, row["run_id"]) for name, column in known.items()}}
        for row in rows
    ]
    results = Results(folder, manifest.describe(experiment, "made"))
    vars(results)["runs"] = runs_table(rows, schema).to_pandas()
    vars(results)["curves"] = curves
    return results


def _value(column, run_id):
    return column[run_id] if run_id in column.index else None


def _fate(outcome, at, level, rng):
    """Status, last step, and the steps of memorising, grokking and collapsing, if they come."""
    mem, grok = int(rng.integers(1, 6)) * EVERY, int(rng.integers(7, 18)) * EVERY
    plain = ("done", BUDGET, mem, grok, None)
    return {
        "mixed": plain if rng.random() < 0.5 else ("done", BUDGET, mem, None, None),
        "never memorised": ("done", BUDGET, None, None, None),
        "memorised only": ("done", BUDGET, mem, None, None),
        "diverged": ("diverged", 5 * EVERY, mem, None, None),
        "diverged at once": ("diverged", 0, None, None, None),
        "grokked": plain,
        "grokked at once": ("done", BUDGET, EVERY, EVERY, None),
        "grokked at 0": ("done", BUDGET, 0, 0, None),
        "some at 0": ("done", BUDGET, 0, 0, None) if at % 3 else plain,
        "grokked first": ("done", BUDGET, grok, mem, None),
        "collapsed": ("done", BUDGET, mem, 6 * EVERY, 12 * EVERY),
        "half failed": ("failed", 0, None, None, None) if at % 2 else plain,
        "all but one failed": ("failed", 0, None, None, None) if at else plain,
        "by the first axis": plain if level % 2 else ("done", BUDGET, mem, None, None),
    }[outcome]


def _curve(run_id, end, mem, grok, collapse, diverged):
    step = np.arange(0, end + 1, EVERY)
    late = np.inf
    train = np.where(step >= (late if mem is None else mem), 1.0, 0.5)
    test = np.where(step >= (late if grok is None else grok), 1.0, 0.1)
    test = np.where(step >= (late if collapse is None else collapse), 0.3, test)
    values = {
        "train_accuracy": train, "test_accuracy": test, "train_accuracy_true": train,
        "train_loss": 1.5 - train, "test_loss": 2.5 - test, "weight_norm": 10 - test,
        "grad_norm": 2.5 - test, "update_norm": 0.1 + 0 * test,
    }  # fmt: skip
    if diverged:
        for name in ("train_loss", "test_loss", "weight_norm", "grad_norm"):
            values[name] = np.where(step == step[-1], np.nan, values[name])
    assert set(values) == set(METRICS)
    return pd.DataFrame({"run_id": run_id, "step": step, **values})
