"""Words of one's own, and the greatest common divisor.

Question: does a focal loss, or clipping the gradient, delay an LSTM that learns gcd(a, b) mod 23?

    python -m grokjax.sweep experiments/own_words.py

Task, network, loss and optimiser are functions of this file. `gamma` and `clip` are declared as
traced numbers, so they are axes of one compiled program, as grokjax's own are.

Cost: 12 runs of at most 2,000 updates, 20 s on two cores, most of it compilation and figures.
Expectation: neither matters much. It is an example and no finding: three seeds a cell are too few.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from grokjax import Experiment, Thresholds, grid, own, traced


@own.operation
def gcd(a, b, *, p):
    """gcd(a, b) mod p, with gcd(0, 0) = 0."""
    return np.gcd(a, b) % p


class LSTM(nn.Module):
    """Embeddings, one LSTM, logits of its last state.

    Embeddings are a product with one-hot tokens: the gradient of an index array is a sum that
    accelerators add up in any order, and a run would not have the same bits twice.
    """

    vocabulary: int
    classes: int
    width: int

    @nn.compact
    def __call__(self, tokens):
        x = nn.Dense(self.width, use_bias=False, name="embed")(nn.one_hot(tokens, self.vocabulary))
        cell = nn.OptimizedLSTMCell(self.width)
        # States start in float32 whatever the experiment's dtype is.
        states = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)
        x = nn.RNN(cell)(x, initial_carry=jax.tree.map(lambda s: s.astype(x.dtype), states))
        return nn.Dense(self.classes, name="unembed")(x[:, -1])


@own.model
def lstm(dataset, *, width: int = 32):
    """An LSTM over a row's tokens (Hochreiter & Schmidhuber 1997)."""
    return LSTM(dataset.vocabulary, dataset.n_classes, width)


@own.loss
def focal(logits, targets, *, gamma: float = traced(2.0)):
    """(1 − p_y)^γ · −log p_y (Lin et al. 2017); γ = 0 is cross-entropy."""
    logs = jax.nn.log_softmax(logits)
    log_p = jnp.sum(jax.nn.one_hot(targets, logs.shape[-1], dtype=logs.dtype) * logs, axis=-1)
    # Never exactly zero, whose power has no derivative once a row is certain.
    missed = jnp.maximum(-jnp.expm1(log_p), jnp.finfo(logs.dtype).tiny)
    return -(missed**gamma) * log_p


@own.optimizer
def clipped_adam(*, clip: float = traced(1.0), b2: float = traced(0.98)):
    """Adam after clipping the norm of the gradient, as a chain of optax."""
    return optax.chain(optax.clip_by_global_norm(clip), optax.scale_by_adam(b2=b2))


@own.instrument
def margins(observed):
    """Smallest and mean margin of the right class over the best other one."""
    targets = jnp.asarray(observed.dataset.targets)
    right = jax.nn.one_hot(targets, observed.dataset.n_classes, dtype=bool)
    of_right = jnp.sum(jnp.where(right, observed.outputs, 0), axis=-1)
    margin = of_right - jnp.max(jnp.where(right, -jnp.inf, observed.outputs), axis=-1)
    return {"smallest": margin.min(), "mean": margin.mean()}


experiment = Experiment(
    task=gcd(p=23),
    model=lstm(),
    loss=focal(),
    optimizer=clipped_adam(learning_rate=3e-3, weight_decay=0.3),
    instruments=(margins,),
    train_fraction=0.7,
    steps=2_000,
    log_every=20,
    thresholds=Thresholds(gap_rule="ratio"),
    sweep=grid(gamma=[0.0, 2.0], clip=[0.1, 10.0], seed=range(3)),
)
