"""Measures against closed forms, and against what must not change them."""

import types
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import place

from grokjax import (
    MLP,
    Efficiency,
    Fourier,
    ModularArithmetic,
    Numerics,
    Representations,
    Spectra,
    Symmetry,
    Transformer,
    models,
    tasks,
)
from grokjax.measures import TrainingRows, fourier, geometry, numerics, probes, spectra, tables
from grokjax.measures.observed import Observed, measured
from grokjax.training import losses, words

KEYS = (14, 35, 41, 42, 52)
ADD = ModularArithmetic("add", p=113)


def observed_with(task, outputs=None, params=None, train=None, model=None):
    """What an instrument sees of a network that has these outputs, or these parameters."""
    dataset = tasks.build(task)
    rows = np.arange(len(dataset.targets)) if train is None else train
    weights = jnp.full(len(rows), 1 / len(rows))
    labels = jnp.asarray(dataset.targets[rows])

    def row_losses(logits, labels):
        return -jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels]

    observed = Observed(
        params=params or {},
        model=model,
        task=task,
        dataset=dataset,
        layout=None if model is None else models.plain_layout(model, dataset),
        train=TrainingRows(jnp.asarray(rows), labels, weights),
        row_losses=row_losses,
        count_right=partial(losses.count_right, tolerance=dataset.tolerance),
        optimizer=None,
    )
    if outputs is not None:
        looks = types.SimpleNamespace(outputs=outputs, neurons=None, readout=None, pattern=None)
        vars(observed).update(looks=looks, outputs=outputs)
    return observed


def cosine_logits(scale, keys=KEYS, p=113):
    """scale · Σ_k cos 2πk(a + b − c)/p over the table of addition."""
    a, b = np.divmod(np.arange(p * p), p)
    angle = 2 * np.pi * (a[:, None] + b[:, None] - np.arange(p)) / p
    return jnp.asarray(scale * sum(np.cos(k * angle) for k in keys), jnp.float32)


@pytest.mark.parametrize(
    "numbers, expected",
    {
        "even": (np.ones(56), 0),
        "one": (np.eye(56)[0], 1 - 1 / 56),
        "five": (np.arange(56) < 5, 1 - 5 / 56),
        "ten": (np.arange(113) < 10, 0.911504),
        "ramp": (np.arange(1, 57), 55 / 168),
    }.values(),
)
def test_gini(numbers, expected):
    assert fourier.gini(jnp.asarray(numbers, jnp.float32)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.drawn
@pytest.mark.parametrize("scale, loss, excluded", [(1, 1.030031, None), (2, 0.0721994, 0.391978),
                                                   (5, 2.17923e-5, 2.71064e-3),
                                                   (10, 8.2594e-11, 1.2603e-6)])  # fmt: skip
def test_progress_measures_of_logits_made_by_hand(scale, loss, excluded):
    logits = cosine_logits(scale)
    found = measured(Fourier(), observed_with(ADD, logits))
    labels = jnp.asarray(tasks.build(ADD).targets)
    assert tables.cross_entropy(logits, labels).mean() == pytest.approx(loss, rel=2e-4)
    assert found["restricted"] == pytest.approx(loss, rel=1e-3)
    assert found["excluded"] == pytest.approx(np.log(113), rel=1e-5)
    assert found["circulant"] == pytest.approx(1, abs=1e-5)
    assert found["keys"]["logits"] == 5
    assert sorted(int(k) for k in found["frequency"].values()) == sorted(KEYS)
    for similarity in found["similarity"].values():
        assert similarity == pytest.approx(1 / np.sqrt(5), rel=1e-5)
    if excluded:
        one = jnp.arange(1, 57) == 14
        along = fourier._along(tables.logits_by_product(observed_with(ADD, logits), logits), one)
        without = tables.train_loss_without(observed_with(ADD, logits), logits, along)
        assert without == pytest.approx(excluded, rel=1e-3)


@pytest.mark.parametrize("keys, margin", [(KEYS, 2.410176), ((16, 30, 56), 0.640747),
                                          ((11, 12, 18), 0.434524),
                                          ((17, 25, 32, 47), 0.977583)])  # fmt: skip
def test_margins_of_logits_made_by_hand(keys, margin):
    logits, labels = cosine_logits(1, keys), jnp.asarray(tasks.build(ADD).targets)
    found = tables.margins(logits, labels)
    assert float(found.min()) == pytest.approx(margin, abs=1e-5)


@pytest.mark.drawn
def test_characters_and_frequencies_agree_on_a_cyclic_group():
    logits = cosine_logits(3) + jax.random.normal(jax.random.key(0), (113 * 113, 113))
    observed = observed_with(ADD, logits, train=np.arange(0, 113 * 113, 3))
    by_fourier, by_characters = (measured(i, observed) for i in (Fourier(), Representations()))
    assert by_characters["bi_invariant"] == pytest.approx(float(by_fourier["circulant"]), rel=1e-5)
    assert by_characters["explained"] == pytest.approx(float(by_fourier["explained"]), rel=1e-4)
    assert by_characters["keys"] == by_fourier["keys"]["logits"] == 5


@pytest.mark.drawn
@pytest.mark.parametrize("op", ["sub", "mul", "div"])
def test_other_operations_have_the_structure_of_addition(op):
    task = ModularArithmetic(op, p=23)
    structure = tasks.structure(task)
    n = len(structure.classes)
    logits = np.zeros((task.n_rows, 23), np.float32)
    angle = structure.product[structure.first, structure.second][:, None] - np.arange(n)
    logits[structure.rows[:, None], structure.classes] = 9 * np.cos(2 * np.pi * 3 * angle / n)
    found = measured(Fourier(), observed_with(task, jnp.asarray(logits)))
    assert found["circulant"] == pytest.approx(1, abs=1e-5)
    assert int(found["frequency"]["1"]) == 3 and found["keys"]["logits"] == 1
    assert found["excluded"] == pytest.approx(np.log(n), rel=1e-4)


def test_ranks_of_an_embedding_of_five_frequencies():
    cos, sin = fourier.basis(113)
    rows = [f[k - 1] for k in KEYS for f in (cos, sin)]
    embed = jnp.asarray(np.stack(rows, axis=1) * np.sqrt(113 / 2), jnp.float32)
    squares = spectra.squared_singular_values(embed)
    assert np.sqrt(squares[-10:]) == pytest.approx([7.516648] * 10, rel=1e-5)
    for rank in spectra.ranks(squares).values():
        assert rank == pytest.approx(10, rel=1e-3)
    assert spectra.spectral_entropy(squares, 128) == pytest.approx(0.474561, abs=1e-4)


@pytest.mark.drawn
def test_conventions_of_ranks_are_told_apart():
    found = spectra.ranks(jnp.asarray([4.0, 4, 1, 1]))
    assert found["effective"] == pytest.approx(3.779763, abs=1e-5)
    assert found["participation"] == pytest.approx(2.941176, abs=1e-5)
    assert found["stable"] == pytest.approx(2.5)


@pytest.mark.drawn
def test_circularity():
    a = np.arange(59)
    assert geometry.circularity(jnp.asarray(np.cos(2 * np.pi * 4 * a / 59)[:, None])) == (
        pytest.approx(1, abs=1e-5)
    )
    assert geometry.circularity(jnp.asarray(a[:, None], jnp.float32)) == (
        pytest.approx(0.608677, abs=1e-4)
    )


@pytest.mark.drawn
def test_parallelograms():
    mod = geometry.admissible(ModularArithmetic("add", p=10))
    assert len(mod) == 125
    mod53 = geometry.admissible(ModularArithmetic("add", p=53))
    assert len(mod53) == 18_603
    values = np.arange(53)
    integers = mod53[mod53[:, 0] + mod53[:, 1] == mod53[:, 2] + mod53[:, 3]]
    assert len(integers) == 12_051
    line, angle = values[:, None] * np.ones((1, 3)), 2 * np.pi * values / 53
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    share = geometry.parallelogram_share
    assert share(jnp.asarray(line, jnp.float32), integers, 0.02) == 1
    assert share(jnp.asarray(circle, jnp.float32), mod53, 0.02) == pytest.approx(0.0042, abs=2e-3)


@pytest.mark.drawn
def test_cka():
    key = jax.random.key(1)
    x = jax.random.normal(key, (113, 20))
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(2), (20, 20)))[0]
    assert probes.cka(x, 3 * x @ turn + 1) == pytest.approx(1, abs=1e-4)
    noise = jax.random.normal(jax.random.key(3), (2, 113, 128))
    assert abs(probes.cka(*noise)) < 0.03  # the biased estimate says 0.53
    cos, sin = fourier.basis(113)

    def of(keys):
        return jnp.asarray(np.stack([f[k] for k in keys for f in (cos, sin)], axis=1))

    assert probes.cka(of([1, 2, 3, 4]), of([3, 4, 5])) == pytest.approx(0.57735, abs=0.03)
    assert abs(probes.cka(of([1, 2]), of([3, 4]))) < 0.04


@pytest.mark.drawn
@pytest.mark.parametrize("d, expected, within", [(1, 0.975, 0.1), (2, 1.99, 0.15), (5, 4.53, 0.5)])
def test_dimension_of_cubes(d, expected, within):
    points = jax.random.uniform(jax.random.key(d), (1000, d))
    dimension, ties = spectra.two_nn(points)
    assert dimension == pytest.approx(expected, abs=within) and ties <= 20


@pytest.mark.drawn
def test_a_regular_polygon_has_ties_and_no_dimension():
    angle = 2 * np.pi * np.arange(113) / 113
    points = jnp.asarray(np.stack([np.cos(angle), np.sin(angle)], axis=1), jnp.float32)
    dimension, ties = spectra.two_nn(points)
    assert np.isnan(dimension) and ties > 50
    dimension, ties = spectra.two_nn(
        jnp.concatenate([jax.random.normal(jax.random.key(0), (9, 3))] * 2)
    )
    assert np.isnan(dimension) and ties == 18


def gromov(p=23, kinds=5, dtype=jnp.float32):
    """The network of Gromov 2023: quadratic units of every frequency, phases on a grid."""
    phases = 2 * np.pi * np.arange(kinds) / kinds
    k, one, two = (x.reshape(-1) for x in np.meshgrid(np.arange(1, (p + 1) // 2), phases, phases))
    angle = 2 * np.pi * np.arange(p)[:, None] * k / p
    first = np.stack([np.cos(angle + one), np.cos(angle + two)])
    last = np.cos(angle + one + two).T
    params = {"embed": {"weight": first}, "unembed": {"weight": last}}
    model = MLP(
        layers=1, mlp_width=len(k), token_inputs="one_hot", activation="square", biases=False
    )
    return model, jax.tree.map(lambda x: jnp.asarray(x, dtype), params), len(k)


def gromov_observed(**options):
    model, params, _ = gromov()
    task = ModularArithmetic("add", p=23, format="a b")
    return observed_with(task, params=params, model=model, **options)


@pytest.mark.drawn
def test_the_network_of_gromov():
    _, _, units = gromov()
    observed = gromov_observed()
    logits, targets = observed.outputs / units, observed.dataset.targets
    right = np.zeros(logits.shape, bool)
    right[np.arange(len(targets)), targets] = True
    assert np.asarray(logits)[right] == pytest.approx(0.5, abs=1e-5)
    assert np.asarray(logits)[~right] == pytest.approx(-1 / 44, abs=1e-5)
    found = measured(Fourier(), observed)
    assert found["circulant"] == pytest.approx(1, abs=1e-4)
    assert found["neurons"]["ipr"] == pytest.approx(1, abs=1e-3)
    assert found["keys"]["embedding"] == found["keys"]["logits"] == 11
    # Its square puts a fifth of every unit at twice its frequency.
    assert found["neurons"]["share"] == pytest.approx(0.8, abs=1e-3)
    # Logits are homogeneous of degree 3 in the weights (Euler).
    shares = jax.nn.softmax(observed.outputs) - right
    euler = 3 * jnp.mean(jnp.sum(shares * observed.outputs, axis=1))
    along = sum(
        jnp.vdot(w, g)
        for w, g in zip(*map(jax.tree.leaves, (observed.params, observed.gradient)), strict=True)
    )
    assert along == pytest.approx(float(euler), rel=1e-3)


@pytest.mark.parametrize("margin, expected", [(16, 0), (18, 0), (22, 1)])
@pytest.mark.parametrize("label", [0, 50, 112])
def test_softmax_collapse_does_not_depend_on_the_order_of_classes(margin, expected, label):
    logits = jnp.full((1, 113), -float(margin)).at[0, label].set(0.0)
    assert numerics.collapsed(logits, jnp.asarray([label]))[0] == expected


def test_a_loss_far_below_epsilon_is_exact():
    logits = np.zeros((1, 113))
    logits[0, 3] = 30
    exact = np.log1p(112 * np.exp(-30.0))
    found = tables.cross_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray([3]))
    assert found[0] == pytest.approx(exact, rel=1e-5)
    naive = -jax.nn.log_softmax(jnp.asarray(logits, jnp.float32))[0, 3]
    assert naive == 0  # what it is compared with


@pytest.mark.drawn
def test_numerics_of_a_network_that_has_collapsed():
    logits, labels = cosine_logits(40), tasks.build(ADD).targets
    observed = observed_with(ADD, logits, params={"w": jnp.ones(3)})
    vars(observed)["gradient"] = {"w": -jnp.ones(3)}
    found = measured(Numerics(), observed)
    assert found["softmax_collapse"] == 1 and found["naive_minimisation"]["all"] == pytest.approx(1)
    margin = float(tables.margins(logits, jnp.asarray(labels)).mean())
    assert found["margin"]["train"] == pytest.approx(margin, rel=1e-5)


@pytest.mark.drawn
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5))
def test_what_does_not_change_structure_measures(seed, scale):
    """Permuted units, scaled logits, and operands and classes renamed by an automorphism."""
    model, params, units = gromov()
    draw = np.random.default_rng(seed)
    noisy = jax.tree.map(lambda w: w + 0.3 * draw.standard_normal(w.shape).astype("f"), params)
    order = draw.permutation(units)
    unit = int(draw.integers(1, 23))
    renamed = np.arange(23) * unit % 23
    permuted = {
        "embed": {"weight": noisy["embed"]["weight"][..., order]},
        "unembed": {"weight": noisy["unembed"]["weight"][order]},
    }
    scaled = {**noisy, "unembed": {"weight": scale * noisy["unembed"]["weight"]}}
    automorphic = {
        "embed": {"weight": noisy["embed"]["weight"][:, renamed]},
        "unembed": {"weight": noisy["unembed"]["weight"][:, renamed]},
    }
    task = ModularArithmetic("add", p=23, format="a b")

    def measures(params):
        found = measured(Representations(), observed_with(task, params=params, model=model))
        return [float(found[name]) for name in ("bi_invariant", "explained", "keys")]

    before = measures(noisy)
    for changed in (permuted, scaled, automorphic):
        assert measures(changed) == pytest.approx(before, rel=2e-3)


def test_efficiency_and_symmetry_of_the_network_of_gromov():
    observed = gromov_observed()
    found = measured(Efficiency(scales=(1.0, 2.0)), observed)
    assert found["loss_at"]["1"] == pytest.approx(float(observed.train_loss(observed.params)))
    assert found["loss_at"]["2"] < found["loss_at"]["1"] + 1e-6
    symmetric = measured(Symmetry(), observed)
    assert max(map(float, symmetric.values())) < 1e-4


def test_a_clock_is_told_from_a_pizza_by_hand():
    """A pizza's right logits vary with a − b and with nothing else, noise with all."""
    task = ModularArithmetic("add", p=23)
    a, b = np.divmod(np.arange(23 * 23), 23)
    pizza = cosine_logits(2, (7,), 23) * jnp.abs(jnp.cos(np.pi * 7 * (a - b) / 23))[:, None]
    assert geometry._irrelevance(observed_with(task, pizza)) < 1e-3
    noise = jax.random.normal(jax.random.key(0), (23 * 23, 23))
    assert geometry._irrelevance(observed_with(task, noise)) > 0.9


@pytest.mark.drawn
def test_a_turned_residual_stream_measures_the_same():
    """Without norms the directions of the residual stream are a matter of convention."""
    seed = place("a turned residual stream") % 10**6
    task = ModularArithmetic("add", p=11)
    model = Transformer(layers=1, width=8, heads=2, mlp_width=12, norm="none", biases=False)
    dataset = tasks.build(task)
    words.register(Transformer)
    numbers = jax.tree.map(jnp.float32, model)
    layout = models.plain_layout(model, dataset)
    params = models.init(numbers, dataset, layout, jax.random.key(seed))
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(seed + 1), (8, 8)))[0]
    reads = ("query", "key", "value", "in", "unembed")

    def turned(path, weight):
        names = [part.key for part in path]
        if names[0] in ("embed", "position") or names[-2] in ("output", "out"):
            return weight @ turn
        assert names[-2] in reads
        return jnp.tensordot(turn.T, weight, axes=1)

    both = (params, jax.tree_util.tree_map_with_path(turned, params))
    one, other = (observed_with(task, params=p, model=numbers) for p in both)
    for instrument in (Fourier(), Representations(), Spectra(), Symmetry()):
        measures = [
            [float(x) for x in jax.tree.leaves(measured(instrument, o))] for o in (one, other)
        ]
        assert measures[1] == pytest.approx(measures[0], rel=2e-2, abs=2e-3)
    assert probes.cka(one.looks.readout, other.looks.readout) == pytest.approx(1, abs=1e-3)


@pytest.mark.drawn
def test_padding_is_no_training_row():
    """Rows of weight zero may be any row, and count nowhere."""
    logits = cosine_logits(3, p=23, keys=(2, 5))
    task = ModularArithmetic("add", p=23)
    rows = np.arange(0, 529, 4)

    def measures(padding):
        observed = observed_with(task, logits, params={"w": jnp.ones(3)}, train=rows)
        train = observed.train
        more = np.arange(padding)
        padded = TrainingRows(
            jnp.concatenate([train.index, more]),
            jnp.concatenate([train.labels, jnp.zeros(padding, train.labels.dtype)]),
            jnp.concatenate([train.weights, jnp.zeros(padding)]),
        )
        object.__setattr__(observed, "train", padded)
        vars(observed)["gradient"] = {"w": -jnp.ones(3)}
        instruments = Numerics(), Efficiency(scales=()), Fourier(), Representations()
        return [float(x) for i in instruments for x in jax.tree.leaves(measured(i, observed))]

    np.testing.assert_allclose(measures(40), measures(0), rtol=1e-5, atol=1e-6)
