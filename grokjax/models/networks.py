"""From a model to its Flax module, its layout, its parameters and its outputs.

Other packages use these functions and never Flax itself.

Legend: N rows, T positions, I features, C classes, A answers.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax.config import MLP, ConfigError, Model, Network, Transformer
from grokjax.config.coercion import require
from grokjax.config.fields import blamed
from grokjax.models.layout import Layout, layout_by_nodes
from grokjax.models.looks import ABLATIONS, LOOKS, Looks, looks_of
from grokjax.models.perceptron import MLPNetwork
from grokjax.models.roles import role
from grokjax.models.transformer import TransformerNetwork
from grokjax.tasks import Dataset


class RowNetwork(nn.Module):
    """A user's module, which takes inputs, wrapped to take a layout and numbers of rows.

    Its parameters have the same names as without the wrapper.
    """

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

    A user's model is asked through its method `network`, whose module takes inputs, tokens
    `[N, T]` or features `[N, I]`, to logits.
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


def _check_embeddings(model: Network, dataset: Dataset) -> None:
    """Refuse tied or special embeddings that a dataset has not the tokens for."""
    vocabulary, n_classes = dataset.vocabulary, dataset.n_classes
    remedy = f"the table has {vocabulary} tokens but {n_classes} classes, leave it out"
    require(not model.tied or n_classes <= vocabulary, "tied", True, remedy)
    waves = model.embed_init == "frequencies"
    require(not waves or n_classes <= vocabulary, "embed_init", model.embed_init, remedy)


@network.register
def _transformer(model: Transformer, dataset: Dataset) -> nn.Module:
    _check_embeddings(model, dataset)
    return TransformerNetwork(model, dataset.vocabulary, dataset.n_classes, dataset.answers)


@network.register
def _mlp(model: MLP, dataset: Dataset) -> nn.Module:
    _check_embeddings(model, dataset)
    return MLPNetwork(model, dataset.vocabulary, dataset.n_classes)


@functools.singledispatch
def layout(model: Model, inputs: np.ndarray, answers: tuple[int, ...] | None, rows: int) -> Layout:
    """Which activations of a dataset are computed once and shared by rows: for most models none.

    Args:
      model: the network's configuration.
      inputs: all rows of the dataset, tokens `[N, T]` or features `[N, I]`.
      answers: positions that the logits are read from; None: the model decides.
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
      model: the network's configuration; its scales multiply all but the gains of norms.
      dataset: the table to learn.
      layout: the layout of the dataset for this model.
      key: key of the random numbers to draw.
    """
    init_scale: Any = model.init_scale
    scales = {
        "embed": model.embed_init_scale,
        "body": model.body_init_scale,
        "unembed": model.unembed_init_scale,
    }
    variables = network(model, dataset).init(key, layout, jnp.zeros(1, jnp.int32))
    if more := sorted(variables.keys() - {"params", LOOKS}):  # what is shown is not kept
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
    ablations: dict | None = None,
) -> jax.Array:
    """Logits `[N, C]` or `[N, A, C]`.

    Args:
      model: the network's configuration.
      dataset: the table that the rows are from.
      layout: the layout of the dataset for this model.
      params: the network's parameters.
      rows: numbers of the rows in the dataset `[N]`.
      key: key of dropout; None: no dropout.
      ablations: name of a module → name of an activation → `keep` and `fill`, of which the
        activation x becomes keep · x + fill.
    """
    rngs = {} if key is None else {"dropout": key}
    module = network(model, dataset)
    variables = {"params": params, **({ABLATIONS: ablations} if ablations else {})}
    logits: Any = module.apply(variables, layout, rows, rngs=rngs)
    return logits if model.output_scale is None else logits * model.output_scale


def look(model: Model, dataset: Dataset, layout: Layout, params: dict) -> Looks:
    """Logits of every row of a dataset, with the activations of the network.

    Args:
      model: the network's configuration.
      dataset: the table.
      layout: the layout of the dataset for this model.
      params: the network's parameters.
    """
    rows = jnp.arange(len(dataset.targets), dtype=jnp.int32)
    module = network(model, dataset)
    logits, shown = module.apply({"params": params}, layout, rows, mutable=[LOOKS])
    logits = logits if model.output_scale is None else logits * model.output_scale
    return looks_of(logits, shown.get(LOOKS, {}))


def plain_layout(model: Model, dataset: Dataset, all_positions: bool = False) -> Layout:
    """The layout in which every row computes all of its activations itself.

    Args:
      model: the network's configuration.
      dataset: the table.
      all_positions: whether the last layer computes all positions, instead of those it reads.
    """
    if all_positions:
        positions = tuple(range(dataset.inputs.shape[1]))
        return layout(model, dataset.inputs, positions, 0)
    return layout(model, dataset.inputs, dataset.answers, 0)
