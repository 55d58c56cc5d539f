"""A network as other programs take it: its factors multiplied into its weights, and no more.

Other programs know x · W + b and scores over √(head width). The factors that µP, mean-field scaling
and `output_scale` put on linear maps, on scores and on logits are therefore multiplied into the
weights, which leaves the function as it is.

Legend: D residual width, E head width, C classes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from grokjax.config import MLP, ConfigError, Model, Transformer
from grokjax.config.identity import defaults
from grokjax.models.roles import multiplier, role, score_scale

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
    "dropout",
)
"""Fields that say how a network begins or is trained, and nothing of what it computes."""
FACTORS = ("scaling", "base_width", "base_head_width", "output_scale")
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


def folded(model: Transformer | MLP, n_classes: int, params: Mapping[str, Any]) -> Arrays:
    """The parameters by grokjax's names, with every factor multiplied in.

    With them every linear map is x · W + b, scores are divided by √E, and what the unembedding
    gives are the logits. A tied unembedding is written out as `unembed/weight`.

    Args:
      model: with the numbers that it has at this step.
      n_classes: C.
      params: nested dictionaries of arrays.
    """
    leaves = named(params)
    arrays = {name: np.array(leaf) for name, (_, leaf) in leaves.items()}
    for name, (path, _) in leaves.items():
        if name.endswith("/weight"):
            arrays[name] *= multiplier(model, role(path), fan_in(name, arrays[name]))
    if isinstance(model, Transformer):
        if model.tied:
            # A factor of its own: the embedding that it is tied to has another one.
            factor = multiplier(model, "unembed", model.width)
            arrays["unembed/weight"] = factor * arrays["embed"][:n_classes].T
        for name in arrays:
            if name.startswith("attention_") and name.split("/")[1] == "query":
                arrays[name] *= score_scale(model) * math.sqrt(model.size)
    for name in ("unembed/weight", "unembed/bias"):
        if name in arrays and model.output_scale is not None:
            arrays[name] *= model.output_scale
    return arrays


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
