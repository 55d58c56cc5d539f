"""Splits, label noise and batches."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import QUICKLY, hparams
from vocabulary import BASE

import grokjax
from grokjax import Change, ModularArithmetic, tasks
from grokjax.engine import plan
from grokjax.training.data import batch, row_order, split, splits
from grokjax.training.spec import spec_of

TABLE = ModularArithmetic("div", p=7, format="a b")
quick_split = jax.jit(split, static_argnums=(0, 2), compiler_options=QUICKLY)


def rows(experiment, stage=0):
    """Training rows and test rows, padding left out, of a stage."""
    with jax.enable_x64(True):
        parts = quick_split(spec_of(experiment), hparams(experiment), stage)
    return [np.asarray(part.index)[np.asarray(part.weights) > 0] for part in parts]


@pytest.mark.parametrize(("kind", "column"), [("rows", 0), ("columns", 1)])
@pytest.mark.parametrize("fraction", [0.3, 0.6])
def test_whole_rows_or_columns_are_held_out(kind, column, fraction):
    experiment = dataclasses.replace(BASE, task=TABLE, split=kind, train_fraction=fraction)
    operands = tasks.build(TABLE).operands[:, column]
    train, test = rows(experiment)
    assert len(train) == experiment.n_train
    assert not set(operands[train]) & set(operands[test])
    assert set(operands[train]) | set(operands[test]) == set(operands)
    larger = dataclasses.replace(experiment, train_fraction=fraction + 0.2)
    assert set(train) < set(rows(larger)[0])


def test_a_balanced_split_has_as_many_of_each_class():
    task = ModularArithmetic("mul", p=7, format="a b")
    table = tasks.build(task)
    experiment = dataclasses.replace(BASE, task=task, split="balanced", train_fraction=0.4)
    counts = np.bincount(table.targets[rows(experiment)[0]], minlength=7)
    assert counts.max() - counts.min() <= 1  # though a third of the products are 0
    other = dataclasses.replace(experiment, split_seed=5)
    assert set(rows(experiment)[0]) != set(rows(other)[0])


def test_facts_that_are_always_trained_on_come_first():
    task = grokjax.TwoHop(entities=6, relations=2)
    experiment = dataclasses.replace(BASE, task=task, train_fraction=0.3)
    train, _ = rows(experiment)
    assert set(range(task.n_always)) < set(train.tolist())
    assert len(train) == task.n_always + round(0.3 * (task.n_rows - task.n_always))


def test_noise_replaces_its_share_of_labels_and_more_noise_holds_less():
    task = ModularArithmetic("add", p=31, format="a b")
    wrong = []
    for noise in (0.0, 0.35, 0.6, 1.0):
        experiment = dataclasses.replace(BASE, task=task, label_noise=noise, train_fraction=0.9)
        with jax.enable_x64(True):
            train, test = split(spec_of(experiment), hparams(experiment))
        np.testing.assert_array_equal(test.targets, test.truth)
        wrong.append(np.asarray(train.targets != train.truth)[np.asarray(train.weights) > 0])
        assert wrong[-1].mean() == pytest.approx(noise * 30 / 31, abs=0.05)
    for less, more in itertools.pairwise(wrong):
        assert not (less & ~more).any()


def batches(experiment, steps):
    """The rows of so many updates, as lists."""
    spec, hp = spec_of(experiment), hparams(experiment)
    with jax.enable_x64(True):
        train, _ = splits(spec, hp)

        def one(step):
            stage, _ = hp.at(step)
            of_stage = jax.tree.map(lambda rows: rows[stage], train)
            return batch(spec, hp, stage, step, of_stage)

        found = jax.jit(jax.vmap(one), compiler_options=QUICKLY)(jnp.arange(steps))
    assert np.allclose(np.asarray(found.weights).sum(axis=(1, 2)), 1)
    real = np.asarray(found.weights) > 0
    return [np.asarray(index)[kept] for index, kept in zip(found.index, real, strict=True)]


@pytest.mark.drawn
def test_an_epoch_sees_every_row_once_and_the_next_in_another_order():
    experiment = dataclasses.replace(BASE, batch_size=5)  # 15 training rows
    train = set(rows(experiment)[0].tolist())
    found = batches(experiment, 12)
    assert {len(index) for index in found} == {5}
    epochs = [np.concatenate(found[at : at + 3]) for at in range(0, 12, 3)]
    for epoch in epochs:
        assert set(epoch.tolist()) == train
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert set(map(tuple, batches(dataclasses.replace(experiment, seed=9), 3))) != set(
        map(tuple, found[:3])
    )


def test_a_change_of_the_data_begins_an_epoch():
    change = Change(7, train_fraction=0.8)  # in the middle of the third epoch
    experiment = dataclasses.replace(BASE, batch_size=5, changes=(change,))
    found = batches(experiment, 11)
    assert set(np.concatenate(found[3:6]).tolist()) == set(rows(experiment)[0].tolist())
    assert set(np.concatenate(found[7:11]).tolist()) == set(rows(experiment, 1)[0].tolist())


def test_the_last_rows_of_an_epoch_that_fill_no_batch_are_left_out():
    experiment = dataclasses.replace(BASE, batch_size=4)
    found = np.concatenate(batches(experiment, 3))
    assert len(set(found.tolist())) == 12


def test_the_last_batch_of_an_epoch_may_have_the_rows_that_are_left():
    experiment = dataclasses.replace(BASE, batch_size=4, batches="keep_last")  # 15 training rows
    found = batches(experiment, 8)
    assert [len(index) for index in found] == 2 * [4, 4, 4, 3]
    train = rows(experiment)[0]
    for epoch in (np.concatenate(found[:4]), np.concatenate(found[4:])):
        assert sorted(epoch) == sorted(train)
    whole = dataclasses.replace(experiment, batch_size=5)
    first = batches(dataclasses.replace(whole, batches="drop_last"), 6)
    np.testing.assert_array_equal(batches(whole, 6), first)  # where nothing is left over


def test_rows_drawn_with_replacement_come_twice_and_all_of_them_come():
    experiment = dataclasses.replace(BASE, batch_size=4, batches="replacement")
    found = np.stack(batches(experiment, 400))
    assert any(len(set(batch)) < 4 for batch in found)
    counts = {row: (found == row).sum() for row in rows(experiment)[0]}
    assert sum(counts.values()) == found.size
    # 1,600 draws from 15 rows: 107 of each with a standard deviation of 10
    assert 65 < min(counts.values()) and max(counts.values()) < 150


def test_a_batch_size_may_be_a_share_or_all_of_the_rows():
    def ids(size):
        return dataclasses.replace(BASE, batch_size=size).run_id

    assert BASE.n_train == 15
    assert ids(0.2) == ids(3) == ids(3.0)
    assert ids(None) == ids(-1) == ids(1.0) == BASE.run_id != ids(1)
    sweep = grokjax.grid(train_fraction=[0.4, 0.8], batch_size=[0.5, -1])
    runs = dataclasses.replace(BASE, sweep=sweep).runs()
    assert [run.batch_size for run in runs] == [5, None, 10, None]
    assert [spec_of(run).batch_size for run in runs] == [5, None, 10, None]
    with pytest.raises(grokjax.ConfigError, match="batch_size=16384: there are only 15 training"):
        ids(16384)
    for size in (0, -2, 1.5, 0.0):
        with pytest.raises(grokjax.ConfigError, match=r"a share of them below 1 such as 0\.5"):
            ids(size)
    with pytest.raises(grokjax.ConfigError, match=r"every update uses all .* give batch_size too"):
        dataclasses.replace(BASE, batches="keep_last")


@pytest.mark.parametrize("kind", ["other", "next", "fixed"])
def test_noise_may_be_any_other_label_the_next_or_always_the_same(kind):
    experiment = dataclasses.replace(
        BASE, task=ModularArithmetic("add", p=31, format="a b"), train_fraction=0.9,
        label_noise=0.4, label_noise_kind=kind, noise_class=7 * (kind == "fixed"),
    )  # fmt: skip
    with jax.enable_x64(True):
        train, _ = split(spec_of(experiment), hparams(experiment))
        usual = dataclasses.replace(experiment, label_noise_kind="random_row", noise_class=0)
        as_usual, _ = split(spec_of(usual), hparams(usual))
    counted = np.asarray(train.weights) > 0
    labels, truth, usual = (np.asarray(x)[counted] for x in (
        train.targets, train.truth, as_usual.targets
    ))  # fmt: skip
    wrong = labels != truth
    assert not (usual != truth)[~wrong & (truth != 7)].any()  # the same rows are noisy
    if kind == "next":
        np.testing.assert_array_equal(labels[wrong], (truth[wrong] + 1) % 31)
    elif kind == "fixed":
        assert set(labels[wrong]) == {7}
    else:
        further = np.bincount((labels - truth)[wrong] % 31, minlength=31)
        assert further[0] == 0 and further[1:].min() > 0 and further.max() < 30
    right_by_chance = 1 / 31 if kind == "fixed" else 0
    assert wrong.mean() == pytest.approx(0.4 * (1 - right_by_chance), abs=0.05)


def test_noise_that_makes_no_sense_is_refused():
    real = grokjax.TeacherStudent()
    with pytest.raises(grokjax.ConfigError, match="are no classes"):
        dataclasses.replace(
            BASE, task=real, loss=grokjax.MeanSquaredError(), label_noise_kind="next"
        )
    with pytest.raises(grokjax.ConfigError, match="only label_noise_kind='fixed' looks at it"):
        dataclasses.replace(BASE, noise_class=3)
    beyond = dataclasses.replace(BASE, label_noise_kind="fixed", noise_class=5)
    with pytest.raises(grokjax.ConfigError, match=r"noise_class=5: .* has the classes 0 to 4"):
        plan.make(beyond)


@pytest.mark.drawn
def test_order_is_one_of_all_rows_whatever_the_split():
    for kind in ("random", "rows", "columns", "balanced"):
        spec = spec_of(dataclasses.replace(BASE, task=TABLE, split=kind))
        assert sorted(np.asarray(row_order(spec, 3)).tolist()) == list(range(TABLE.n_rows))
