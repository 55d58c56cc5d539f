"""Words of a user's own have the rights of grokjax's: programs, axes, identities, recovery."""

import dataclasses
import textwrap
import threading
from pathlib import Path

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from own_words import (
    adam,
    clipped,
    difference,
    norms,
    recurrent,
    softened,
    trained_accuracy,
    whole_adam,
)

import grokjax
from grokjax import ConfigError, Experiment, Loss, Model, grid, own, tasks
from grokjax.config import source
from grokjax.engine import plan
from grokjax.experiment_file import read

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
BASE = Experiment(
    task=grokjax.ModularArithmetic("sub", p=5, format="a b"),
    model=grokjax.MLP(width=6, mlp_width=12),
    optimizer=grokjax.AdamW(learning_rate=2e-2, weight_decay=0.1),
    train_fraction=0.6,
    dtype="float64",
    steps=60,
    log_every=10,
    settle_steps=None,
)


class Normed(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x = nn.BatchNorm(use_running_average=False)(tokens.astype(jnp.float32))
        return nn.Dense(5)(x)


def batch_normed(dataset):
    return Normed()


def no_logits(dataset):
    return nn.Dense(7)


def mean(outputs, targets):
    return outputs.mean()


def mistaken(outputs, targets):
    return outputs[..., 0] + undefined  # noqa: F821


def half(a, b, *, p):
    return (a + b) / 2


def curves(experiment, *columns):
    results = grokjax.run(experiment)
    return results.curves[list(columns or ("train_loss", "test_loss", "weight_norm"))].to_numpy()


@pytest.mark.drawn
def test_an_optax_transformation_is_the_optimiser_that_it_is_made_of():
    same = dataclasses.replace(BASE, optimizer=adam(learning_rate=2e-2, weight_decay=0.1))
    np.testing.assert_array_equal(curves(same), curves(BASE))
    plain = dataclasses.replace(BASE, optimizer=grokjax.AdamW(learning_rate=2e-2, weight_decay=0.0))
    whole = dataclasses.replace(BASE, optimizer=whole_adam(learning_rate=2e-2))
    np.testing.assert_allclose(curves(whole), curves(plain), rtol=1e-10)


def test_a_loss_and_a_task_are_those_that_they_write_out():
    np.testing.assert_allclose(
        curves(dataclasses.replace(BASE, loss=softened)), curves(BASE), rtol=1e-10
    )
    ours, theirs = tasks.build(BASE.task), tasks.build(difference(p=5, format="a b"))
    for name in ("inputs", "targets", "operands"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert (theirs.vocabulary, theirs.n_classes) == (ours.vocabulary, ours.n_classes)


@pytest.mark.drawn
def test_a_modifier_that_clips_bounds_what_descends():
    sgd = grokjax.SGD(learning_rate=1.0)
    modified = dataclasses.replace(BASE, optimizer=sgd, modifiers=(clipped(bound=1e-3),))
    assert curves(modified, "update_norm").max() <= 1e-3 * (1 + 1e-9)
    assert curves(dataclasses.replace(BASE, optimizer=sgd), "update_norm").max() > 1e-2


def test_numbers_declared_as_traced_are_axes_of_one_program():
    experiment = dataclasses.replace(
        BASE,
        loss=softened,
        optimizer=adam(learning_rate=1e-2),
        modifiers=(clipped,),
        sweep=grid(temperature=[0.5, 2.0], b2=[0.9, 0.99], bound=[0.1, 1.0]),
    )
    assert len(plan.make(experiment)) == 1
    runs = grokjax.run(experiment).runs
    assert set(runs["temperature"]) == {0.5, 2.0} and set(runs["modifiers_0_bound"]) == {0.1, 1.0}
    assert runs["final_train_loss"].nunique() == len(runs) == 8


def test_a_plain_function_and_a_class_stand_for_their_word():
    assert dataclasses.replace(BASE, loss=softened).loss == softened()
    assert dataclasses.replace(BASE, model=batch_normed).model.kind == "test_own.batch_normed"


@pytest.mark.drawn
def test_instruments_change_no_bit_and_survive_a_stop(tmp_path, small_ticks):
    experiment = dataclasses.replace(BASE, sweep=grid(seed=range(2)))
    measured = dataclasses.replace(experiment, instruments=(norms, trained_accuracy))
    assert [run.run_id for run in measured.runs()] == [run.run_id for run in experiment.runs()]
    plain, whole = grokjax.run(experiment), grokjax.run(measured)
    pd.testing.assert_frame_equal(plain.curves, whole.curves)
    assert plain.measures.empty
    key = ["run_id", "step", "instrument", "part"]
    wide = whole.measures.pivot(index=["run_id", "step"], columns=["instrument", "part"])["value"]
    assert set(wide) == {
        ("own_words.norms", "embed"),
        ("own_words.norms", "logits.0"),
        ("own_words.norms", "logits.1"),
        ("own_words.trained_accuracy", ""),
    }
    train_accuracy = whole.curves.set_index(["run_id", "step"])["train_accuracy"]
    np.testing.assert_allclose(
        wide["own_words.trained_accuracy", ""], train_accuracy.reindex(wide.index), rtol=1e-12
    )
    stop = threading.Event()

    def stop_early(progress):
        if progress.run_steps:
            stop.set()

    stopped = grokjax.run(measured, tmp_path / "s", report=stop_early, stop=stop)
    assert 0 < len(stopped.measures) < len(whole.measures)
    again = grokjax.run(measured, tmp_path / "s").measures.sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(again, whole.measures.sort_values(key, ignore_index=True))


FILE = """
from grokjax import *
from grokjax import own
import jax.numpy as jnp

@own.loss
def distance(outputs, targets, *, power: float = traced(2.0)):
    return jnp.mean(jnp.abs(outputs - jnp.eye(5, dtype=outputs.dtype)[targets]) ** power, axis=-1)

experiment = Experiment(
    task=ModularArithmetic("add", p=5, format="a b"), model=MLP(width=4, mlp_width=8), loss=distance,
    steps=20, log_every=10, settle_steps=None, sweep=grid(power=[1.5, 2.0]),
)
"""


def test_a_name_and_a_source_are_part_of_the_identity(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    first = [run.run_id for run in read(tmp_path / "mine.py")[0].runs()]
    assert [run.run_id for run in read(tmp_path / "mine.py")[0].runs()] == first
    for changed in (FILE.replace("jnp.mean", "jnp.sum"), FILE.replace("distance", "another")):
        (tmp_path / "mine.py").write_text(changed)
        assert not {run.run_id for run in read(tmp_path / "mine.py")[0].runs()} & set(first)


@pytest.mark.drawn
def test_the_source_is_kept_with_the_results_and_another_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    results = grokjax.run(read(tmp_path / "mine.py")[0], tmp_path / "out")
    assert set(results.runs["loss"]) == {"mine.distance"}
    assert results.runs["loss_source"].notna().all()
    assert "jnp.abs(outputs" in results.manifest["sources"]["mine.distance"]
    (tmp_path / "mine.py").write_text(FILE.replace("jnp.mean", "jnp.sum"))
    with pytest.raises(ConfigError, match=r"mine\.distance|loss_source"):
        grokjax.run(read(tmp_path / "mine.py")[0], tmp_path / "out")


REFUSED = {
    "lambda": ("loss=lambda outputs, targets: outputs[..., 0]", "a lambda has no name"),
    "local function": ("loss=(lambda: made())()", "inside of a function"),
    "optax itself": ("optimizer=optax.adam(1e-3)", "write a function that returns it"),
    "too few arguments": ("loss=one", "takes 1 arguments where 2"),
    "field without default": ("loss=bare", "a field has a type and a default"),
    "no dataclass": ("loss=Forgotten()", "frozen=True"),
    "traced instrument": ("instruments=(wrong,)", "make it a plain field"),
    "traced task": ("task=doubtful", "make it a plain field"),
    "twice": ("instruments=(right, right)", "drop one"),
}
HEAD = """
from grokjax import *
from grokjax import own
import optax

def made():
    def inner(outputs, targets):
        return outputs[..., 0]
    return inner

def one(outputs):
    return outputs[..., 0]

def bare(outputs, targets, *, scale):
    return outputs[..., 0]

class Forgotten(Loss):
    scale: float = traced(1.0)

@own.instrument
def wrong(observed, *, scale: float = traced(1.0)):
    return scale

@own.operation
def doubtful(a, b, *, p, share: float = traced(0.5)):
    return a

@own.instrument
def right(observed):
    return 1.0

experiment = Experiment({})
"""


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_word_is_refused_in_a_sentence(name, tmp_path):
    code, message = REFUSED[name]
    (tmp_path / "mine.py").write_text(HEAD.replace("{}", code))
    with pytest.raises(ConfigError, match=message) as error:
        read(tmp_path / "mine.py")
    assert "\n" not in str(error.value) and "mine.py, line" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": batch_normed}, "keeps batch_stats"),
        ({"model": no_logits, "task": grokjax.Digits(limit=40)}, r"return \[\d+, 10\]"),
        ({"loss": mean}, "return one loss for each, not their mean"),
        ({"loss": mistaken}, r"NameError: .*test_own.py, line \d+"),
        ({"task": own.operation(half)(p=5)}, "return one whole number from 0 to p - 1"),
    ],
)
def test_what_its_function_gives_is_looked_at_before_anything_is_written(
    changes, message, tmp_path
):
    with pytest.raises(ConfigError, match=message):
        grokjax.run(dataclasses.replace(BASE, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.drawn
def test_a_subclass_says_its_meaning_by_a_method(tmp_path):
    text = textwrap.dedent(source.whole_text(type(recurrent())))
    assert "def recurrent(dataset)" in text

    trained = grokjax.run(dataclasses.replace(BASE, model=recurrent())).runs
    assert trained["final_train_loss"].iloc[0] < np.log(5)
    experiment, _ = read(EXPERIMENTS / "own_convolution.py")
    with pytest.raises(ConfigError, match="has no pictures"):
        dataclasses.replace(experiment, task=BASE.task, loss=grokjax.CrossEntropy())
    for base, method in ((Loss, "per_target"), (Model, "network")):
        with pytest.raises(NotImplementedError, match=f"no method `{method}`"):
            getattr(base(), method)(*[None] * (2 if base is Loss else 1))


@pytest.mark.slow  # half a minute each; the matrix has words like these
@pytest.mark.parametrize("name", ["own_words", "own_convolution"])
def test_the_examples_train(name):
    experiment, _ = read(EXPERIMENTS / f"{name}.py")
    runs = grokjax.run(experiment).runs
    assert (runs["status"] == "done").all() and (runs["final_train_accuracy"] > 0.9).all()
