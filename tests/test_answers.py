"""Answers of several tokens, the loss on all positions, and targets of several numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vocabulary import BASE, TRANSFORMER

import grokjax
from grokjax import (
    MLP,
    ConfigError,
    CrossEntropy,
    Fourier,
    MeanSquaredError,
    ModularArithmetic,
    Sequence,
    SparseParity,
    Table,
    TeacherStudent,
    tasks,
)
from grokjax.tasks import regression
from grokjax.training import losses

PAIRS = [[a, b] for a in range(4) for b in range(5)]


def test_every_token_is_predicted_and_the_answer_alone_is_scored():
    task = Sequence("reverse", symbols=3, length=2)
    plain, every = tasks.build(task), tasks.build(task.replaced(loss_on="all"))
    np.testing.assert_array_equal(every.inputs, plain.inputs)  # x1 x2 = y1
    np.testing.assert_array_equal(every.targets[:, :3], plain.inputs[:, 1:])
    np.testing.assert_array_equal(every.targets[:, 3], plain.targets[:, 1])
    assert every.scored == plain.answers == (2, 3)
    np.testing.assert_array_equal(every.answer, plain.targets)
    assert every.chance == plain.chance
    assert every.n_classes == every.vocabulary == 4
    assert task.replaced(loss_on="answer") == task
    bits = tasks.build(SparseParity(6, 2, samples=None, bits="tokens", loss_on="all"))
    assert bits.targets.shape == bits.inputs.shape


def test_accuracy_is_by_the_answer_and_the_loss_a_mean_over_positions():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(6, 3, 4)), rng.integers(0, 4, size=(6, 3)).astype(np.int32)
    right = logits[:, 2].argmax(-1) == targets[:, 2]
    count = losses.count_right(jnp.asarray(logits), targets, jnp.ones(6), 0.0, "largest", (2,))
    assert count == right.sum()
    chosen = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    expected = (np.log(np.exp(logits).sum(-1)) - chosen).mean()
    with jax.enable_x64(True):
        weights = jnp.full(6, 1 / 6)
        found = losses.weighted_loss(CrossEntropy(), jnp.asarray(logits), targets, weights)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_rows_of_tokens_are_answered_one_after_another():
    task = Table(PAIRS, [[b, a] for a, b in PAIRS])
    table = tasks.build(task)
    assert table.inputs[7].tolist() == [1, 2, 2]
    assert (table.answers, table.vocabulary, table.n_classes) == ((1, 2), 5, 5)
    assert task.teacher_forced
    with pytest.raises(ConfigError, match="answers at several positions"):
        dataclasses.replace(BASE, task=task)
    with pytest.raises(ConfigError, match="causal=False"):
        causal = dataclasses.replace(TRANSFORMER, causal=False)
        dataclasses.replace(BASE, task=task, model=causal)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": TeacherStudent(loss_on="all"), "loss": MeanSquaredError()}, "no tokens to predict"),
        ({"task": ModularArithmetic(p=5, loss_on="all")}, "give model=Transformer"),
        (
            {"task": ModularArithmetic(p=5, loss_on="all"), "model": TRANSFORMER,
             "instruments": (Fourier(),)},
            "leave it out",
        ),
        (
            {"task": ModularArithmetic(p=5, loss_on="all"), "model": TRANSFORMER,
             "label_noise": 0.1},
            "label_noise=0.1",
        ),
    ],
)  # fmt: skip
def test_what_has_no_tokens_to_predict_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(BASE, **changes)


def test_rows_of_numbers_have_an_output_each_and_one_error():
    rng = np.random.default_rng(1)
    outputs, targets = rng.normal(size=(30, 3)), rng.normal(size=(30, 3))
    far = outputs - targets
    with jax.enable_x64(True):
        weights = jnp.full(30, 1 / 30)
        arrays = jnp.asarray(outputs), jnp.asarray(targets), weights
        found = losses.weighted_loss(MeanSquaredError(), *arrays)
        largest = int(losses.count_right(*arrays, 1.5))
        square = int(losses.count_right(*arrays, 1.5, "mean_square"))
    assert float(found) == pytest.approx((far**2).mean(), rel=1e-12)
    assert largest == (np.abs(far).max(axis=1) <= 1.5).sum()
    assert square == ((far**2).mean(axis=1) <= 1.5).sum()
    assert largest != square


def test_chance_of_rows_of_numbers_is_that_of_the_best_of_their_guesses():
    targets = [[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [3.0, 3.0], [5.0, 5.0]]
    for row_error, tolerance in (("largest", 0.1), ("mean_square", 0.006)):
        task = Table([[at] for at in range(5)], targets, tolerance=tolerance, row_error=row_error)
        assert tasks.build(task).chance == 0.6
    one = Table([[0], [1], [2]], [0.0, 0.2, 5.0], tolerance=0.01, row_error="mean_square")
    assert tasks.build(one).chance == pytest.approx(2 / 3)  # a guess of 0.1 is 0.1 from both


def test_a_deep_teacher_of_several_outputs_is_what_numpy_says():
    task = TeacherStudent(
        teacher="tanh", n_inputs=3, teacher_units=4, teacher_layers=2, n_outputs=2, samples=20,
        teacher_init="torch", standardised=False,
    )  # fmt: skip
    table = tasks.build(task)
    (w1, b1), (w2, b2), (w3, b3) = regression.teacher_layers(task)
    hidden = np.tanh(w2 @ np.tanh(w1 @ table.inputs.T + b1[:, None]) + b2[:, None])
    np.testing.assert_allclose(table.targets.T, w3 @ hidden + b3[:, None], rtol=1e-12)
    assert (w1.shape, w2.shape, w3.shape) == ((4, 3), (4, 4), (2, 4))
    assert np.abs(w3).max() <= 0.5
    assert np.abs(w1).max() > 0.5
    standard = tasks.build(task.replaced(standardised=True)).targets
    np.testing.assert_allclose(standard.std(axis=0), 1)


def test_a_student_of_several_outputs_learns_and_is_scored_by_row(tmp_path):
    task = TeacherStudent(
        teacher="linear", n_inputs=2, n_outputs=3, samples=40, tolerance=0.02,
        row_error="mean_square",
    )  # fmt: skip
    experiment = dataclasses.replace(
        BASE, task=task, model=MLP(mlp_width=16), loss=MeanSquaredError(), dtype="float32",
        steps=400, settle_steps=None, log_every=100, train_fraction=0.7,
    )  # fmt: skip
    results = grokjax.run(experiment, tmp_path / "out", progress=False)
    (run,) = results.runs.to_dict("records")
    assert run["final_train_accuracy"] > 0.8
    assert run["final_train_loss"] < 0.02
