"""The same training step as JAX users write it: a jitted step over all positions of all rows.

It shares no code with grokjax's network: it is the other side of a comparison.

Legend: N rows, T positions, S positions seen, D residual width, H heads, E head width, V tokens,
C classes, F hidden units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax

from grokjax.bench.contender import Contender, Workload
from grokjax.config import MeanSquaredError, Transformer


def layer_norm(params: dict, x: jax.Array) -> jax.Array:
    """LayerNorm over the last axis, without bias."""
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * params["scale"]


def attention(model: Transformer, params: dict, x: jax.Array) -> jax.Array:
    """Multi-head self-attention, x `[N, T, D]` → `[N, T, D]`."""
    query, key, value = (
        jnp.einsum("ntd,dhe->nthe", x, params[name]["weight"]) for name in ("query", "key", "value")
    )
    scores = jnp.einsum("nthe,nshe->nhts", query, key) / jnp.sqrt(query.shape[-1])
    if model.causal:
        mask = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        scores = jnp.where(mask, scores, -jnp.inf)
    mixed = jnp.einsum("nhts,nshe->nthe", jax.nn.softmax(scores), value)
    return jnp.einsum("nthe,hed->ntd", mixed, params["output"]["weight"])


def transformer(model: Transformer, params: dict, tokens: jax.Array) -> jax.Array:
    """Tokens `[N, T]` → logits `[N, C]`."""
    x = params["embed"][tokens] + params["position"]
    for layer in range(model.layers):
        y = x if model.norm == "none" else layer_norm(params[f"norm_attention_{layer}"], x)
        x = x + attention(model, params[f"attention_{layer}"], y)
        y = x if model.norm == "none" else layer_norm(params[f"norm_mlp_{layer}"], x)
        mlp = params[f"mlp_{layer}"]
        x = x + jax.nn.relu(y @ mlp["in"]["weight"]) @ mlp["out"]["weight"]
    x = x[:, -1] if model.readout == "last" else x.mean(1)
    return x @ params["unembed"]["weight"]


def dense(params: dict, x: jax.Array) -> jax.Array:
    """A linear map of x `[N, ·]`, with a bias if it has one."""
    y = x @ params["weight"].reshape(x.shape[1], -1)
    return y + params["bias"] if "bias" in params else y


def perceptron(params: dict, tokens: jax.Array) -> jax.Array:
    """Tokens `[N, T]` → logits `[N, C]`: embeddings side by side, then one layer of ReLU units."""
    x = params["embed"][tokens].reshape(len(tokens), -1)
    return dense(params["unembed"], jax.nn.relu(dense(params["hidden_0"], x)))


def quadratic(params: dict, inputs: jax.Array) -> jax.Array:
    """One-hot tokens `[N, T · V]` → outputs `[N, C]`: h = (x W / √(T · V))², h W' / F."""
    hidden = (dense(params["embed"], inputs) / jnp.sqrt(inputs.shape[1])) ** 2
    return dense(params["unembed"], hidden) / hidden.shape[1]


def network(workload: Workload) -> tuple[Callable[[dict, jax.Array], jax.Array], jax.Array]:
    """Parameters and inputs → logits, and the inputs."""
    tokens = jnp.asarray(workload.tokens)
    if isinstance(workload.model, Transformer):
        return partial(transformer, workload.model), tokens
    if workload.model.token_inputs == "one_hot":
        return quadratic, jax.nn.one_hot(tokens, workload.vocabulary).reshape(len(tokens), -1)
    return perceptron, tokens


def contender(workload: Workload) -> Contender:
    """A loop over a jitted step."""
    o = workload.optimizer
    optimizer = optax.adamw(o.learning_rate, o.b1, o.b2, o.eps, weight_decay=o.weight_decay)
    logits, inputs = network(workload)
    losses_of = optax.softmax_cross_entropy_with_integer_labels
    targets = jnp.asarray(workload.targets)
    if isinstance(workload.loss, MeanSquaredError):
        losses_of, targets = optax.squared_error, jax.nn.one_hot(targets, workload.n_classes)

    @jax.jit
    def step(params: dict, state: optax.OptState) -> tuple[dict, optax.OptState, jax.Array]:
        def loss(params: dict) -> jax.Array:
            return losses_of(logits(params, inputs), targets).mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    params = jax.tree.map(jnp.asarray, workload.params)
    state = optimizer.init(params)

    def steps(count: int) -> list[float]:
        nonlocal params, state
        losses = []
        for _ in range(count):
            params, state, loss = step(params, state)
            losses.append(loss)
        return [float(loss) for loss in losses]

    return Contender("plain JAX", 1, steps)
