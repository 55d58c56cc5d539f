"""An autoencoder over a product of latent factors, with combinations held out.

Question:     does a bottleneck that has seen some combinations of factors reconstruct the others,
              at once or long after, and are its units then the factors, one each?
Command:      python -m grokjax.sweep experiments/beyond/autoencoder.py
Cost:         20 runs of 4,000 updates, about four minutes on two CPU cores.
Expectation:  at the usual initial scale both come together, for the map is smooth; from larger
              weights the others come later, if weights decay. Units are rotations of factors.

An observation is a fixed random nonlinear map of its factors, standardised. A row is right when the
root mean square of its error is below the tolerance. The instrument `mutual_information_gap` says
how far each factor has a unit of the bottleneck to itself.
"""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grokjax import AdamW, Experiment, MeanSquaredError, Task, Thresholds, grid, own
from grokjax.config.fields import require
from grokjax.tasks import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class Vectors(Dataset):
    """Rows whose targets are vectors; there is no guess that fits many of them."""

    @property
    def chance(self):
        """Share of rows that the mean observation is right for, which none is."""
        return 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Factors(Task):
    """Observations of every combination of the values of some factors, to be reconstructed.

    A factor has evenly spaced values from -1 to 1. They go through a random layer of tanh units and
    a random linear map to the observation x, which is standardised entry by entry.
    """

    target_kind: ClassVar[str] = "real"
    encoding: ClassVar[str] = "features"

    factors: int = 3
    """Number of factors."""
    levels: int = 8
    """Number of values of each."""
    observed: int = 24
    """Number of entries of an observation."""
    gain: float = 2.0
    """Standard deviation of what reaches a tanh unit from factors at their ends."""
    tolerance: float = 0.2
    """Largest root mean square error of a row that is right, in standard deviations of an entry."""
    table_seed: int = 0
    """Seed of the map from factors to observations."""

    def check(self):
        require(self.factors >= 1, "factors", self.factors, "give 1 or more")
        require(self.levels >= 2, "levels", self.levels, "give 2 or more")
        require(self.observed >= 1, "observed", self.observed, "give 1 or more")
        require(self.gain > 0, "gain", self.gain, "give a positive number")
        require(self.tolerance > 0, "tolerance", self.tolerance, "give a positive number")

    @property
    def n_rows(self):
        return self.levels**self.factors

    def combinations(self):
        """The value of every factor of every row `[N, factors]`."""
        shape = (self.levels,) * self.factors
        return np.stack(np.unravel_index(np.arange(self.n_rows), shape), axis=1)

    def dataset(self):
        rng, hidden = np.random.default_rng(self.table_seed), 4 * self.observed
        u = 2 * self.combinations() / (self.levels - 1) - 1
        into = self.gain * rng.normal(size=(self.factors, hidden)) / self.factors**0.5
        out = rng.normal(size=(hidden, self.observed))
        x = np.tanh(u @ into + rng.normal(size=hidden)) @ out
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        return Vectors(
            inputs=x,
            targets=x,
            vocabulary=0,
            n_classes=1,
            answers=tuple(range(self.observed)),
        )

    def right(self, outputs, targets):
        return jnp.mean(jnp.square(outputs[..., 0] - targets), axis=-1) <= self.tolerance**2


class Bottleneck(nn.Module):
    """x → hidden layer → code → hidden layer → x."""

    observed: int
    code: int
    hidden: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(self.hidden, name="embed")(x))
        z = nn.Dense(self.code, name="code")(x)
        self.sow("looks", "neurons", z)
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(z))
        return nn.Dense(self.observed, name="unembed")(x)[..., None]


@own.model
def autoencoder(dataset, *, code: int = 4, hidden: int = 64):
    """An encoder and a decoder of one hidden layer each, with a few units between them."""
    return Bottleneck(len(dataset.answers), code, hidden)


def shared_bits(code, values, levels, bins=20):
    """Mutual information `[D, K]` of each unit of a code and each factor, over all rows, in nats.

    Units are cut into bins of equal width from their smallest to their largest value.

    Args:
      code: values of the units `[N, D]`.
      values: of the factors `[N, K]`.
      levels: number of values that a factor has.
      bins: number of bins.
    """
    low, high = code.min(axis=0), code.max(axis=0)
    width = jnp.where(high > low, high - low, 1)
    bin_of = jnp.clip(jnp.floor((code - low[None]) / width[None] * bins), 0, bins - 1)
    in_bin = jax.nn.one_hot(bin_of.astype(jnp.int32), bins, dtype=code.dtype)
    has_value = jax.nn.one_hot(values, levels, dtype=code.dtype)
    joint = jnp.einsum("ndb,nkv->dkbv", in_bin, has_value) / len(code)
    alone = joint.sum(axis=3, keepdims=True) * joint.sum(axis=2, keepdims=True)
    return jnp.sum(jax.scipy.special.xlogy(joint, jnp.where(joint > 0, joint / alone, 1)), (2, 3))


@own.instrument(cadence="table")
def mutual_information_gap(observed):
    """MIG (Chen et al. 2018): mean over factors of (I_first − I_second) / H, 1 for a unit each.

    I_first and I_second are the two largest mutual informations of the factor with a unit, in 20
    bins (Locatello et al. 2019), over all rows.
    """
    task = observed.task
    shared = shared_bits(observed.looks.neurons, task.combinations(), task.levels)
    ordered = jnp.sort(shared, axis=0)
    return jnp.mean(ordered[-1] - ordered[-2]) / np.log(task.levels)


experiment = Experiment(
    task=Factors(),
    model=autoencoder(),
    optimizer=AdamW(learning_rate=3e-3, b2=0.98),
    loss=MeanSquaredError(),
    instruments=(mutual_information_gap,),
    train_fraction=0.25,
    steps=4_000,
    log_every=20,
    settle_steps=None,
    thresholds=Thresholds(gap_rule="ratio", gap_ratio=5),
    sweep=grid(init_scale=[1.0, 3.0], weight_decay=[0.03, 0.3], seed=range(5)),
)
