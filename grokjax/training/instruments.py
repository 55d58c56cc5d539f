"""What instruments measure of a network at a log point.

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
"""Kind of instrument → part of what it measures → a number."""


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """The network of a run at a log point, as its instruments observe it."""

    params: dict
    """The parameters, named as in a snapshot."""
    model: Model
    dataset: Dataset
    layout: Layout
    trained_on: jax.Array  # [N], whether a row is in the training set

    @functools.cached_property
    def outputs(self) -> jax.Array:
        """The logits of every row of the dataset, `[N, C]` or `[N, A, C]`, computed once."""
        rows = jnp.arange(len(self.dataset.targets), dtype=jnp.int32)
        return models.apply(self.model, self.dataset, self.layout, self.params, rows)


def measure(instruments: tuple[Instrument, ...], observed: Observed) -> Measures:
    """What each instrument measures of the network."""
    measures = {}
    for instrument in instruments:
        with blamed(instrument):
            measured = instrument.measure(observed)
        measures[instrument.kind] = _by_part(instrument.kind, measured)
    return measures


def _by_part(kind: str, measured: Any) -> dict[str, jax.Array]:
    """Numbers by part: those of a dictionary by its names, those of an array by their places."""
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
