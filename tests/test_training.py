"""One run: its split, and rows of metrics over exactly the rows they speak of."""

import dataclasses

import jax
import numpy as np
import pytest
import reference
from conftest import hparams, in_float64, to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import grokjax
from grokjax import tasks
from grokjax.training import loop as training
from grokjax.training.data import split, splits
from grokjax.training.spec import row_bucket, spec_of
from grokjax.training.streams import permutation

both_parts = jax.jit(split, static_argnums=0)
init = jax.jit(training.init, static_argnums=0)


def split_rows(experiment):
    """Training and test rows of an experiment as sets of rows, padding left out."""
    parts = both_parts(spec_of(experiment), hparams(experiment))
    return [set(np.asarray(part.index)[np.asarray(part.weights) > 0].tolist()) for part in parts]


@settings(deadline=None, max_examples=6)  # each is compiled
@given(st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_a_split_uses_every_row_once_in_the_asked_proportion(fraction, seed):
    experiment = grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=7), train_fraction=fraction, split_seed=seed
    )
    train, test = split_rows(experiment)
    assert len(train) == round(fraction * 49)
    assert not train & test
    assert len(train | test) == 49
    for part in both_parts(spec_of(experiment), hparams(experiment)):
        assert float(np.sum(part.weights)) == pytest.approx(1, rel=1e-6)


def test_splits_of_one_seed_nest_and_of_two_differ(tiny):
    def train(fraction, split_seed):
        return split_rows(
            dataclasses.replace(tiny, train_fraction=fraction, split_seed=split_seed)
        )[0]

    for small, large in [(0.2, 0.3), (0.3, 0.6), (0.6, 0.95)]:
        assert train(small, 5) < train(large, 5)
    assert train(0.5, 5) != train(0.5, 6)


def test_the_split_does_not_depend_on_the_seed_of_the_weights_nor_on_precision(tiny):
    one, other = (dataclasses.replace(tiny, seed=seed, split_seed=3) for seed in (1, 2))
    assert split_rows(one) == split_rows(other)
    with jax.enable_x64(True):
        double = np.asarray(permutation(np.uint32(3), 49))
    np.testing.assert_array_equal(double, permutation(np.uint32(3), 49))


@given(st.integers(2, 10**6).flatmap(lambda n: st.tuples(st.integers(1, n - 1), st.just(n))))
def test_a_bucket_holds_its_run_and_wastes_little(sizes):
    n_train, n_rows = sizes
    low, high = row_bucket(n_train, n_rows)
    assert low <= n_train <= high < n_rows
    assert high <= max(16, 1.05 * n_train + 1)
    assert row_bucket(low, n_rows) == row_bucket(min(high, n_rows - 1), n_rows)


@pytest.mark.drawn
def test_rows_of_metrics_describe_the_network_of_their_step(tiny):
    experiment = in_float64(tiny)
    spec, hp, table = spec_of(experiment), hparams(experiment), tasks.build(experiment.task)
    with jax.enable_x64(True):
        state = init(spec, hp)
        _, metrics, _ = jax.jit(lambda s: training.segment(spec, 3, hp, s))(state)
        states = [state]
        train, _ = jax.jit(splits, static_argnums=0)(spec, hp)
        step = jax.jit(lambda s: training.step(spec, hp, train, s)[0])
        for _ in range(2 * spec.log_every + 1):
            states.append(step(states[-1]))
    columns = to_numpy(metrics.columns())
    order = np.asarray(permutation(hp.split_seed[0], 49))
    rows = {"train": order[: experiment.n_train], "test": order[experiment.n_train :]}
    for point in range(3):
        params, after = (to_numpy(states[10 * point + i].params) for i in (0, 1))
        leaves = np.concatenate([x.ravel() for x in jax.tree.leaves(params)])
        moved = np.concatenate([x.ravel() for x in jax.tree.leaves(after)]) - leaves
        assert columns["weight_norm"][point] == pytest.approx(np.linalg.norm(leaves), rel=1e-12)
        assert columns["update_norm"][point] == pytest.approx(np.linalg.norm(moved), rel=1e-9)
        for part, members in rows.items():
            logits = reference.logits(experiment.model, params, table.inputs[members], 7)
            loss = reference.cross_entropy(logits, table.targets[members])
            accuracy = np.mean(logits.argmax(-1) == table.targets[members])
            assert columns[f"{part}_loss"][point] == pytest.approx(loss, rel=1e-11)
            assert columns[f"{part}_accuracy"][point] == pytest.approx(accuracy, rel=1e-12)


@pytest.mark.drawn
def test_padding_changes_nothing_but_rounding(tiny):
    experiment = in_float64(tiny)
    hp = hparams(experiment)
    exact = dataclasses.replace(spec_of(experiment), train_rows=(experiment.n_train,) * 2)
    padded = dataclasses.replace(exact, train_rows=(experiment.n_train - 3, experiment.n_train + 2))
    curves = []
    with jax.enable_x64(True):
        for spec in (padded, exact):
            run = jax.jit(lambda s, spec=spec: training.segment(spec, 10, hp, s))
            curves.append(to_numpy(run(init(spec, hp))[1].columns()))
    for name, values in curves[0].items():
        np.testing.assert_allclose(values, curves[1][name], rtol=1e-9, err_msg=name)


@pytest.mark.drawn
def test_learning_rate_warms_up_linearly(tiny):
    optimizer = dataclasses.replace(tiny.optimizer, warmup_steps=40, weight_decay=0.0)
    norms = {}
    for name, numbers in [
        ("warm", optimizer),
        ("cold", dataclasses.replace(optimizer, warmup_steps=0)),
    ]:
        experiment = dataclasses.replace(tiny, optimizer=numbers)
        spec, hp = spec_of(experiment), hparams(experiment)
        run = jax.jit(lambda hp, spec=spec: training.segment(spec, 1, hp, training.init(spec, hp)))
        _, metrics, _ = run(hp)
        norms[name] = float(metrics.update_norm[0])
    assert norms["warm"] == pytest.approx(norms["cold"] / 40, rel=1e-4)
