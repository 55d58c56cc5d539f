"""Splits that are given, splits by groups, and no test set at all."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import QUICKLY, hparams
from vocabulary import BASE

import grokjax
from grokjax import (
    ConfigError,
    GivenSplit,
    GroupSplit,
    ModularArithmetic,
    SnapshotSchedule,
    Table,
    closing,
    grid,
    own,
    phase,
    tasks,
)
from grokjax.engine import repeats
from grokjax.tasks import row_values
from grokjax.training import orders
from grokjax.training.data import split
from grokjax.training.spec import row_bucket, spec_of

quick_split = jax.jit(split, static_argnums=(0, 2), compiler_options=QUICKLY)


def rows(experiment):
    """Training rows and test rows, padding left out."""
    with jax.enable_x64(True):
        parts = quick_split(spec_of(experiment), hparams(experiment), 0)
    return [np.asarray(part.index)[np.asarray(part.weights) > 0].tolist() for part in parts]


def with_split(kind, **changes):
    return dataclasses.replace(BASE, split=kind, **{"train_fraction": 0.5, **changes})


def test_given_rows_are_trained_on_and_tested_and_no_others():
    experiment = with_split(GivenSplit(train=range(4, 14), test=[1, 20, 3]))
    train, test = rows(experiment)
    assert (sorted(train), sorted(test)) == ([*range(4, 14)], [1, 3, 20])
    some = with_split(GivenSplit(train=range(4, 14), share=0.5))
    train, test = rows(some)
    assert len(train) == 5
    assert set(train) < set(range(4, 14))
    assert sorted(test) == [*range(4), *range(14, 25)]
    assert set(train) < set(rows(with_split(GivenSplit(train=range(4, 14), share=0.7)))[0])
    other = dataclasses.replace(some, split_seed=3)
    assert set(rows(other)[0]) != set(train)
    assert spec_of(other) == spec_of(some)
    assert other.row()["train_fraction"] == 0.2


def test_a_table_that_says_the_set_of_its_rows_is_split_so():
    task = Table([[a, b] for a in range(3) for b in range(3)], [0, 1, 2] * 3,
                 sets=["train"] * 4 + ["third"] * 2 + ["test"] * 3)  # fmt: skip
    experiment = with_split(GivenSplit(), task=task)
    train, test = rows(experiment)
    assert (sorted(train), sorted(test)) == ([0, 1, 2, 3], [6, 7, 8])
    assert task.sha256 != Table(task.inputs, task.targets).sha256
    assert experiment.run_id != with_split(GivenSplit(train=range(4)), task=task).run_id
    with pytest.raises(ConfigError, match="give split=GivenSplit"):
        with_split("random", task=task)


@pytest.mark.parametrize("by", ["a", "(a + b) % 3", "min(x0, x1)", "a * b == 0", "answer"])
@pytest.mark.parametrize("fraction", [0.3, 0.7])
def test_whole_groups_are_on_one_side(by, fraction):
    experiment = with_split(GroupSplit(by), train_fraction=fraction)
    group = row_values.groups(experiment.task, by)
    train, test = rows(experiment)
    assert (len(train), len(test)) == orders.sizes(experiment)
    assert sorted(train + test) == [*range(25)]
    assert not set(group[train]) & set(group[test])
    # No other number of whole groups, in this order, would be nearer.
    entered = np.cumsum(np.bincount(group)[list(dict.fromkeys(group[train + test]))])[:-1]
    assert abs(len(train) - 25 * fraction) == np.abs(entered - 25 * fraction).min()


def test_groups_by_the_first_operand_are_the_split_by_rows():
    for fraction in (0.4, 0.6):
        one, other = (with_split(s, train_fraction=fraction) for s in ("rows", GroupSplit("a")))
        assert rows(one) == rows(other)
    task = Table([[0, 1], [1, 1], [2, 0], [0, 0]], [0, 1, 0, 1], groups=["u", "v", "u", "v"])
    train, _ = rows(with_split(GroupSplit(), task=task))
    assert sorted(train) in ([0, 2], [1, 3])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: with_split(GivenSplit()), ("modular_arithmetic says no sets",)),
        (lambda: with_split(GivenSplit(train=[1, 25])), ("train, test='25'", "rows 0 to 24")),
        (lambda: with_split(GivenSplit(train=[1], share=0.1)), ("share=0.1", "larger")),
        (lambda: with_split(GivenSplit(train=[1, 2]), train_fraction=0.4), ("share=…",)),
        (lambda: GivenSplit(train=[1, 2], test=[2]), ("test='2'", "also in train")),
        (lambda: GivenSplit(train=[1, 1]), ("each is there once",)),
        (lambda: GivenSplit(test=[1]), ("train=()",)),
        (lambda: GivenSplit(train=[0], sha256="abc"), ("sha256='abc'", "leave it out")),
        (lambda: GroupSplit("a +"), ("by='a +'", "cannot be read as a formula")),
        (lambda: GroupSplit("q"), ("by='q'", "no name here")),
        (lambda: spec_of(with_split(GroupSplit("c"))), ("operand 3", "have 2")),
        (lambda: spec_of(with_split(GroupSplit())), ("by='group'", "have no group")),
        (lambda: spec_of(with_split(GroupSplit("a * 0"))), ("all rows", "alike")),
        (
            lambda: spec_of(with_split(GroupSplit("a * b == 0"), batch_size=12, split_seed=1)),
            ("batch_size=12", "whole groups come to 9"),
        ),
        (lambda: with_split("random", train_fraction=30), ("for 30 % give 0.3",)),
        (
            lambda: with_split("random", train_fraction=120, task=ModularArithmetic(p=11)),
            ("for 120 of its 121 rows give 0.9917",),
        ),
        (lambda: with_split("random", train_fraction=0.99), ("or 1 for none",)),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    with pytest.raises(ConfigError) as refusal:
        make()
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_the_buckets_of_training_sets_with_a_test_row_are_what_they_were():
    assert row_bucket(24, 25) == (24, 24)
    assert row_bucket(25, 25) == (25, 25)


@own.instrument
def sets(observed):
    return {"trained": observed.trained_on.sum(), "tested": observed.tested_on.sum()}


@pytest.mark.drawn
def test_without_a_test_set_there_are_curves_of_training_and_nothing_is_said_of_grokking(tmp_path):
    experiment = dataclasses.replace(
        BASE, dtype="float32", steps=200, settle_steps=20, instruments=(sets,),
        snapshots=SnapshotSchedule(moments=("t_mem", "t_grok", "end")),
        thresholds=grokjax.Thresholds(settle=2, memorised=0.9),
        sweep=grid(train_fraction=[1.0], seed=range(2)),
    )  # fmt: skip
    results = grokjax.run(experiment, tmp_path / "out", progress=False)
    assert results.curves[["test_loss", "test_accuracy"]].isna().all(axis=None)
    assert results.curves[["train_loss", "train_accuracy"]].notna().all(axis=None)
    runs = results.runs
    empty = ["t_grok", "phase", "partial", "early", "double_descent", "n_collapses"]
    assert runs[[*empty, "final_test_loss", "max_test_accuracy"]].isna().all(axis=None)
    assert (runs["n_test"] == 0).all()
    assert runs["t_mem"].notna().all()
    assert (runs["stop_reason"] == "settled").all()  # by train accuracy
    assert "grokked" not in repr(results)
    assert results.network(runs["run_id"][0], "end").step == runs["last_step"][0]
    measured = results.measures_wide()
    assert (measured[f"{sets.kind}.trained"] == 25).all()
    assert (measured[f"{sets.kind}.tested"] == 0).all()
    with pytest.raises(ConfigError, match="no run has a test set"):
        phase.summarise(results)
    # Beside others they are left out of what is said of grokking.
    mixed = dataclasses.replace(results, path=results.path)
    vars(mixed)["runs"] = runs.assign(n_test=[10, 0])
    summary = phase.summarise(mixed)
    assert summary.runs["n_test"].tolist() == [10]
    assert "1 runs have no test set and are left out of all shares and times" in summary.warnings
    assert summary.cells()["n"].tolist() == [1]
    assert closing.show(results)
    assert (tmp_path / "out" / "figures" / "training.png").exists()


def test_rows_of_the_third_set_are_neither_trained_on_nor_tested(tmp_path):
    experiment = dataclasses.replace(
        BASE, dtype="float32", steps=10, instruments=(sets,), train_fraction=0.5,
        split=GivenSplit(train=range(10), test=range(20, 25)),
        sweep=grid(share=[0.5, 1.0]),
    )  # fmt: skip
    results = grokjax.run(experiment, tmp_path / "out", progress=False)
    measured = results.measures_wide()
    assert set(measured[f"{sets.kind}.trained"]) == {5, 10}
    assert set(measured[f"{sets.kind}.tested"]) == {5}
    assert results.runs["split_share"].tolist() == [0.5, 1.0]
    assert repeats.warnings(experiment.runs()) == []


def test_repeated_rows_are_counted_with_those_on_both_sides():
    task = Table([[0, 1], [1, 0], [0, 1], [2, 2], [0, 1]], [0, 1, 0, 1, 1])
    apart, both = (
        repeats.warnings([with_split(GivenSplit(train=train), task=task)])
        for train in ([0, 2, 4], [0, 1])
    )
    assert apart == ["table: 2 of 5 rows repeat another, 1 of them with another answer"]
    assert "; 2 of 3 test rows are training rows too" in both[0]
    by_chance = [with_split("random", task=task, seed=seed) for seed in range(9)]
    assert "test rows are training rows too where it is most" in repeats.warnings(by_chance)[0]
    assert tasks.build(task).chance == 0.6
