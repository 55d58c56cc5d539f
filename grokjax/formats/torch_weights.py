"""From a network to a module of `torch_module`: its settings, its arrays, and the module itself.

PyTorch is imported where the module is made, so that its arrays can be written without it.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from grokjax.config import MLP, ConfigError, Model, Transformer
from grokjax.formats import plain
from grokjax.tasks import Dataset

TARGET = plain.Target(
    "the PyTorch module", "take grokjax's own names, network.save('net.safetensors')"
)
ACTIVATIONS = (
    "relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid", "leaky_relu", "square", "identity",
)  # fmt: skip
TRANSFORMER: plain.Choices = {
    "activation": ACTIVATIONS,
    "gated": None,
    "norm": (
        "none", "pre", "post", "rms", "peri", "attention", "mlp", "queries_keys", "values",
        "stream",
    ),
    "norm_kind": (None, "layer", "rms"),
    "norm_gains": None,
    "norm_biases": None,
    "norm_epsilon": None,
    "qk_norm": None,
    "value_norm": None,
    "final_norm": None,
    "biases": None,
    "attention_biases": None,
    "unembed_biases": None,
    "causal": None,
    "positions": ("learned", "sinusoidal", "rotary", "none"),
    "rotary_base": None,
    "attention": ("softmax", "uniform"),
    "attention_rate": None,
    "readout": ("last", "mean"),
    "tied": None,
}  # fmt: skip
PERCEPTRON: plain.Choices = {
    "activation": ACTIVATIONS,
    "biases": None,
    "unembed_biases": None,
    "gated": None,
    "skip_connections": None,
    "token_inputs": ("one_hot", "sum", "concatenate"),
    "tied": None,
}
NAMES = {
    r"position": r"position",
    r"attention_(\d+)/(query|key|value|output)/(weight|bias)": r"blocks.\1.attention.\2.\3",
    r"mlp_(\d+)/in/(weight|bias)": r"blocks.\1.mlp.into.\2",
    r"mlp_(\d+)/in_gate/(weight|bias)": r"blocks.\1.mlp.gate.\2",
    r"mlp_(\d+)/out/(weight|bias)": r"blocks.\1.mlp.out.\2",
    r"norm_(attention|mlp)_(\d+)(_inside)?/scale": r"blocks.\2.norm_\1\3.weight",
    r"norm_(attention|mlp)_(\d+)(_inside)?/bias": r"blocks.\2.norm_\1\3.bias",
    r"norm_(query|key|value)_(\d+)/scale": r"blocks.\2.attention.norm_\1.weight",
    r"norm_(query|key|value)_(\d+)/bias": r"blocks.\2.attention.norm_\1.bias",
    r"final_norm/scale": r"final_norm.weight",
    r"final_norm/bias": r"final_norm.bias",
    r"embed": r"embed.weight",
    r"embed/(weight|bias)": r"hidden.0.\1",
    r"embed_gate/(weight|bias)": r"gates.0.\1",
    r"hidden_(\d+)/(weight|bias)": r"hidden.\1.\2",
    r"hidden_(\d+)_gate/(weight|bias)": r"gates.\1.\2",
    r"unembed/(weight|bias)": r"unembed.\1",
}
"""Pattern of our name of a parameter → its name in the module."""
COMPARED = r"(attention_\d+/|norm_)(query|key)[_/].*"
"""Pattern of our names of the parameters of queries and keys."""


@functools.singledispatch
def settings(model: Model, dataset: Dataset) -> dict[str, Any]:
    """What the module of a network is made with: plain numbers and words.

    Raises:
      ConfigError: the module cannot express the model.
    """
    raise plain.refusal("model", model.kind, TARGET)


@settings.register
def _transformer(model: Transformer, dataset: Dataset) -> dict[str, Any]:
    plain.check(model, TRANSFORMER, TARGET)
    if model.qk_norm and not model.norm_gains and not math.isclose(plain.score_factor(model), 1):
        raise plain.refusal("model.norm_gains", False, TARGET)
    rate = 1.0 if model.attention_rate is None else model.attention_rate
    return {
        "vocabulary": dataset.vocabulary,
        "n_positions": dataset.inputs.shape[1],
        "n_classes": dataset.n_classes,
        "head_width": model.size,
        "norm": "pre" if model.norm == "rms" else model.norm,
        "norm_kind": "rms" if model.rms else "layer",
        "norm_biases": model.biased("norm") and not model.rms,
        "attention_biases": model.biased("attention"),
        "unembed_biases": model.biased("unembed") and not model.tied,
        "rotary_base": plain.rotary_base(model),
        "softmax_share": rate if model.attention == "softmax" else 0.0,
        "readout": model.readout if dataset.answers is None else list(dataset.answers),
        **_fields(
            model, "width", "heads", "mlp_width", "layers", "activation", "gated", "norm_gains",
            "norm_epsilon", "qk_norm", "value_norm", "final_norm", "biases", "causal", "positions",
        ),
    }  # fmt: skip


@settings.register
def _perceptron(model: MLP, dataset: Dataset) -> dict[str, Any]:
    plain.check(model, PERCEPTRON, TARGET)
    return {
        "vocabulary": dataset.vocabulary,
        "n_inputs": dataset.inputs.shape[1],
        "n_classes": dataset.n_classes,
        "unembed_biases": model.biased("unembed") and not model.tied,
        **_fields(
            model, "width", "mlp_width", "layers", "activation", "gated", "skip_connections",
            "biases", "token_inputs",
        ),
    }  # fmt: skip


def _fields(model: Model, *names: str) -> dict[str, Any]:
    return {name: getattr(model, name) for name in names}


def arrays(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> plain.Arrays:
    """The state dict of the module of a network, as NumPy arrays.

    Args:
      model: with the numbers that it has at this step.
      dataset: the table that it is a network for.
      params: nested dictionaries of arrays.

    Raises:
      ConfigError: the module cannot express the model.
    """
    given = settings(model, dataset)
    ours = plain.folded(model, dataset, params)
    if not given.get("softmax_share", 1.0):  # such attention does not look at queries and keys
        ours = {n: array for n, array in ours.items() if not re.fullmatch(COMPARED, n)}
    theirs = {}
    for name in list(ours):
        for pattern, new in NAMES.items():
            if found := re.fullmatch(pattern, name):
                theirs[found.expand(new)] = _as_torch_has_it(name, ours.pop(name))
    plain.check_all_taken(ours, TARGET)
    return theirs


def _as_torch_has_it(name: str, array: np.ndarray) -> np.ndarray:
    """Weights as `[outputs, inputs]`, biases as `[outputs]`, all else as it is."""
    if name.endswith("/weight"):
        return array.reshape(plain.fan_in(name, array), -1).T
    return array.reshape(-1) if name.endswith("/bias") else array


def module(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> Any:
    """The `torch.nn.Module` of a network; the arguments are those of `arrays`.

    Raises:
      ConfigError: it cannot express the model, or PyTorch is not installed.
    """
    theirs, given = arrays(model, dataset, params), settings(model, dataset)
    tensors = tensors_of(theirs)
    from grokjax.formats import torch_module

    kind = torch_module.Transformer if isinstance(model, Transformer) else torch_module.MLP
    made = kind(**given).to(tensors["unembed.weight"].dtype)
    made.load_state_dict(tensors)
    return made.eval()


def tensors_of(named: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Arrays as tensors of PyTorch, which share no memory with them."""
    try:
        import torch
    except ImportError:
        raise ConfigError(
            "torch: PyTorch is not installed, pip install 'grokjax[torch]'."
        ) from None
    return {name: torch.tensor(array) for name, array in named.items()}
