"""A convolutional network of one's own on the digits.

Question: does a large initial scale delay a convolutional network on digits, as it does an MLP?

    python -m grokjax.sweep experiments/own_convolution.py

The network is a subclass of `Model`, because it has more to say than a function can: which tasks it
refuses.

Cost: 6 runs of at most 1,000 updates, half a minute on two cores, most of it compilation.
Expectation: later at scale 2 than at 1, by less than the decades that MLPs show at scale 8.
"""

import dataclasses
import math

import flax.linen as nn
import jax.numpy as jnp

from grokjax import AdamW, Digits, Experiment, MeanSquaredError, Model, grid
from grokjax.config.fields import require


class Convolutions(nn.Module):
    """Two 3 × 3 convolutions, a mean over places, logits."""

    channels: int
    classes: int

    @nn.compact
    def __call__(self, pixels):
        side = math.isqrt(pixels.shape[-1])
        x = pixels.reshape(-1, side, side, 1)
        x = nn.relu(nn.Conv(self.channels, (3, 3), name="embed")(x))
        x = nn.relu(nn.Conv(2 * self.channels, (3, 3), strides=(2, 2))(x))
        return nn.Dense(self.classes, name="unembed")(jnp.mean(x, axis=(1, 2)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionalNetwork(Model):
    """A small convolutional network on square pictures (LeCun et al. 1989)."""

    channels: int = 8
    """Of the first convolution; the second has twice as many."""

    def check(self):
        super().check()
        require(self.channels >= 1, "channels", self.channels, "give 1 or more")

    def check_task(self, task):
        remedy = f"{task.kind} has no pictures, give task=Digits() or MNIST(...)"
        require(task.kind in ("digits", "mnist"), "model", self.kind, remedy)

    def network(self, dataset):
        return Convolutions(self.channels, dataset.n_classes)


experiment = Experiment(
    task=Digits(limit=400),
    model=ConvolutionalNetwork(),
    optimizer=AdamW(learning_rate=3e-3, weight_decay=0.1),
    loss=MeanSquaredError(),
    steps=1_000,
    log_every=20,
    sweep=grid(init_scale=[1.0, 2.0], seed=range(3)),
)
