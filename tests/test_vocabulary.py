"""Every word of the vocabulary through the same matrix.

It starts, it learns, in another lane it has the same bits, alone it is what it is in a batch, it goes
on from a copy of its state as if nothing had happened, a second call compiles nothing, and its
gradient is that of its loss.
"""

import dataclasses
import typing
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import vocabulary
from conftest import QUICKLY, hparams, to_numpy
from vocabulary import WORDS

import grokjax
from grokjax import tasks
from grokjax import vocabulary as vocabulary_tables
from grokjax.config import MLP, Experiment, Network
from grokjax.config.fields import field_types
from grokjax.models import NETWORKS
from grokjax.training import losses, modifiers, optimizers
from grokjax.training import run as training
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

LANES, POINTS = 3, 3
ALONE = ("model", "optimiser", "modifier")
"""Families whose words change what a step computes, and not only on what."""


def stacked(trees):
    """The same trees with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def columns(metrics):
    """Metrics as one array, the last axis being log points."""
    return np.stack([np.asarray(values) for values in metrics.columns().values()])


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_vocabulary(word):
    experiment = WORDS[word].resolved()
    spec = spec_of(experiment)
    lanes = [
        hparams(dataclasses.replace(experiment, seed=seed, split_seed=seed))
        for seed in range(LANES)
    ]
    numbers = stacked(lanes)
    with jax.enable_x64(True):
        start = jax.jit(jax.vmap(partial(training.init, spec)), compiler_options=QUICKLY)
        segment = jax.jit(
            jax.vmap(partial(training.segment, spec, POINTS)), compiler_options=QUICKLY
        )
        begun = start(numbers)
        half, before, _ = segment(numbers, begun)
        copy = jax.tree.map(jnp.asarray, to_numpy(half))
        _, after, _ = segment(numbers, copy)
        # The same runs in each other's lanes, in the same program.
        swapped = jax.tree.map(lambda x: x[::-1], (numbers, begun))
        _, elsewhere, _ = segment(*swapped)
        assert segment._cache_size() == 1
    batch = np.concatenate([columns(before), columns(after)], axis=-1)
    assert np.isfinite(batch).all()
    np.testing.assert_array_equal(columns(elsewhere)[:, ::-1], columns(before))
    if word.split(":")[0] in ALONE:  # the mathematics of a step, in a program without lanes
        with jax.enable_x64(True):
            whole = jax.jit(partial(training.segment, spec, 2 * POINTS), compiler_options=QUICKLY)
            _, alone, _ = whole(lanes[1], jax.tree.map(lambda x: x[1], begun))
        np.testing.assert_allclose(columns(alone), batch[:, 1], rtol=1e-7, atol=1e-9)
    train_loss = batch[0]
    assert (train_loss.min(axis=1) < 0.95 * train_loss[:, 0]).all()
    assert not np.allclose(train_loss[0], train_loss[1])


GRADIENTS = [word for word in WORDS if word.split(":")[0] in ("task", "model", "loss")]


@pytest.mark.parametrize("word", GRADIENTS)
def test_the_gradient_is_that_of_the_loss(word):
    """Along a random direction, against a central difference in float64."""
    experiment = WORDS[word].resolved()
    spec, hp = spec_of(experiment), hparams(experiment)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        _, numbers = hp.at(jnp.zeros((), jnp.int32))
        shapes = jax.eval_shape(partial(training.init, spec), hp).params
        params = jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape)), shapes)
        along = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), shapes)
        rows = jax.tree.map(lambda x: x[0, 0], splits(spec, hp)[0])

        @partial(jax.jit, compiler_options=QUICKLY)
        def scored(params):
            return jax.value_and_grad(lambda p: training._score(spec, numbers, p, rows, None)[0])(
                params
            )

        _, gradient = scored(params)
        ends = [
            scored(jax.tree.map(lambda x, d, s=s: x + s * d, params, along))[0]
            for s in (1e-6, -1e-6)
        ]
    pairs = zip(*(jax.tree.leaves(to_numpy(tree)) for tree in (gradient, along)), strict=True)
    slope = sum(np.vdot(g, d) for g, d in pairs)
    assert slope == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-7)


def words(family):
    """The first words of a family's names."""
    return {name.split()[0] for name in getattr(vocabulary, family)}


def choices(cls, field):
    """What a field of a configuration can be."""
    return set(typing.get_args(field_types(cls)[field]))


def test_no_entry_of_a_registry_is_outside_the_matrix():
    assert words("TASKS") == set(tasks.registry.BUILDERS)
    assert words("MODELS") == set(NETWORKS)
    assert set(optimizers.DIRECTIONS) <= words("OPTIMIZERS")
    assert words("MODIFIERS") == {*modifiers.GRADIENTS, *modifiers.UPDATES, *modifiers.PLACES}
    assert words("LOSSES") == set(losses.LOSSES)
    assert choices(Experiment, "split") <= words("SPLITS")
    models = [experiment.model for experiment in WORDS.values()]
    assert {model.scaling for model in models} == choices(Network, "scaling")
    inputs = {model.token_inputs for model in models if isinstance(model, MLP)}
    assert inputs == choices(MLP, "token_inputs")


def test_the_readme_lists_every_entry_as_it_is():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert vocabulary_tables.written(readme) == readme
    for family, bases in vocabulary_tables.FAMILIES.items():
        listed = {cls.__name__ for base in bases for cls in vocabulary_tables.entries(base)}
        assert listed, family
        for name in listed:
            assert f"| `{name}` |" in readme
            assert hasattr(grokjax, name)
