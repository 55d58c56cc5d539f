"""Networks of Chughtai et al. 2023, whose authors print what they measured of them.

Their repository has no licence, so nothing of it is here. With a clone at hand:

    GROKJAX_PUBLISHED_WEIGHTS=…/rep-theory-mech-interp python -m pytest -m slow \
        tests/test_published_weights.py
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from grokjax import MLP, Experiment, FiniteGroup, ModularArithmetic, Representations, tasks
from grokjax.engine import foreign
from grokjax.tasks.groups import elements

CLONE = os.environ.get("GROKJAX_PUBLISHED_WEIGHTS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CLONE is None, reason="GROKJAX_PUBLISHED_WEIGHTS names no clone"),
]
PRINTED = {
    "S5_MLP_seed2": {
        "similarity.sign": 0.509043,
        "similarity.standard": 0.767434,
        "restricted": 6.7301e-7,
        "embedding.sign": 0.069513,
        "embedding.standard": 0.930487,
        "unembedding.sign": 0.095848,
        "unembedding.standard": 0.844628,
        "loss": 2.383824e-6,
    },
    "C113_MLP_seed1": {
        "explained": 0.936780,
        "keys": 13,
        "restricted": 1.84338e-6,
        "key_share.embedding": 0.992321,
        "key_share.unembedding": 0.979529,
        "squares": 5459.01,
        "loss": 2.052625e-5,
    },
}


def published(name):
    """The arrays of a network, its elements in our order."""
    torch = pytest.importorskip("torch")
    path = Path(CLONE) / "rep_theory" / "batch_experiments" / name
    assert json.loads((path / "summary_metrics.json").read_text())["test_acc"] == 1
    weights = torch.load(path / "model.pt", map_location="cpu", weights_only=True)
    arrays = {name: array.numpy().astype(float) for name, array in weights.items()}
    order = _our_order(name, len(arrays["W_x"]))
    return {
        "W_x": arrays["W_x"][order],
        "W_y": arrays["W_y"][order],
        "W": arrays["W"],
        "W_U": arrays["W_U"][:, order],
    }


def _our_order(name, n):
    """Which of their elements each of ours is.

    Their product of permutations applies the left one first, ours the right one. The inverse takes
    one group to the other.
    """
    if name.startswith("C"):
        return np.arange(n)
    groups = pytest.importorskip("sympy.combinatorics.named_groups")
    group = groups.SymmetricGroup(5)
    assert len(group.elements) == 120  # which lists them in the order of their file
    listed = group._elements
    theirs = {tuple(p.array_form): at for at, p in enumerate(listed)}
    return np.array([theirs[tuple(np.argsort(ours))] for ours in elements(FiniteGroup("S5"))])


def measured(name):
    arrays = published(name)
    task = FiniteGroup("S5", format="a b") if name.startswith("S") else ModularArithmetic(
        "add", p=113, format="a b"
    )  # fmt: skip
    model = MLP(layers=1, mlp_width=128, token_inputs="one_hot", biases=False)
    experiment = Experiment(task=task, model=model, train_fraction=0.4, dtype="float64")
    width = arrays["W_x"].shape[1]
    first, second = arrays["W_x"] @ arrays["W"][:width], arrays["W_y"] @ arrays["W"][width:]
    params = {
        "embed/weight": np.stack([first, second]),
        "unembed/weight": arrays["W_U"],
    }
    table = foreign.measure(params, experiment, [Representations()])
    of_logits = table[table["instrument"] == "representations"].set_index("part")["value"].to_dict()
    squares = sum(float((array**2).sum()) for array in arrays.values())
    return of_logits | {
        "squares": squares,
        "loss": _loss(task, first, second, arrays["W_U"]),
    }


def _loss(task, first, second, last):
    dataset = tasks.build(task)
    a, b = dataset.operands.T
    logits = np.maximum(first[a] + second[b], 0) @ last
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(logs)), dataset.targets].mean())


@pytest.mark.parametrize("name", PRINTED)
def test_printed_numbers_are_reproduced_to_five_digits(name):
    found = measured(name)
    for part, printed in PRINTED[name].items():
        assert found[part] == pytest.approx(printed, rel=2e-5), part
