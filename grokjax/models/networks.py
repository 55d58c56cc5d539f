"""From a model to its Flax module, its layout, its parameters and its outputs.

The rest of grokjax knows of Flax what these functions say.

Legend: N rows, C classes, A answers.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import MLP, ConfigError, Model, Transformer
from grokjax.config.fields import blamed, require
from grokjax.models.layout import Layout, layout_by_nodes
from grokjax.models.perceptron import MLPNetwork
from grokjax.models.roles import role
from grokjax.models.transformer import TransformerNetwork
from grokjax.tasks import Dataset


class RowNetwork(nn.Module):
    """A module of inputs as one of rows: it has the same parameters under the same names."""

    model: Model
    inner: nn.Module
    outputs: tuple[int, ...]
    """Shape of what is made of a row."""

    def setup(self) -> None:
        nn.share_scope(self, self.inner)

    def __call__(self, layout: Layout, rows: jax.Array) -> jax.Array:
        with blamed(self.model):
            logits = self.inner(jnp.asarray(layout.inputs)[rows])
        wanted = (len(rows), *self.outputs)
        if logits.shape != wanted:
            raise ConfigError(
                f"model={self.model.kind!r}: of {len(rows)} rows its network makes "
                f"{list(logits.shape)}, return {list(wanted)}, a logit for every class."
            )
        return logits


@functools.singledispatch
def network(model: Model, dataset: Dataset) -> nn.Module:
    """The module of a model: a layout and rows `[N]` → logits `[N, C]`, or `[N, A, C]`.

    A model from elsewhere says by its method `network` which module takes inputs, tokens `[N, T]`
    or features `[N, F]`, to logits.
    """
    with blamed(model):
        inner = model.network(dataset)
    if not isinstance(inner, nn.Module):
        raise ConfigError(
            f"model={model.kind!r}: its network is a {type(inner).__name__}, return a "
            "flax.linen.Module."
        )
    answers = () if dataset.answers is None else (len(dataset.answers),)
    return RowNetwork(model, inner, (*answers, dataset.n_classes))


@network.register
def _transformer(model: Transformer, dataset: Dataset) -> nn.Module:
    vocabulary, n_classes = dataset.vocabulary, dataset.n_classes
    remedy = f"the table has {vocabulary} tokens but {n_classes} classes, leave it out"
    require(not model.tied or n_classes <= vocabulary, "tied", True, remedy)
    return TransformerNetwork(model, vocabulary, n_classes, dataset.answers)


@network.register
def _mlp(model: MLP, dataset: Dataset) -> nn.Module:
    return MLPNetwork(model, dataset.vocabulary, dataset.n_classes)


@functools.singledispatch
def layout(model: Model, inputs: np.ndarray, answers: tuple[int, ...] | None, rows: int) -> Layout:
    """What of a dataset is computed once, and where: for most models nothing, rows are rows.

    Args:
      model: of the network.
      inputs: of the whole dataset, `[N, T]` or `[N, F]`.
      answers: positions that the logits are read from, where the model does not decide.
      rows: how many rows are evaluated at a time.
    """
    return Layout(inputs, ())


@layout.register
def _layout_of_transformer(
    model: Transformer, inputs: np.ndarray, answers: tuple[int, ...] | None, rows: int
) -> Layout:
    positions = range(inputs.shape[1])
    readout = positions[-1:] if model.readout == "last" else positions
    shares = 0 if model.dropout is not None else rows  # every row draws for itself
    return layout_by_nodes(inputs, model.layers, answers or readout, model.causal, shares)


def init(model: Model, dataset: Dataset, layout: Layout, key: jax.Array) -> dict:
    """Parameters of a fresh network, in the dtype of the model's numbers.

    Drawn in float32 whatever the dtype, so that a run in float64 starts from the same network.

    Args:
      model: its scales are factors on everything but the gains of norms.
      dataset: to be learnt.
      layout: of the dataset.
      key: of the network's random numbers.
    """
    init_scale: Any = model.init_scale
    scales = {
        "embed": model.embed_init_scale,
        "body": model.body_init_scale,
        "unembed": model.unembed_init_scale,
    }
    variables = network(model, dataset).init(key, layout, jnp.zeros(1, jnp.int32))
    if more := sorted(variables.keys() - {"params"}):
        raise ConfigError(
            f"model={model.kind!r}: its network keeps {', '.join(more)} beside its parameters, "
            "which a run does not hold; use layers without a state, LayerNorm for BatchNorm say."
        )

    def scaled(path: tuple, leaf: jax.Array) -> jax.Array:
        if path[-1].key == "scale":
            return leaf.astype(init_scale.dtype)
        return leaf.astype(init_scale.dtype) * init_scale * scales[role(path)]

    return jax.tree_util.tree_map_with_path(scaled, variables["params"])


def apply(
    model: Model,
    dataset: Dataset,
    layout: Layout,
    params: dict,
    rows: jax.Array,
    key: jax.Array | None = None,
) -> jax.Array:
    """Logits `[N, C]` or `[N, A, C]`.

    Args:
      model: of the network.
      dataset: that the rows are of.
      layout: of the dataset.
      params: of the network.
      rows: which rows `[N]` of the dataset.
      key: of dropout, which there is none of without.
    """
    rngs = {} if key is None else {"dropout": key}
    module = network(model, dataset)
    logits: Any = module.apply({"params": params}, layout, rows, rngs=rngs)
    return logits if model.output_scale is None else logits * model.output_scale
