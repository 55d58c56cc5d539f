"""Initial values, dropout and activations of the forms that other people's networks have."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import QUICKLY, in_float64, model_of, to_numpy
from test_models import built

import grokjax
from grokjax import ConfigError, models, tasks
from grokjax.models import initializers
from grokjax.training import loop as training

WIDE = grokjax.Transformer(width=64, mlp_width=256, layers=2)


@pytest.mark.parametrize(
    ("family", "fan_in", "variance"),
    [
        ("kaiming_normal", 256, 2 / 256),
        ("kaiming_uniform", 256, 2 / 256),
        ("xavier_normal", 256, 2 / (256 + 64)),
        ("xavier_uniform", 64, 2 / (64 + 256)),
        ("gpt2", 256, 0.02**2),
        ("torch", 256, 1 / (3 * 256)),
    ],
)
def test_families_have_the_variance_of_their_formula(family, fan_in, variance):
    draw = initializers.family(WIDE.replaced(init=family)).linear(fan_in, "body")
    found = np.asarray(draw(jax.random.key(0), (fan_in, 64 * 256 // fan_in)))
    assert found.var() == pytest.approx(variance, rel=0.05)
    assert abs(found.mean()) < 5 * np.sqrt(variance / found.size)
    if family in ("kaiming_uniform", "xavier_uniform", "torch"):
        bound = np.sqrt(3 * variance)
        assert 0.99 * bound < np.abs(found).max() <= bound


def started(tiny, model):
    """The parameters that a run of a model starts from."""
    experiment = tiny.replaced(model=model)
    dataset = tasks.build(tiny.task)
    layout = models.plain_layout(experiment.model, dataset)
    init = jax.jit(lambda model, key: models.init(model, dataset, layout, key))
    return init.lower(model_of(experiment), jax.random.key(0)).compile(QUICKLY)(
        model_of(experiment), jax.random.key(0)
    )


@pytest.mark.drawn
def test_gpt2_divides_what_is_added_by_the_root_of_how_often(tiny):
    params = started(tiny, WIDE.replaced(init="gpt2", biases=True))
    alone = params["attention_0"]["query"]["weight"], params["mlp_1"]["in"]["weight"]
    added = params["attention_1"]["output"]["weight"], params["mlp_0"]["out"]["weight"]
    for weights, deviation in ((alone, 0.02), (added, 0.02 / np.sqrt(4))):
        for weight in weights:
            assert weight.std() == pytest.approx(deviation, rel=0.05)
    assert params["embed"].std() == pytest.approx(0.02, rel=0.15)
    assert not np.any(params["mlp_0"]["in"]["bias"])


def test_attention_starts_as_that_of_pytorch_where_it_is_multihead(tiny):
    """One matrix makes queries, keys and values, so that Xavier's fans are D and 3 D."""
    model = WIDE.replaced(init="torch", biases=True, attention_init="multihead")
    attention = started(tiny, model)["attention_1"]
    for name, bound in {
        **dict.fromkeys(("query", "key", "value"), np.sqrt(6 / (64 + 3 * 64))),
        "output": 1 / np.sqrt(64),
    }.items():
        assert not np.any(attention[name]["bias"])
        assert 0.99 * bound < np.abs(attention[name]["weight"]).max() <= bound
    with pytest.raises(ConfigError, match="attention_init"):
        WIDE.replaced(scaling="mup", attention_init="multihead")


def test_embeddings_start_as_unit_vectors_or_waves(tiny):
    """p = 7, and the sign = is token 7."""
    identity = WIDE.replaced(embed_init="identity")
    draw = initializers.token_embedding(identity, 8, 7)
    np.testing.assert_array_equal(draw(jax.random.key(0), (8, 64)), np.eye(8, 64))
    waves = WIDE.replaced(embed_init="frequencies", frequencies=[3, 1])
    found = np.asarray(initializers.token_embedding(waves, 8, 7)(jax.random.key(0), (8, 64)))
    t = np.arange(7)
    for at, k in enumerate((3, 1)):
        np.testing.assert_allclose(
            found[:7, 2 * at : 2 * at + 2],
            np.stack([np.cos(2 * np.pi * k * t / 7), np.sin(2 * np.pi * k * t / 7)], 1) / 2**0.5,
            atol=1e-6,
        )
    np.testing.assert_allclose((found[:7] ** 2).sum(1), 1, rtol=1e-6)
    assert not found[:7, 4:].any() and found[7].all()  # the sign is drawn


def test_hidden_units_over_one_hot_numbers_start_with_a_frequency_each():
    model = grokjax.MLP(
        mlp_width=6, token_inputs="one_hot", embed_init="frequencies", frequencies=[3, 1]
    )
    table = np.asarray(
        initializers.token_table(model, 3 * 8, "embed", 7)(jax.random.key(0), (3, 8, 6))
    )
    power = np.abs(np.fft.rfft(table[:, :7], axis=1)) ** 2
    assert (power.argmax(axis=1) == [3, 1] * 3).all()
    np.testing.assert_allclose(power.max(axis=1), power.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose((table[:, :7] ** 2).mean(axis=1), 1 / 24, rtol=1e-5)
    phases = np.angle(
        np.take_along_axis(np.fft.rfft(table[:, :7], axis=1), power.argmax(1)[:, None], 1)
    )
    assert len(np.unique(phases.round(4))) == phases.size  # of every unit at every position


NEARLY_ALL = 1 - 1e-6
"""A rate of dropout at which nothing is left."""
MADE_ZERO = {
    "embeddings": (("embed",), ("position",)),
    "weights": (("attention_0", "output", "weight"),),
    "attention": (("attention_0", "output", "weight"), ("attention_0", "output", "bias")),
    "hidden": (("mlp_0", "out", "weight"),),
    "mlp": (("mlp_0", "out", "weight"), ("mlp_0", "out", "bias")),
}
"""Place of dropout → parameters without which the network is what it is without the place."""


@pytest.mark.drawn
@pytest.mark.parametrize("attention", ["softmax", "uniform"])
def test_dropout_is_where_it_is_said_to_be(tiny, attention):
    plain = tiny.model.replaced(biases=True, attention=attention)
    for place, paths in MADE_ZERO.items():
        if attention == "uniform" and place != "weights":
            continue
        model = plain.replaced(dropout=NEARLY_ALL, dropout_places=[place])
        experiment = tiny.replaced(model=model)
        spec, params, table = built(experiment)
        numbers = model_of(in_float64(experiment))

        def apply(params, model, spec=spec, table=table):
            rows, key = jnp.arange(spec.task.n_rows), jax.random.key(0)
            return models.apply(model, table, training.layout(spec), params, rows, key)

        with jax.enable_x64(True):
            found = jax.jit(apply).lower(params, numbers).compile(QUICKLY)(params, numbers)
        without = jax.tree_util.tree_map_with_path(
            lambda path, x, paths=paths: x * (tuple(part.key for part in path) not in paths), params
        )
        expected = reference.logits(plain, without, table.inputs, table.n_classes)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_what_is_shown_of_a_peri_norm_is_what_is_added(tiny):
    model = tiny.model.replaced(norm="peri", biases=True, gated=True, qk_norm=True)
    experiment = tiny.replaced(model=model)
    _, params, table = built(experiment)
    numbers = model_of(in_float64(experiment))
    layout = models.plain_layout(model, table)
    with jax.enable_x64(True):

        def seen(params):
            looks = models.look(numbers, table, layout, params)
            return looks.neurons, looks.readout, looks.tree

        program = jax.jit(seen).lower(params).compile(QUICKLY)
        neurons, readout, tree = to_numpy(program(params))
    assert neurons.shape == (len(table.targets), model.mlp_width)
    embedded = tree["embedded"][-1][:, -1]
    added = sum(tree[name]["added"][-1][:, 0] for name in ("attention_0", "mlp_0"))
    np.testing.assert_allclose(readout, embedded + added, rtol=1e-9)
    assert not model.linear_readout and tiny.model.replaced(norm="stream").linear_readout


def test_equal_networks_are_equal_however_they_are_written(tiny):
    one, other = (
        tiny.replaced(model=tiny.model.replaced(dropout=0.1, dropout_places=places))
        for places in (["mlp", "weights"], ("weights", "mlp", "mlp"))
    )
    assert one == other and one.run_id == other.run_id
    said = tiny.model.replaced(
        norm="pre", norm_kind="layer", norm_biases=False, unembed_biases=False
    )
    plain = tiny.replaced(model=tiny.model.replaced(norm="pre"))
    assert tiny.replaced(model=said).run_id == plain.run_id
    rms = tiny.replaced(model=tiny.model.replaced(norm="rms", biases=True))
    assert rms.replaced(model=rms.model.replaced(norm_kind="rms")).run_id == rms.run_id
    assert rms.resolved().model == dataclasses.replace(rms.resolved().model)


def test_a_task_of_numbers_has_no_embeddings(tiny):
    model = grokjax.MLP(width=8, mlp_width=8, tied=True)
    with pytest.raises(ConfigError, match=r"tied=True: .* numbers, which have no embeddings"):
        tiny.replaced(task=grokjax.Digits(limit=40), model=model)
