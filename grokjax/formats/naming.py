"""The arrays of a network by the names of a program, with what its module is made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from grokjax.config import Model
from grokjax.config.coercion import require
from grokjax.formats import lens, plain, torch_weights
from grokjax.tasks import Dataset

Names = Literal["grokjax", "torch", "transformer_lens"]
Named = tuple[plain.Arrays, dict[str, Any]]
"""Arrays by name, and plain settings; none for grokjax's own names."""


def _grokjax(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> Named:
    return {name: np.asarray(leaf) for name, (_, leaf) in plain.named(params).items()}, {}


def _torch(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> Named:
    arrays = torch_weights.arrays(model, dataset, params)
    return arrays, torch_weights.settings(model, dataset)


def _transformer_lens(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> Named:
    return lens.arrays(model, dataset, params), lens.config_of(model, dataset)


WAYS: dict[Names, Callable[[Any, Dataset, Mapping[str, Any]], Named]] = {
    "grokjax": _grokjax,
    "torch": _torch,
    "transformer_lens": _transformer_lens,
}


def arrays_by(names: Names, model: Model, dataset: Dataset, params: Mapping[str, Any]) -> Named:
    """The arrays of a network by the names of a program.

    Args:
      names: one of `Names`.
      model: with the numbers that it has at this step.
      dataset: the table that it is a network for.
      params: nested dictionaries of arrays.

    Raises:
      ConfigError: there are no such names, or they cannot express the model.
    """
    require(names in WAYS, "names", names, f"choose from {', '.join(map(repr, WAYS))}")
    return WAYS[names](model, dataset, params)
