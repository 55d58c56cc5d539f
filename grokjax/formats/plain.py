"""A network as other programs take it: its factors multiplied into its weights, and no more.

Other programs know x · W + b and scores over √(head width). The factors that µP, mean-field
scaling, `embed_scale` and `output_scale` put on linear maps, on scores, on embeddings and on logits
are therefore multiplied into the weights, which leaves the function as it is.

Legend: T positions, D residual width, E head width, C classes.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from grokjax.config import MLP, ConfigError, Model, Transformer
from grokjax.config.identity import defaults
from grokjax.models.attention import ROTARY_BASE
from grokjax.models.roles import multiplier, role, score_scale
from grokjax.models.transformer import sinusoids
from grokjax.tasks import Dataset

Arrays = dict[str, np.ndarray]
"""Name → array."""
Choices = Mapping[str, Iterable[Any] | None]
"""Field of a model → the values of it that can be taken along; None: every one."""
FROM_VECTORS = ("query", "key", "value")
"""Linear maps whose first axis alone is their input; of the others the last alone is the output."""
WITHOUT_EFFECT = (
    "init_scale",
    "embed_init_scale",
    "body_init_scale",
    "unembed_init_scale",
    "init",
    "embed_init",
    "attention_init",
    "frequencies",
    "dropout",
    "dropout_places",
)
"""Fields that say how a network begins or is trained, and nothing of what it computes."""
FACTORS = ("scaling", "base_width", "base_head_width", "embed_scale", "output_scale")
"""Fields whose factors `folded` multiplies into the weights."""
SCALINGS = ("standard", "mup", "mean_field")
SIZES = ("width", "mlp_width", "layers", "heads", "head_width")
COMMON: Choices = dict.fromkeys((*WITHOUT_EFFECT, *FACTORS, *SIZES)) | {"scaling": SCALINGS}
"""Fields that no format has to know of, and sizes, which every one does."""


def named(params: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name, as in `mlp_0/in/weight` → path and array of every parameter."""
    flat, _ = jax.tree_util.tree_flatten_with_path(params)
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return {name(path): (path, leaf) for path, leaf in flat}


class Target(NamedTuple):
    """A format that does not express every network."""

    name: str
    instead: str
    """Which one to take where it does not."""


def check(model: Model, choices: Choices, target: Target) -> None:
    """Refuse a model that a format cannot express.

    A field that is not among the choices has to be at its default: it is an option that came later
    than the format, or a user's own.

    Args:
      model: of the network.
      choices: fields that the format knows, those of `COMMON` left out.
      target: the format.

    Raises:
      ConfigError: it names the field, and what to do instead.
    """
    known, at_default, derived = {**COMMON, **choices}, defaults(type(model)), model.derived()
    for name, value in model.values().items():
        # A field without a default holds what nothing is known of.
        usual = [values[name] for values in (at_default, derived) if name in values]
        allowed = known.get(name, usual)
        if allowed is not None and value not in allowed:
            raise refusal(f"model.{name}", value, target)


def refusal(field: str, value: object, target: Target) -> ConfigError:
    """The sentence that refuses what a format cannot express."""
    return ConfigError(f"{field}={value!r}: {target.name} cannot express it, {target.instead}.")


def folded(model: Transformer | MLP, dataset: Dataset, params: Mapping[str, Any]) -> Arrays:
    """The parameters by grokjax's names, with every factor multiplied in.

    With them every linear map is x · W + b, scores are divided by √E, embeddings are added as they
    are, and what the unembedding gives are the logits. A tied unembedding is written out as
    `unembed/weight` [D, C], sinusoidal positions as `position` [T, D].

    Args:
      model: with the numbers that it has at this step.
      dataset: the table that it is a network for.
      params: nested dictionaries of arrays.
    """
    leaves = named(params)
    arrays = {name: np.array(leaf) for name, (_, leaf) in leaves.items()}
    for name, (path, _) in leaves.items():
        if name.endswith("/weight"):
            arrays[name] *= multiplier(model, role(path), fan_in(name, arrays[name]))
    if model.tied:
        # A factor of its own: the embedding that it is tied to has another one.
        factor = multiplier(model, "unembed", model.width)
        arrays["unembed/weight"] = factor * arrays["embed"][: dataset.n_classes].T
    if isinstance(model, Transformer):
        _fold_transformer(model, dataset, arrays)
    for name in ("unembed/weight", "unembed/bias"):
        if name in arrays and model.output_scale is not None:
            arrays[name] *= model.output_scale
    return arrays


def _fold_transformer(model: Transformer, dataset: Dataset, arrays: Arrays) -> None:
    """Fold what scores and embeddings have, in place."""
    scored = r"norm_query_\d+/" if model.qk_norm else r"attention_\d+/query/"
    for name in arrays:
        if re.match(scored, name):
            arrays[name] *= score_factor(model)
    if model.embed_scale is not None:
        arrays["embed"] *= model.embed_scale
    if model.positions == "sinusoidal":
        places = sinusoids(dataset.inputs.shape[1], model.width)
        arrays["position"] = places.astype(arrays["embed"].dtype)


def score_factor(model: Transformer) -> float:
    """Factor on scores that are divided by √E; with `qk_norm` the gains of queries hold it."""
    return score_scale(model) * math.sqrt(model.size)


def rotary_base(model: Transformer) -> float | None:
    """The base of rotary positions; None without them."""
    if model.positions != "rotary":
        return None
    return ROTARY_BASE if model.rotary_base is None else model.rotary_base


def fan_in(name: str, weight: np.ndarray) -> int:
    """The number of inputs of a linear map.

    Args:
      name: of its weight, as in `attention_0/query/weight`.
      weight: its axes are those of the inputs, then those of the outputs.
    """
    from_a_vector = name.split("/")[-2] in FROM_VECTORS
    return math.prod(weight.shape[: 1 if from_a_vector else -1])


def check_all_taken(left: Mapping[str, Any], target: Target) -> None:
    """Refuse parameters that a format has not asked for: it would compute something else."""
    if left:
        raise refusal("params", ", ".join(left), target)
