"""The role of a parameter, read off its path, and what it means for scales and learning rates.

| scaling | embeddings, first layer | body | unembedding |
|---|---|---|---|
| standard | as drawn | as drawn | as drawn |
| mup | SGD's rate × m | Adam's rate / m | drawn √m wider, map / m, SGD's rate × m |
| mean_field | N(0, 1), map / √fan_in | N(0, 1), map / √fan_in | N(0, 1), map / fan_in |

m is the width over `base_width`, of an MLP its hidden width. µP is table 8 of Yang et al. 2022.
Where embeddings are drawn with variance 1/width they are drawn √m wider too, so that theirs does
not depend on the width; biases have the rate of embeddings, but for the last one. Scores are
divided by the head width over √`base_head_width`. Decoupled decay takes the same share of every
weight: its factor makes up for that of the rate.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import jax

from grokjax.config import Model, Network, Transformer

Role = Literal["embed", "body", "unembed"]
FIRST: dict[str, Role] = {"embed": "embed", "position": "embed", "unembed": "unembed"}
VECTORS = ("bias", "scale")
GATE = "_gate"
"""Suffix of the second half of a gated layer."""


def keys(path: tuple[Any, ...]) -> tuple[str, ...]:
    """The names along a path in a tree of parameters."""
    return tuple(str(part.key) for part in path)


def role(path: tuple[Any, ...]) -> Role:
    """Where in the network a parameter is: in embeddings, body or last layer."""
    return FIRST.get(keys(path)[0].removesuffix(GATE), "body")


def group(path: tuple[Any, ...]) -> str:
    """The group of a parameter in `ParameterGroups`: its role, or `bias` for biases and gains."""
    return "bias" if keys(path)[-1] in VECTORS else role(path)


def multiplier(model: Network, of: Role, fan_in: int) -> float:
    """Factor on the outputs of a linear map, before the bias.

    Args:
      model: its scaling decides.
      of: role of the map.
      fan_in: number of its inputs.
    """
    if model.scaling == "mean_field":
        return 1 / fan_in if of == "unembed" else 1 / math.sqrt(fan_in)
    return 1 / model.width_ratio if of == "unembed" else 1.0


def init_factor(model: Network, of: Role) -> float:
    """Factor that µP puts on the standard deviation of the initial weights of a role."""
    embeds = of == "embed" and model.residual and model.init != "torch"
    return math.sqrt(model.width_ratio) if embeds or of == "unembed" else 1.0


def score_scale(model: Transformer) -> float:
    """Factor on the products of queries and keys."""
    if model.scaling == "mup":
        return math.sqrt(model.base_head_width) / model.size
    return 1 / math.sqrt(model.size)


def rates(model: Model, params: dict, adaptive: bool) -> Any:
    """Factor on the learning rate of every parameter; all are 1 without µP.

    Args:
      model: its scaling decides.
      params: the parameters, whose structure the factors have.
      adaptive: whether the optimiser is indifferent to the length of gradients, as Adam is.
    """
    m = model.width_ratio

    def rate(path: tuple, _: Any) -> float:
        if adaptive:
            return 1 / m if group(path) == "body" else 1.0
        last_bias = role(path) == "unembed" and group(path) == "bias"
        return 1.0 if group(path) == "body" or last_bias else m

    return jax.tree_util.tree_map_with_path(rate, params)
