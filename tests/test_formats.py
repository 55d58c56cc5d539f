"""Networks in the formats of other programs compute what they compute here."""

import dataclasses
import functools
import sys

import hooked
import jax
import numpy as np
import pytest
import reference
import vocabulary
from conftest import QUICKLY
from test_models import PERCEPTRONS, variants

import grokjax
from grokjax import ConfigError, Transformer, models, tasks, traced
from grokjax.engine import foreign
from grokjax.formats import lens, torch_weights
from grokjax.results import snapshots
from grokjax.weights import Network

TINY = grokjax.Experiment(
    task=grokjax.ModularArithmetic("sub", p=5),
    model=Transformer(width=8, heads=2, mlp_width=12),
    dtype="float64",
)
SEQUENCE = vocabulary.WORDS["task: sequence"]
FORMS = {
    **{f"model: {word}": vocabulary.WORDS[f"model: {word}"] for word in vocabulary.MODELS},
    **{f"own: {word}": vocabulary.WORDS[f"own: {word}"] for word in ("lstm", "convolutions")},
    "answers": dataclasses.replace(SEQUENCE, dtype="float64"),
    "answers, two layers": dataclasses.replace(
        SEQUENCE,
        model=Transformer(
            width=8, heads=2, mlp_width=12, layers=2, norm="rms", final_norm=True, tied=True
        ),
    ),
    "float32": dataclasses.replace(TINY, dtype="float32"),
}
"""Every form of a network in the vocabulary, and networks that are read at several positions."""


def made(experiment):
    """A network with parameters away from their special starting values, as if it were trained."""
    run, rng = experiment.resolved(), np.random.default_rng(0)

    def drawn(name, shape):
        draws = rng.normal(size=shape).astype(run.dtype)
        return 1 + draws / 10 if name.endswith("scale") else 0.4 * draws

    arrays = {f"params/{n}": drawn(n, s) for n, s in foreign.wanted_shapes(run).items()}
    params = snapshots.nested(arrays, "params")
    return Network(run, 0, params, tasks.build(run.task), run.model)


@functools.cache
def form(word):
    """A network and its logits."""
    network = made(FORMS[word])
    with jax.enable_x64(True):
        apply = jax.jit(lambda params: network(None, params), compiler_options=QUICKLY)
        return network, np.asarray(apply(network.params))
