"""Fifty updates on a table of two operations as PyTorch took them, in all and by operation.

The numbers are made by `PYTHONPATH=tests python -m golden.two_operations`, which imports no grokjax.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICKLY, hparams
from golden import data, two_operations
from test_golden import nested

import grokjax
from grokjax import ModularArithmetic, Operation, Operations, RowGroups, tasks
from grokjax.training import loop as training
from grokjax.training import update
from grokjax.training.data import Rows
from grokjax.training.spec import spec_of

P = two_operations.P
TASK = Operations([ModularArithmetic("add", p=P), Operation("x*y % p", p=P)])
NEXT_TOKEN = dataclasses.replace(TASK, loss_on="all")
EXPERIMENT = grokjax.Experiment(
    task=TASK,
    model=grokjax.Transformer(width=data.D, heads=data.H, mlp_width=data.F),
    optimizer=grokjax.AdamW(
        learning_rate=two_operations.LEARNING_RATE,
        weight_decay=two_operations.WEIGHT_DECAY,
        b1=data.ADAM["betas"][0],
        b2=data.ADAM["betas"][1],
        eps=data.ADAM["eps"],
    ),
    instruments=(RowGroups(),),
    dtype="float64",
)


def measured(task):
    """What fifty updates give: the training loss, and what the groups have."""
    experiment = dataclasses.replace(EXPERIMENT, task=task)
    spec, hp, table = spec_of(experiment), hparams(experiment), tasks.build(task)
    index = jnp.asarray(two_operations.training_rows())[None]
    targets = jnp.asarray(table.targets)[index]
    rows = Rows(index, targets, targets, jnp.full(index.shape, 1 / index.size))
    every = jax.tree.map(lambda x: x[None], rows)  # the one stage
    params = nested(data.initial(two_operations.shapes(task.loss_on)))
    stage, words = hp.at(jnp.zeros((), jnp.int32))
    state = training.State(jnp.zeros((), jnp.int32), params, update.init(words, params), None, {})

    @jax.jit
    def train(state):
        def step(state, _):
            groups = training._measure(spec, words, state, every, stage)
            after, info = training.step(spec, hp, every, state)
            return after, {"loss": info.scores.loss, **groups["row_groups"]}

        return jax.lax.scan(step, state, length=data.STEPS + 1)[1]

    return train.lower(state).compile(QUICKLY)(state)


def test_the_table_is_the_same():
    tokens, results, operation = two_operations.table()
    table = tasks.build(TASK)
    np.testing.assert_array_equal(table.inputs, tokens)
    np.testing.assert_array_equal(table.targets, results)
    np.testing.assert_array_equal(table.operation, operation)


@pytest.mark.parametrize(
    "task",
    [pytest.param(TASK, marks=pytest.mark.slow, id="answer"), pytest.param(NEXT_TOKEN, id="next")],
)
def test_fifty_updates_agree_with_pytorch_in_all_and_by_operation(task):
    golden = json.loads(two_operations.FILE.read_text())["cases"]
    with jax.enable_x64(True):
        found = measured(task)
    for name, values in found.items():
        theirs = golden[f"{task.loss_on}: " + name.replace("x*y % p.", "mul.")]
        assert len(theirs) == 51
        np.testing.assert_allclose(values, theirs, rtol=1e-9, err_msg=name)
    assert len(found) == len(golden) / 2 == 9
