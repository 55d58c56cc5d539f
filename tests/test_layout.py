"""The factorised forward pass: what it computes once, and that nobody can tell."""

import dataclasses
import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import CAREFULLY, QUICKLY, hparams, in_float64, to_numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models import built

import grokjax
from grokjax import models, tasks
from grokjax.engine import cost
from grokjax.training import loop as training
from grokjax.training import losses
from grokjax.training.spec import spec_of
from grokjax.training.words import words_of

FORMATS = ["a b", "a b =", "a op b ="]


def plain_layout(spec):
    """The layout in which every position of every row is computed for itself."""
    tokens = tasks.build(spec.task).inputs
    every = range(tokens.shape[1])
    readout = every[-1:] if spec.words.model.readout == "last" else every
    return models.layout_by_rows(tokens, spec.words.model.layers, readout)


def asked(spec):
    """The model of a spec with a share of attention, where it has one."""
    return jax.tree.map(lambda _: 0.3, spec.words.model)


def variants():
    """What the layout depends on in all combinations, and every other way to read a level."""
    names = ["readout", "causal", "layers", "norm"]
    products = [
        (*values, "pre" if at % 3 else "none")
        for at, values in enumerate(itertools.product(["last", "mean"], [True, False], [1, 2]))
    ]
    others = [
        {"layers": 3, "readout": "mean", "norm": "post", "biases": True},
        {"layers": 3, "norm": "rms", "final_norm": True, "tied": True},
        {"layers": 2, "causal": False, "tied": True, "biases": True, "activation": "gelu"},
        {"layers": 2, "positions": "rotary", "attention_rate": 0.3, "causal": False},
        {"layers": 2, "positions": "none", "attention": "uniform", "readout": "mean"},
        {"layers": 2, "positions": "rotary", "scaling": "mup", "base_width": 2, "readout": "mean"},
        {"layers": 2, "head_width": 3, "activation": "square", "norm": "post", "final_norm": True},
        {"layers": 2, "norm": "stream", "gated": True, "positions": "sinusoidal", "qk_norm": True},
        {"layers": 2, "norm": "queries_keys", "value_norm": True, "causal": False, "biases": True},
    ]
    return [dict(zip(names, values, strict=True)) for values in products] + others


def loss_and_gradient(spec, layout, rows):
    """A function of parameters: the mean loss of some rows, and its gradient as one vector."""
    targets = jnp.asarray(tasks.build(spec.task).targets)[rows]

    def loss(params):
        weights = jnp.full(len(rows), 1 / len(rows), jax.tree.leaves(params)[0].dtype)
        logits = models.apply(asked(spec), tasks.build(spec.task), layout, params, rows)
        return losses.weighted_loss(grokjax.CrossEntropy(), logits, targets, weights)

    def both(params):
        value, gradient = jax.value_and_grad(loss)(params)
        return value, jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(gradient)])

    return both


def quick(spec, layout, rows):
    """`loss_and_gradient` in one program: an operation a time would compile each of them."""
    return jax.jit(loss_and_gradient(spec, layout, rows), compiler_options=QUICKLY)


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("options", "text"),
    [(options, FORMATS[i % 3]) for i, options in enumerate(variants())],
    ids=str,
)
def test_values_and_gradients_equal_the_plain_ones(tiny, options, text):
    experiment = dataclasses.replace(
        tiny,
        task=dataclasses.replace(tiny.task, format=text),
        model=dataclasses.replace(tiny.model, **options),
        train_fraction=0.7,
    )
    spec, params, table = built(experiment)
    rows = np.random.default_rng(1).permutation(len(table.targets))[:20].astype(np.int32)
    with jax.enable_x64(True):
        value, gradient = to_numpy(quick(spec, training.layout(spec), rows)(params))
        expected, slope = to_numpy(quick(spec, plain_layout(spec), rows)(params))
    assert any(level.shared for level in training.layout(spec).levels)
    assert value == pytest.approx(expected, rel=1e-12)
    assert np.linalg.norm(gradient - slope) <= 1e-12 * np.linalg.norm(slope)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"layers": 2, "norm": "pre"}, marks=pytest.mark.slow),
        {"layers": 2, "causal": False, "readout": "mean"},
    ],
    ids=str,
)
def test_float32_is_as_close_to_float64_as_the_plain_way(tiny, options):
    experiment = dataclasses.replace(
        tiny,
        task=grokjax.ModularArithmetic("sub", p=11),
        model=grokjax.Transformer(width=32, heads=4, mlp_width=64, **options),
    )
    spec, params, table = built(experiment)
    rows = np.random.default_rng(2).permutation(len(table.targets))[:60].astype(np.int32)
    with jax.enable_x64(True):
        _, truth = to_numpy(quick(spec, plain_layout(spec), rows)(params))
    single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    errors = [
        np.linalg.norm(
            jax.jit(loss_and_gradient(spec, layout, rows), compiler_options=CAREFULLY)(single)[1]
            - truth
        )
        for layout in (training.layout(spec), plain_layout(spec))
    ]
    assert errors[0] <= 1.25 * errors[1]
    assert errors[1] < 1e-5 * np.linalg.norm(truth)


tables = st.integers(2, 4).flatmap(
    lambda positions: st.lists(
        st.lists(st.integers(0, 3), min_size=positions, max_size=positions), min_size=2, max_size=40
    )
)


@settings(deadline=None, max_examples=50)
@given(tables, st.integers(1, 3), st.booleans(), st.integers(1, 60))
def test_nodes_are_what_rows_have_in_common(rows, layers, causal, at_a_time):
    tokens = np.array(rows, np.int32)
    last = tokens.shape[1] - 1
    layout = models.layout_by_nodes(tokens, layers, [last], causal, at_a_time)
    assert len(layout.levels) == layers + 1
    for depth, level in enumerate(layout.levels):
        wanted = range(last + 1) if depth < layers else [last]
        assert sorted(level.shared + level.own) == list(wanted)
        for column, position in enumerate(level.shared):
            seen = [
                tuple(row[position : position + 1])
                if depth == 0
                else tuple(row[: position + 1] if causal else row)
                for row in rows
            ]
            nodes = level.index[:, column]
            assert len(set(zip(seen, nodes.tolist(), strict=True))) == len(set(seen))
            assert len(set(nodes.tolist())) == level.counts[column] == len(set(seen))
            assert level.counts[column] <= models.SHARING_PAYS * at_a_time
            assert (level.position[nodes] == position).all()
            assert (level.index[level.example[nodes], column] == nodes).all()


@pytest.mark.drawn
def test_any_table_of_tokens_is_computed_right(tiny):
    """Positions with many tokens beside positions with few, and rows that occur twice."""
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(0, 60, 80), rng.integers(0, 3, 80), rng.integers(0, 60, 80)], 1)
    tokens = np.concatenate([tokens, tokens[:10]]).astype(np.int32)
    for options in [{}, {"causal": False, "readout": "mean"}, {"readout": "mean"}]:
        model = grokjax.Transformer(layers=2, width=8, heads=2, mlp_width=16, **options)
        readout = [2] if model.readout == "last" else [0, 1, 2]
        dataset = tasks.Dataset(tokens, tokens[:, 0], 60, 60)
        layouts = [
            models.layout_by_nodes(tokens, 2, readout, model.causal, 80),
            models.layout_by_rows(tokens, 2, readout),
        ]
        assert layouts[0].levels[0].shared == (1,)
        with jax.enable_x64(True):
            double = jax.tree.map(np.float64, words_of(tiny.replaced(model=model)).model)
            init = jax.jit(partial(models.init, double, dataset, layouts[0]))
            params = init(jax.random.key(0))
            rows = np.arange(90, dtype=np.int32)
            found, expected = (
                jax.jit(partial(models.apply, double, dataset, layout, rows=rows))(params=params)
                for layout in layouts
            )
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_most_of_a_classic_network_is_computed_once(tiny):
    """The products that remain, counted, beside those of all positions of all rows."""
    model = grokjax.Transformer()
    task = grokjax.ModularArithmetic("add", p=113)
    spec = spec_of(dataclasses.replace(tiny, task=task, model=model, train_fraction=0.3))
    rows, width, hidden = 3831, 128, 512
    every_position = 3 * (4 * width**2 + 2 * width * hidden) + 113 * width
    one_position = width**2 + 2 * width * hidden + 113 * width
    counted = cost.forward_flops(spec, rows) / (2 * rows)
    assert one_position < counted < 1.05 * one_position < 0.3 * every_position


@pytest.mark.drawn
def test_gradients_can_be_differentiated_once_more(tiny):
    """Curvature needs it: a directional derivative of the gradient against a difference."""
    spec, params, _ = built(tiny)
    rows = np.arange(20, dtype=np.int32)
    rng = np.random.default_rng(3)
    direction = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
    targets = jnp.asarray(tasks.build(spec.task).targets)[rows]

    def gradient(params):
        def loss(params):
            layout = training.layout(spec)
            logits = models.apply(asked(spec), tasks.build(spec.task), layout, params, rows)
            return losses.weighted_loss(grokjax.CrossEntropy(), logits, targets, jnp.full(20, 0.05))

        return jax.grad(loss)(params)

    gradient = jax.jit(gradient, compiler_options=QUICKLY)
    with jax.enable_x64(True):
        _, found = jax.jvp(gradient, (params,), (direction,))
        ends = [
            gradient(jax.tree.map(lambda x, d, s=s: x + s * d, params, direction))
            for s in (1e-6, -1e-6)
        ]
    for a, b, c in zip(*(jax.tree.leaves(to_numpy(tree)) for tree in (found, *ends)), strict=True):
        np.testing.assert_allclose(a, (b - c) / 2e-6, rtol=1e-4, atol=1e-7)


@pytest.mark.drawn
@pytest.mark.parametrize("tiles", [pytest.param(2, marks=pytest.mark.slow), 3, 8])
def test_tiles_change_nothing_but_rounding(tiny, tiles):
    experiment = in_float64(tiny)
    hp, whole = hparams(experiment), spec_of(experiment)
    tiled = dataclasses.replace(whole, tiles=tiles)
    curves = []
    with jax.enable_x64(True):
        for spec in (whole, tiled):
            segment = jax.jit(lambda s, spec=spec: training.segment(spec, 5, hp, s)[1].columns())
            curves.append(segment(jax.jit(training.init, static_argnums=0)(spec, hp)))
    for name, values in curves[0].items():
        np.testing.assert_allclose(curves[1][name], values, rtol=1e-9, err_msg=name)
