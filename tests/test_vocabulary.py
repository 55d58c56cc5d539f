"""Every word of the vocabulary through the same matrix.

It starts, it learns, in another lane it has the same bits, alone it is what it is in a batch, it goes
on from a copy of its state as if nothing had happened, a second call compiles nothing, and its
gradient is that of its loss.
"""

import dataclasses
import functools
import re
import subprocess
import sys
import typing
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import vocabulary
from conftest import QUICKLY, hparams, to_numpy
from samples import place, sampled
from vocabulary import ALWAYS, WORDS

import grokjax
from grokjax import models
from grokjax.config import MLP, Experiment, Network
from grokjax.config.fields import field_types
from grokjax.tasks.dataset import make_dataset
from grokjax.training import loop as training
from grokjax.training import losses, modifiers, optimizers
from grokjax.training.data import splits
from grokjax.training.spec import spec_of

LANES, STEPS = 3, 40
ALONE = ("model", "optimiser", "modifier", "own")
"""Families whose words change what a step computes, and not only on what. A third of them is tried
alone at a commit."""


def stacked(trees):
    """The same trees with a leading axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


@functools.cache
def programs(spec):
    """Start and step of a batch of runs, and the step of one run; words may share a spec."""
    step = partial(training.step, spec)
    functions = (jax.vmap(partial(training.init, spec)), jax.vmap(step), step)
    return [jax.jit(function, compiler_options=QUICKLY) for function in functions]


@functools.cache
def compiled_splits(spec):
    """Training rows of a batch of runs, compiled once for all words of the same data."""
    return jax.jit(jax.vmap(lambda hp: splits(spec, hp)[0]), compiler_options=QUICKLY)


def training_rows(spec, numbers):
    """Training rows of the runs, from what the split looks at of spec and numbers."""
    plain = spec_of(vocabulary.BASE)
    same = dataclasses.replace(
        spec, **{name: getattr(plain, name) for name in ("words", "batch_size", "log_every")}
    )
    words = stacked([hparams(vocabulary.BASE).words] * LANES)
    return compiled_splits(same)(dataclasses.replace(numbers, words=words))


def losses_of(step, numbers, rows, state, steps):
    """States at the end, and losses on the way `[..., steps]`."""
    seen = []
    for _ in range(steps):
        state, info = step(numbers, rows, state)
        seen.append([info.scores.loss, info.weight_norm, info.update_norm])
    return state, np.moveaxis(np.array(seen), 0, -1)


@pytest.mark.parametrize("word", sampled(WORDS, 10, ALWAYS))
def test_a_word_of_the_vocabulary(word):
    experiment = WORDS[word].resolved()
    spec = spec_of(experiment)
    lanes = [
        hparams(dataclasses.replace(experiment, seed=seed, split_seed=seed))
        for seed in range(LANES)
    ]
    numbers = stacked(lanes)
    start, step, alone = programs(spec)
    with jax.enable_x64(True):
        rows = training_rows(spec, numbers)
        begun = start(numbers)
        half, before = losses_of(step, numbers, rows, begun, STEPS // 2)
        copy = jax.tree.map(jnp.asarray, to_numpy(half))
        _, after = losses_of(step, numbers, rows, copy, STEPS // 2)
        # The same runs in each other's lanes, in the same program.
        swapped = jax.tree.map(lambda x: x[::-1], (numbers, rows, begun))
        _, elsewhere = losses_of(step, *swapped, STEPS // 2)
        assert step._cache_size() == 1
        whole = np.concatenate([before, after], axis=-1)
        # In a program without lanes, and without the copy: one more to compile.
        if word.split(":")[0] in ALONE and place(word) % 3 == 0:
            own = jax.tree.map(lambda x: x[1], (rows, begun))
            _, found = losses_of(alone, lanes[1], *own, STEPS)
            np.testing.assert_allclose(found, whole[:, 1], rtol=1e-7, atol=1e-9)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(elsewhere[:, ::-1], before)
    train_loss = whole[0]
    assert (train_loss[:, -10:].min(axis=1) < 0.95 * train_loss[:, :3].mean(axis=1)).all()
    assert not np.allclose(train_loss[0], train_loss[1])


GRADIENTS = [
    word
    for word, experiment in WORDS.items()
    if word.split(":")[0] in ("task", "model", "loss", "own")
    and experiment.loss_dtype != "float16"  # so few digits have no differences to speak of
]


@pytest.mark.parametrize("word", sampled(GRADIENTS, 10, ALWAYS))
def test_the_gradient_is_that_of_the_loss(word):
    """Along a random direction, against a central difference in float64."""
    experiment = WORDS[word].resolved()
    spec, hp = spec_of(experiment), hparams(experiment)
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        _, words_ = hp.at(jnp.zeros((), jnp.int32))
        shapes = jax.eval_shape(partial(training.init, spec), hp).params
        params = jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape)), shapes)
        along = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), shapes)
        train, _ = jax.jit(splits, static_argnums=0, compiler_options=QUICKLY)(spec, hp)
        rows = jax.tree.map(lambda x: x[0, 0], train)

        @partial(jax.jit, compiler_options=QUICKLY)
        def scored(params):
            return jax.value_and_grad(lambda p: training._score(spec, words_, p, rows, None)[0])(
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


def kinds(function):
    """The kinds of words that a function is registered for."""
    return {word.kind for word in function.registry if getattr(word, "kind", "")}


def words(family):
    """The first words of a family's names."""
    return {name.split()[0] for name in getattr(vocabulary, family)}


def choices(cls, field):
    """What a field of a configuration can be."""
    return set(typing.get_args(field_types(cls)[field]))


def test_no_entry_of_a_registry_is_outside_the_matrix():
    assert words("TASKS") == kinds(make_dataset)
    assert words("MODELS") == kinds(models.network)
    assert kinds(optimizers.direction) <= words("OPTIMIZERS")
    assert words("MODIFIERS") == kinds(modifiers.transformation) | kinds(modifiers.gradient_at)
    assert words("LOSSES") == kinds(losses.per_target)
    by_chance, other = typing.get_args(field_types(Experiment)["split"])
    assert set(typing.get_args(by_chance)) <= words("SPLITS")
    assert {cls.kind for cls in other.__subclasses__()} <= words("SPLITS")
    every = [experiment.model for experiment in WORDS.values()]
    networks = [model for model in every if isinstance(model, Network)]
    assert {model.scaling for model in networks} == choices(Network, "scaling")
    inputs = {model.token_inputs for model in networks if isinstance(model, MLP)}
    assert inputs == choices(MLP, "token_inputs")


def test_the_page_lists_every_entry_as_it_is(tmp_path):
    root = Path(__file__).parents[1]
    page = (root / "docs" / "vocabulary.md").read_text(encoding="utf-8")
    written = tmp_path / "vocabulary.md"
    written.write_text(page, encoding="utf-8")
    # In a process of its own: after the other tests of this file the tables once differed.
    command = [sys.executable, "-m", "tools.vocabulary_tables", str(written)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert written.read_text(encoding="utf-8") == page
    for heading in ("Tasks", "Models", "Optimisers", "Modifiers", "Losses", "Instruments"):
        assert f"| {heading} | what it is" in page
    names = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert all(hasattr(grokjax, name) for name in names)
