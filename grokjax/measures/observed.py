"""What an instrument can look at, and the numbers that it makes of it, by name.

Legend: N rows of the dataset, M training rows with padding, C classes, A answers of a row.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grokjax import models
from grokjax.config import ConfigError, Instrument, Model, Optimizer, Task
from grokjax.config.fields import blamed
from grokjax.config.splits import TEST
from grokjax.models import Layout, Looks
from grokjax.tasks import Dataset

Measures = dict[str, dict[str, jax.Array]]
"""Kind of instrument → name of a measured number, empty if there is but one → the number."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainingRows:
    """The training rows of a run, and padding of weight zero, which may be any row."""

    index: jax.Array  # [M] int32, numbers of the rows in the dataset
    labels: jax.Array  # [M] or [M, A], what they are trained by: some may be noise
    weights: jax.Array  # [M], 1/n for the n training rows, else 0


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """The network of a run at a log point: all that an instrument can use.

    What costs a pass through the network is computed when it is first asked for, and once.
    """

    params: dict
    """The parameters, named as in a snapshot."""
    model: Model
    """The network's configuration, its traced numbers being arrays."""
    task: Task
    dataset: Dataset
    """All rows of the task."""
    layout: Layout
    """Which activations of the dataset are computed once and shared by rows."""
    train: TrainingRows
    row_losses: Callable[[jax.Array, jax.Array], jax.Array]
    """Outputs `[M, C]` or `[M, A, C]` and labels → the loss of each row `[M]`."""
    count_right: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    """Outputs, targets and the weights `[M]` of rows → how many of those that weigh are right."""
    optimizer: Optimizer
    """The optimiser's configuration, its traced numbers being arrays."""
    sets: np.ndarray | None = None
    """The set of each row `[N]` where the split is given: 0 train, 1 test, 2 neither."""
    start: dict | None = None
    """The parameters before the first update; None at log points of training."""
    update: dict | None = None
    """What the next update adds to the parameters; None where the optimiser's state is not."""
    preconditioner: dict | None = None
    """What Adam divides each entry of its update by; None where that is not."""
    end: dict | None = None
    """The parameters of the run's last snapshot; None while it is not there."""
    clipped: Mapping[str, jax.Array] | None = None
    """What clips gradients → share of the updates since the last log point that it has clipped;
    None but at log points of training."""

    @functools.cached_property
    def trained_on(self) -> jax.Array:
        """Whether each row is in the training set, `[N]`."""
        # Rows of weight zero pad the training set and may be any row, so what counts is a maximum.
        weights = jnp.zeros(len(self.dataset.targets), self.train.weights.dtype)
        return weights.at[self.train.index].max(self.train.weights) > 0

    @functools.cached_property
    def tested_on(self) -> jax.Array:
        """Whether each row is in the test set, `[N]`."""
        if self.sets is None:
            return ~self.trained_on
        return jnp.asarray(self.sets == TEST)

    @functools.cached_property
    def outputs(self) -> jax.Array:
        """The logits of every row of the dataset, `[N, C]` or `[N, A, C]`, computed once."""
        return self.looks.outputs

    @functools.cached_property
    def looks(self) -> Looks:
        """The logits of every row, and the activations that they are made of."""
        return self.looks_of(self.params)

    def looks_of(self, params: dict) -> Looks:
        """The logits and activations that other parameters make of every row."""
        return models.look(self.model, self.dataset, self.layout, params)

    def outputs_of(self, params: dict) -> jax.Array:
        """The logits that other parameters make of every row, `[N, C]` or `[N, A, C]`."""
        rows = jnp.arange(len(self.dataset.targets), dtype=jnp.int32)
        return models.apply(self.model, self.dataset, self.layout, params, rows)

    def train_loss(self, params: dict, weights: jax.Array | None = None) -> jax.Array:
        """The mean loss on the training rows, without weight decay, modifiers and dropout.

        Args:
          params: of the network.
          weights: share of each training row `[M]`; None: all count alike.
        """
        arguments = self.model, self.dataset, self.layout, params, self.train.index
        losses = self.row_losses(models.apply(*arguments), self.train.labels)
        return jnp.sum((self.train.weights if weights is None else weights) * losses)

    @functools.cached_property
    def gradient(self) -> dict:
        """The gradient of `train_loss`."""
        return jax.grad(self.train_loss)(self.params)


@functools.singledispatch
def measured(instrument: Instrument, observed: Observed) -> Any:
    """A number, an array, or a dictionary of them; a user's instrument is asked by its method."""
    with blamed(instrument):
        return instrument.measure(observed)


def measure(instruments: tuple[Instrument, ...], observed: Observed) -> Measures:
    """The measurements of all instruments."""
    return {one.kind: _by_part(one.kind, measured(one, observed)) for one in instruments}


def _by_part(kind: str, found: Any) -> dict[str, jax.Array]:
    """Numbers by name: entries of dictionaries by their keys, those of arrays by their indices."""
    if isinstance(found, Mapping):
        inner = {str(name): _by_part(kind, value) for name, value in found.items()}
        return {
            f"{name}.{part}" if part else name: value
            for name, parts in inner.items()
            for part, value in parts.items()
        }
    try:
        array = jnp.asarray(found)
    except TypeError:
        raise ConfigError(
            f"instruments={kind!r}: it gives a {type(found).__name__}, return a number, an "
            "array, or a dictionary of them."
        ) from None
    places = list(np.ndindex(*array.shape)) if array.ndim else [()]
    return {".".join(map(str, place)): array[place] for place in places}
