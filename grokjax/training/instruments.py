"""The measurements of instruments: numbers of a network at a log point.

Legend: N rows of the dataset, C classes, A answers of a row.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models
from grokjax.config import ConfigError, Instrument, Model
from grokjax.config.fields import blamed
from grokjax.models import Layout
from grokjax.tasks import Dataset

Measures = dict[str, dict[str, jax.Array]]
"""Kind of instrument → name of a measured number, empty if there is but one → the number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """The network of a run at a log point: all that an instrument can use."""

    params: dict
    """The parameters, named as in a snapshot."""
    model: Model
    """The network's configuration, its traced numbers being arrays."""
    dataset: Dataset
    """All rows of the task."""
    layout: Layout
    """Which activations of the dataset are computed once and shared by rows."""
    trained_on: jax.Array  # [N] bool
    """Whether each row is in the training set."""

    @functools.cached_property
    def outputs(self) -> jax.Array:
        """The logits of every row of the dataset, `[N, C]` or `[N, A, C]`, computed once."""
        rows = jnp.arange(len(self.dataset.targets), dtype=jnp.int32)
        return models.apply(self.model, self.dataset, self.layout, self.params, rows)


def measure(instruments: tuple[Instrument, ...], observed: Observed) -> Measures:
    """The measurements of all instruments."""
    measures = {}
    for instrument in instruments:
        with blamed(instrument):
            measured = instrument.measure(observed)
        measures[instrument.kind] = _by_part(instrument.kind, measured)
    return measures


def _by_part(kind: str, measured: Any) -> dict[str, jax.Array]:
    """Numbers by name: entries of dictionaries by their keys, those of arrays by their indices."""
    if isinstance(measured, Mapping):
        inner = {str(name): _by_part(kind, value) for name, value in measured.items()}
        return {
            f"{name}.{part}" if part else name: value
            for name, parts in inner.items()
            for part, value in parts.items()
        }
    try:
        array = jnp.asarray(measured)
    except TypeError:
        raise ConfigError(
            f"instruments={kind!r}: it gives a {type(measured).__name__}, return a number, an "
            "array, or a dictionary of them."
        ) from None
    places = list(np.ndindex(*array.shape)) if array.ndim else [()]
    return {".".join(map(str, place)): array[place] for place in places}
