"""Fifty steps from the same weights and data as PyTorch took, in float64.

The numbers are made by `PYTHONPATH=tests python -m golden.make` and `… golden.settings`, which
import no grokjax.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICKLY, hparams
from golden import data

import grokjax
from grokjax import tasks
from grokjax.training import loop as training
from grokjax.training import update
from grokjax.training.data import Rows
from grokjax.training.spec import spec_of

FOLDER = Path(__file__).parent / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())["cases"]
SETTINGS = json.loads((FOLDER / "settings.json").read_text())["cases"]
NETWORKS = {
    "causal": grokjax.Transformer(width=16, heads=2, mlp_width=32),
    "next_token": grokjax.Transformer(width=16, heads=2, mlp_width=32),
    "pre_ln": grokjax.Transformer(
        width=16, heads=2, mlp_width=32, layers=2, norm="pre", biases=True, activation="gelu",
        causal=False, readout="mean",
    ),
    "quadratic": grokjax.MLP.quadratic(mlp_width=32, scaling="standard"),
    "swiglu": grokjax.Transformer(
        width=16, heads=2, mlp_width=32, layers=2, norm="rms", final_norm=True, gated=True,
        activation="silu", positions="rotary",
    ),
    "peri": grokjax.Transformer(
        width=16, heads=2, mlp_width=32, layers=2, norm="peri", biases=True, activation="gelu",
        causal=False, readout="mean",
    ),
    "stream": grokjax.Transformer(
        width=16, heads=2, mlp_width=32, layers=2, norm="stream", final_norm=True, biases=True,
        unembed_biases=False, activation="gelu",
    ),
}  # fmt: skip
LOSSES = {
    "cross_entropy": grokjax.CrossEntropy(),
    "stablemax": grokjax.StableMax(),
    "mse": grokjax.MeanSquaredError(),
}
OPTIMIZERS = {
    "adamw": grokjax.AdamW, "adam": grokjax.Adam, "sgd": grokjax.SGD, "muon": grokjax.Muon
}  # fmt: skip


def nested(arrays):
    """Paths with slashes as nested dictionaries."""
    tree = {}
    for path, array in arrays.items():
        below = tree
        *heads, last = path.split("/")
        for head in heads:
            below = below.setdefault(head, {})
        below[last] = jnp.asarray(array)
    return tree


def losses(case):
    """Training losses of the case's network after 0 to 50 updates."""
    constants = dict(case.constants)
    constants["learning_rate"] = constants.pop("lr")
    if "betas" in constants:
        constants["b1"], constants["b2"] = constants.pop("betas")
    optimizer = OPTIMIZERS[case.optimizer](**constants)
    return trained(case.network, optimizer=optimizer, loss=LOSSES[case.loss])


def trained(network, **changes):
    """Training losses of a network with the golden weights and rows after 0 to 50 updates."""
    experiment = grokjax.Experiment(
        task=grokjax.ModularArithmetic(
            "sub", p=data.MODULUS, loss_on="all" if network == "next_token" else "answer"
        ),
        model=NETWORKS[network],
        dtype="float64",
        **changes,
    )
    spec, hp, table = spec_of(experiment), hparams(experiment), tasks.build(experiment.task)
    index = jnp.asarray(data.training_rows())[None]
    targets = jnp.asarray(table.targets)[index]
    rows = Rows(index, targets, targets, jnp.full(index.shape, 1 / index.size))
    params = nested(data.initial(data.SHAPES[network]))
    if network == "quadratic":  # the first layer's table is a layer with a weight here
        params["embed"] = {"weight": params["embed"]}
    state = jax.eval_shape(lambda: training.init(spec, hp))
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), params, state.params)
    _, words = hp.at(jnp.zeros((), jnp.int32))
    state = training.State(jnp.zeros((), jnp.int32), params, update.init(words, params), None, {})
    every = jax.tree.map(lambda x: x[None], rows)  # the one stage

    @jax.jit
    def train(state):
        return jax.lax.scan(
            lambda state, _: training.step(spec, hp, every, state), state, length=data.STEPS + 1
        )[1].scores.loss

    return np.asarray(train.lower(state).compile(QUICKLY)(state))


REPEATED = {"swiglu/cross_entropy/muon"} | {
    f"pre_ln/cross_entropy/{name}" for name in ("adam", "sgd", "muon")
}
"""Optimisers that other networks are trained by as well."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in REPEATED)) for n in sorted(GOLDEN)],
)
def test_fifty_steps_agree_with_pytorch(name):
    with jax.enable_x64(True):
        found = losses(data.CASES[name])
    assert len(found) == len(GOLDEN[name]) == 51
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-9)


ADAM = {"learning_rate": 1e-2, "b2": 0.98}
SGD = grokjax.SGD(learning_rate=0.02, weight_decay=1e-3, momentum=0.9)


def adamw(**changes):
    return {"optimizer": grokjax.AdamW(weight_decay=0.1, **ADAM, **changes)}


EMA, MA = grokjax.GrokfastEMA(2.0, memory=0.9), grokjax.GrokfastMA(2.0, window=5)
OF_SETTINGS = {
    "clip_norm": {
        "optimizer": grokjax.Adam(weight_decay=1e-3, **ADAM),
        "modifiers": [grokjax.ClipNorm(0.3)],
    },
    "clip_value": {"optimizer": SGD, "modifiers": [grokjax.ClipValue(0.01)]},
    "clip_norm, grokfast_ema": {"optimizer": SGD, "modifiers": [grokjax.ClipNorm(0.3), EMA]},
    "grokfast_ma, clip_norm": {"optimizer": SGD, "modifiers": [MA, grokjax.ClipNorm(0.3)]},
    "step": adamw(schedule="step", schedule_steps=10, schedule_factor=0.5),
    "exponential": adamw(schedule="exponential", schedule_steps=1, schedule_factor=0.95),
    "linear_from_start": adamw(warmup_shape="linear_from_start", warmup_steps=8, warmup_start=0.2),
    "constant": adamw(warmup_shape="constant", warmup_steps=8, warmup_start=0.3),
    "inverse_sqrt": adamw(schedule="inverse_sqrt", warmup_steps=8),
}


@pytest.mark.drawn
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_clipping_grokfast_and_schedules_agree_with_pytorch(name):
    with jax.enable_x64(True):
        found = trained("causal" if name == "clip_norm" else "quadratic", **OF_SETTINGS[name])
    np.testing.assert_allclose(found, SETTINGS[name], rtol=1e-9)


def test_the_table_is_the_same():
    table = tasks.build(grokjax.ModularArithmetic("sub", p=data.MODULUS))
    tokens, targets = data.table()
    np.testing.assert_array_equal(table.inputs, tokens)
    np.testing.assert_array_equal(table.targets, targets)
    on_all = tasks.build(grokjax.ModularArithmetic("sub", p=data.MODULUS, loss_on="all"))
    np.testing.assert_array_equal(on_all.targets, data.next_tokens())
