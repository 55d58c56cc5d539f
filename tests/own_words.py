"""Words as a user writes them in an experiment file, for the tests."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from grokjax import Model, own, traced


@own.loss
def softened(logits, targets, *, temperature: float = traced(1.0)):
    """−log softmax(z / T)_y."""
    logs = jax.nn.log_softmax(logits / temperature)
    return -jnp.sum(jax.nn.one_hot(targets, logs.shape[-1], dtype=logs.dtype) * logs, axis=-1)


@own.loss(random=True)
def guessed(logits, targets, key):
    """−π(y), with the gradient of one guess a row that is rewarded where it is right."""
    policy = jax.nn.softmax(logits)
    value = jnp.sum(jax.nn.one_hot(targets, logits.shape[-1], dtype=logits.dtype) * policy, axis=-1)
    if key is None:
        return -value
    guess = jax.random.categorical(key, logits)
    taken = jax.nn.one_hot(guess, logits.shape[-1], dtype=logits.dtype)
    estimate = jnp.where(guess == targets, jnp.log(jnp.sum(taken * policy, axis=-1)), 0)
    return -(jax.lax.stop_gradient(value - estimate) + estimate)


@own.optimizer
def adam(*, b1: float = traced(0.9), b2: float = traced(0.98), eps: float = traced(1e-8)):
    return optax.scale_by_adam(b1=b1, b2=b2, eps=eps)


@own.optimizer
def whole_adam(*, learning_rate: float = traced(1.0)):
    return optax.chain(optax.adam(1.0, b2=0.98), optax.scale(-1.0))


@own.operation
def difference(a, b, *, p):
    return (a - b) % p


@own.gradient_modifier
def clipped(*, bound: float = traced(1.0)):
    return optax.clip_by_global_norm(bound)


@own.instrument
def norms(observed):
    largest = jnp.abs(observed.outputs).max()
    return {"embed": optax.tree.norm(observed.params["embed"]), "logits": [largest, -largest]}


@own.instrument
def trained_accuracy(observed):
    right = observed.outputs.argmax(-1) == jnp.asarray(observed.dataset.targets)
    return jnp.sum(right & observed.trained_on) / jnp.sum(observed.trained_on)


class Recurrent(nn.Module):
    vocabulary: int
    classes: int

    @nn.compact
    def __call__(self, tokens):
        x = nn.Dense(6, use_bias=False, name="embed")(nn.one_hot(tokens, self.vocabulary))
        # Orthogonal weights, the default, are drawn by a library call; states are of the inputs' kind.
        cell = nn.OptimizedLSTMCell(8, recurrent_kernel_init=nn.initializers.lecun_normal())
        states = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)
        x = nn.RNN(cell)(x, initial_carry=jax.tree.map(lambda s: s.astype(x.dtype), states))
        return nn.Dense(self.classes, name="unembed")(x[:, -1])


@own.model
def recurrent(dataset):
    """An LSTM over a row's tokens."""
    return Recurrent(dataset.vocabulary, dataset.n_classes)


class Convolutions(nn.Module):
    strength: float

    @nn.compact
    def __call__(self, pixels):
        x = nn.relu(nn.Conv(4, (3, 3), name="embed")(pixels.reshape(-1, 8, 8, 1)))
        return self.strength * nn.Dense(10, name="unembed")(x.mean(axis=(1, 2)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvolutionalNetwork(Model):
    """A convolution of pictures, by a class and with a number of its own."""

    strength: float = traced(4.0)

    def network(self, dataset):
        return Convolutions(self.strength)
