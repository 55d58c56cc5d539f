"""The doors of the room: a network of each kind, its layout, its parameters, its outputs.

Legend: N rows, C classes, A answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import MLP, Model, Transformer
from grokjax.config.fields import require
from grokjax.models.layers import Numbers
from grokjax.models.layout import Layout, factorised
from grokjax.models.perceptron import MLPNetwork
from grokjax.models.roles import role
from grokjax.models.transformer import TransformerNetwork

NETWORKS: dict[str, Any] = {Transformer.kind: TransformerNetwork, MLP.kind: MLPNetwork}
"""Kind of model → its Flax module."""


def network(
    model: Model, vocabulary: int, n_classes: int, answers: tuple[int, ...] | None
) -> nn.Module:
    """The network of a model for a table of so many tokens and classes."""
    tied = isinstance(model, Transformer) and model.tied
    remedy = f"the table has {vocabulary} tokens but {n_classes} classes, leave it out"
    require(not tied or n_classes <= vocabulary, "tied", True, remedy)
    return NETWORKS[model.kind](model, vocabulary, n_classes, answers)


def layout(model: Model, inputs: np.ndarray, answers: tuple[int, ...] | None, rows: int) -> Layout:
    """What of a table is computed once, and where.

    Args:
      model: of the network.
      inputs: of the whole table.
      answers: positions that the logits are read from, where the model does not decide.
      rows: how many rows are evaluated at a time.
    """
    if not isinstance(model, Transformer):
        return Layout(inputs, ())
    positions = range(inputs.shape[1])
    readout = positions[-1:] if model.readout == "last" else positions
    shares = 0 if model.dropout is not None else rows  # every row draws for itself
    return factorised(inputs, model.layers, answers or readout, model.causal, shares)


def init(network: nn.Module, key: jax.Array, layout: Layout, scales: Mapping[str, Any]) -> dict:
    """Parameters of a fresh network, in the dtype of the scales.

    Drawn in float32 whatever the dtype, so that a run in float64 starts from the
    same network.

    Args:
      network: of the model.
      key: of its random numbers.
      layout: of the table.
      scales: factors on everything but the gains of norms: `init_scale`, and
        `embed_init_scale`, `body_init_scale` and `unembed_init_scale` on a part.
    """
    dtype = scales["init_scale"].dtype
    params = network.init(key, layout, jnp.zeros(1, jnp.int32), scales)["params"]

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        if path[-1].key == "scale":
            return leaf.astype(dtype)
        return leaf.astype(dtype) * scales["init_scale"] * scales[f"{role(path)}_init_scale"]

    return jax.tree_util.tree_map_with_path(scaled, params)


def apply(
    network: nn.Module,
    params: dict,
    layout: Layout,
    rows: jax.Array,
    numbers: Numbers,
    key: jax.Array | None = None,
) -> jax.Array:
    """Logits `[N, C]` or `[N, A, C]` for rows `[N]` of the layout's table.

    Args:
      network: of the model.
      params: of it.
      layout: of the table.
      rows: which rows.
      numbers: that the model has, `output_scale` among them.
      key: of dropout, which there is none of without.
    """
    rngs = {} if key is None else {"dropout": key}
    logits: Any = network.apply({"params": params}, layout, rows, numbers, rngs=rngs)
    return logits * numbers["output_scale"] if "output_scale" in numbers else logits
