"""Fifty steps from the same weights and data as PyTorch took, in float64.

The numbers are made by `PYTHONPATH=tests python -m golden.make`, which imports no grokjax.
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

GOLDEN = json.loads((Path(__file__).parent / "golden" / "golden.json").read_text())["cases"]
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
    experiment = grokjax.Experiment(
        task=grokjax.ModularArithmetic(
            "sub", p=data.MODULUS, loss_on="all" if case.network == "next_token" else "answer"
        ),
        model=NETWORKS[case.network],
        optimizer=OPTIMIZERS[case.optimizer](**constants),
        loss=LOSSES[case.loss],
        dtype="float64",
    )
    spec, hp, table = spec_of(experiment), hparams(experiment), tasks.build(experiment.task)
    index = jnp.asarray(data.training_rows())[None]
    targets = jnp.asarray(table.targets)[index]
    rows = Rows(index, targets, targets, jnp.full(index.shape, 1 / index.size))
    params = nested(data.initial(data.SHAPES[case.network]))
    if case.network == "quadratic":  # the first layer's table is a layer with a weight here
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


def test_the_table_is_the_same():
    table = tasks.build(grokjax.ModularArithmetic("sub", p=data.MODULUS))
    tokens, targets = data.table()
    np.testing.assert_array_equal(table.inputs, tokens)
    np.testing.assert_array_equal(table.targets, targets)
    on_all = tasks.build(grokjax.ModularArithmetic("sub", p=data.MODULUS, loss_on="all"))
    np.testing.assert_array_equal(on_all.targets, data.next_tokens())
