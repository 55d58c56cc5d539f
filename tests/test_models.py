"""The transformer against an independent NumPy one, over its options."""

import dataclasses
import functools
import itertools

import jax
import numpy as np
import pytest
import reference
from conftest import QUICKLY, hparams, in_float64, model_of, to_numpy
from samples import sampled

import grokjax
from grokjax import models, tasks
from grokjax.training import loop as training
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

OPTIONS = {
    "activation": ["relu", "gelu", "silu", "square", "gelu_tanh", "leaky_relu"],
    "norm": ["none", "pre", "post", "rms"],
    "biases": [False, True],
    "causal": [True, False],
    "readout": ["last", "mean"],
    "tied": [False, True],
    "init": ["normal", "lecun", "torch"],
    "layers": [1, 2],
    "head_width": [None, 3],
    "positions": ["rotary", "none"],
    "attention": ["uniform"],
    "attention_rate": [0.0, 0.3, 1.0],
    "output_scale": [0.7],
    "scaling": ["mup"],
}


def variants():
    """Every value of every option, and all of norm, readout, mask and depth, half with biases."""
    singles = [{name: value} for name, values in OPTIONS.items() for value in values]
    names = ["norm", "readout", "causal", "layers"]
    products = [
        {**dict(zip(names, values, strict=True)), "biases": (at + at // 2 + at // 4) % 2 == 0}
        for at, values in enumerate(itertools.product(*(OPTIONS[name] for name in names)))
    ]
    turned = [
        {"positions": "rotary", "causal": False, "readout": "mean", "layers": 2, "norm": "pre"},
        {"attention": "uniform", "causal": False, "layers": 2, "positions": "none"},
        {"attention_rate": 0.3, "positions": "rotary", "layers": 2, "scaling": "mup", "tied": True},
    ]
    finals = [{"norm": norm, "final_norm": True, "biases": True} for norm in ("pre", "post", "rms")]
    return singles + products + turned + finals + NEWER


NEWER = [
    {"norm": "peri", "biases": True, "layers": 2, "causal": False, "activation": "tanh"},
    {"norm": "peri", "norm_kind": "rms", "gated": True, "activation": "silu", "final_norm": True},
    {"norm": "attention", "gated": True, "activation": "gelu", "biases": True},
    {"norm": "mlp", "norm_biases": True, "attention_biases": True, "activation": "sigmoid"},
    {"norm": "queries_keys", "layers": 2, "norm_biases": True, "readout": "mean"},
    {"norm": "values", "norm_kind": "rms", "layers": 2, "biases": True, "attention_biases": False},
    {"norm": "stream", "layers": 2, "biases": True, "unembed_biases": False, "final_norm": True},
    {"norm": "post", "norm_kind": "rms", "layers": 2, "norm_gains": False},
    {"qk_norm": True, "layers": 2, "positions": "rotary", "rotary_base": 50.0, "causal": False},
    {"qk_norm": True, "value_norm": True, "norm": "rms", "norm_epsilon": 0.1},
    {"value_norm": True, "attention": "uniform", "biases": True, "norm_gains": False},
    {"positions": "sinusoidal", "embed_scale": 3.0, "tied": True, "layers": 2, "final_norm": True},
    {"gated": True, "activation": "identity", "positions": "rotary", "rotary_base": 1e6},
]
"""Forms of other people's transformers."""


def built(experiment):
    """Spec, parameters away from their special starting values, and the table."""
    experiment = in_float64(experiment)
    spec, table = spec_of(experiment), tasks.build(experiment.task)
    with jax.enable_x64(True):
        shapes = jax.eval_shape(lambda: training.init(spec, hparams(experiment))).params
    rng = np.random.default_rng(0)

    def drawn(path, x):
        spread = experiment.model.width**-0.5
        start = 1.0 if path[-1].key == "scale" else spread * rng.normal(size=x.shape)
        return start + 0.1 * rng.normal(size=x.shape)

    return spec, jax.tree_util.tree_map_with_path(drawn, shapes), table


def outputs(spec, params, model):
    """Of every row, in one program: an operation a time would compile each of them."""
    rows = np.arange(spec.task.n_rows, dtype=np.int32)

    def apply(params, model):
        table = tasks.build(spec.task)
        return models.apply(model, table, training.layout(spec), params, rows)

    with jax.enable_x64(True):
        return jax.jit(apply).lower(params, model).compile(QUICKLY)(params, model)


@pytest.mark.parametrize("options", sampled(variants(), 2), ids=str)
def test_logits_equal_the_numpy_reference(tiny, options):
    experiment = dataclasses.replace(tiny, model=dataclasses.replace(tiny.model, **options))
    spec, params, table = built(experiment)
    found = outputs(spec, params, model_of(in_float64(experiment)))
    expected = reference.logits(experiment.model, params, table.inputs, table.n_classes)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


STILL = grokjax.AdamW(learning_rate=1e-300)
"""An optimiser that leaves the weights where they are."""
PERCEPTRONS = {
    "concatenate": grokjax.MLP(width=5, mlp_width=7, layers=2, biases=True),
    "sum": grokjax.MLP(width=5, mlp_width=7, token_inputs="sum", activation="gelu"),
    "one hot": grokjax.MLP(mlp_width=7, token_inputs="one_hot", biases=True, layers=3),
    "quadratic": grokjax.MLP.quadratic(7),
    "bilinear": grokjax.MLP.bilinear(7, width=5, layers=2, biases=True),
    "linear": grokjax.MLP.linear(biases=True),
    "mup": grokjax.MLP(
        mlp_width=8, scaling="mup", base_width=4, biases=True, layers=2, token_inputs="one_hot"
    ),
    "tied": grokjax.MLP(width=6, mlp_width=6, tied=True, layers=2, activation="tanh", biases=True),
    "skip": grokjax.MLP(width=5, mlp_width=7, layers=3, skip_connections=True, token_inputs="sum"),
    "gated": grokjax.MLP(width=5, mlp_width=7, gated=True, activation="silu", token_inputs="sum"),
}


@pytest.mark.parametrize("inputs", ["tokens", "features"])
@pytest.mark.parametrize("name", PERCEPTRONS)
def test_perceptrons_equal_the_numpy_reference(tiny, name, inputs):
    if PERCEPTRONS[name].tied and inputs == "features":
        pytest.skip("features have no embeddings")
    digits = grokjax.Digits(limit=40)
    task = tiny.task if inputs == "tokens" else digits
    experiment = dataclasses.replace(tiny, task=task, model=PERCEPTRONS[name])
    spec, params, table = built(experiment)
    found = outputs(spec, params, model_of(in_float64(experiment)))
    expected = reference.mlp_logits(experiment.model, params, table.inputs, table.n_classes)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


SLOW = pytest.mark.slow


@pytest.mark.drawn
@pytest.mark.parametrize(
    "text", [pytest.param("a b", marks=SLOW), "a b =", pytest.param("a op b =", marks=SLOW)]
)
def test_gradients_equal_finite_differences_of_the_reference(tiny, text):
    task = dataclasses.replace(tiny.task, p=3, format=text)
    model = grokjax.Transformer(
        width=4, heads=2, mlp_width=6, layers=2, activation="gelu", norm="pre", biases=True
    )
    experiment = dataclasses.replace(tiny, task=task, model=model, train_fraction=0.5)
    spec, params, table = built(experiment)
    hp = hparams(in_float64(experiment))
    with jax.enable_x64(True):
        train, _ = jax.jit(splits, static_argnums=0)(spec, hp)
        zero = fast_init(spec)(hp)
        state = dataclasses.replace(zero, params=jax.tree.map(np.asarray, params))
        still = hparams(in_float64(experiment).replaced(optimizer=STILL))
        _, info = jax.jit(lambda state: training.step(spec, still, train, state))(state)
    real = np.asarray(train.weights) > 0  # of the one stage and the one tile
    rows = table.inputs[np.asarray(train.index)[real]], np.asarray(train.targets)[real]

    def loss(params):
        logits = reference.logits(model, params, rows[0], table.n_classes)
        return reference.cross_entropy(logits, rows[1])

    assert float(info.scores.loss) == pytest.approx(loss(params), rel=1e-12)
    leaves, tree = jax.tree.flatten(params)
    squares, epsilon = 0.0, 1e-6
    for at, leaf in enumerate(leaves):
        for index in np.ndindex(leaf.shape):
            ends = []
            for shift in (epsilon, -epsilon):
                moved = [x.copy() for x in leaves]
                moved[at][index] += shift
                ends.append(loss(jax.tree.unflatten(tree, moved)))
            squares += ((ends[0] - ends[1]) / (2 * epsilon)) ** 2
    assert float(info.grad_norm) == pytest.approx(np.sqrt(squares), rel=1e-6)


@functools.cache
def fast_init(spec):
    """The initialisation, compiled once for all scales."""
    return jax.jit(functools.partial(training.init, spec))


@pytest.mark.drawn
@pytest.mark.parametrize(
    ("family", "role", "deviation"),
    [
        ("normal", ("mlp_0", "in", "weight"), 1 / np.sqrt(64)),
        ("normal", ("mlp_0", "out", "weight"), 1 / np.sqrt(64)),
        ("normal", ("embed",), 1 / np.sqrt(64)),
        ("lecun", ("mlp_0", "out", "weight"), 1 / np.sqrt(256)),
        ("lecun", ("attention_0", "output", "weight"), 1 / np.sqrt(32)),
        ("lecun", ("embed",), 1 / np.sqrt(64)),
        ("torch", ("mlp_0", "out", "weight"), 1 / np.sqrt(3 * 256)),
        ("torch", ("mlp_0", "in", "bias"), 1 / np.sqrt(3 * 64)),
        ("torch", ("embed",), 1.0),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_initial_weights_have_the_spread_of_their_family(family, role, deviation, scale):
    model = grokjax.Transformer(
        width=64, heads=4, head_width=8, mlp_width=256, biases=True, init=family, init_scale=scale
    )
    experiment = grokjax.Experiment(task=grokjax.ModularArithmetic("add", p=97), model=model)
    found = to_numpy(fast_init(spec_of(experiment))(hparams(experiment)).params)
    for name in role:
        found = found[name]
    error = 4 * scale * deviation / np.sqrt(2 * found.size)
    assert found.std() == pytest.approx(scale * deviation, abs=error)
    assert abs(found.mean()) < 5 * scale * deviation / np.sqrt(found.size)


def test_init_scale_leaves_the_gains_of_norms_at_one(tiny):
    model = dataclasses.replace(tiny.model, norm="pre", final_norm=True, init_scale=3.0)
    experiment = dataclasses.replace(tiny, model=model)
    params = to_numpy(fast_init(spec_of(experiment))(hparams(experiment)).params)
    np.testing.assert_array_equal(params["norm_mlp_0"]["scale"], 1)
    np.testing.assert_array_equal(params["final_norm"]["scale"], 1)


@pytest.mark.drawn
def test_float64_starts_from_the_same_network_as_float32(tiny):
    single = to_numpy(fast_init(spec_of(tiny))(hparams(tiny)).params)
    double = in_float64(tiny)
    with jax.enable_x64(True):
        twice = to_numpy(fast_init(spec_of(double))(hparams(double)).params)
    jax.tree.map(np.testing.assert_array_equal, single, twice)
    assert {leaf.dtype for leaf in jax.tree.leaves(twice)} == {np.dtype("float64")}
