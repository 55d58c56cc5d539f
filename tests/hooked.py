"""What the names and settings of a HookedTransformer mean, in plain NumPy.

Written from the documentation of TransformerLens, and sharing no code with it or with grokjax.
"""

import math

import numpy as np
from reference import ACTIVATIONS

NAMES = {"gelu_new": "gelu_tanh"}
"""Name of an activation there → its name in the reference."""


def norm(config, state, name, x):
    """LayerNorm, RMSNorm or nothing over the last axis of x [N, T, D]."""
    kind = config["normalization_type"]
    if kind is None:
        return x
    x = x - x.mean(-1, keepdims=True) if kind == "LN" else x
    y = x / np.sqrt((x**2).mean(-1, keepdims=True) + config["eps"]) * state[f"{name}.w"]
    return y + state[f"{name}.b"] if kind == "LN" else y


def turned(config, x):
    """x [N, T, H, E] by rotary positions, neighbouring entries together."""
    assert config["rotary_adjacent_pairs"]
    powers = np.arange(0, x.shape[-1], 2) / x.shape[-1]
    angles = np.arange(x.shape[1])[:, None] / config["rotary_base"] ** powers
    pairs = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles)[:, None]
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


def hidden_layer(config, state, name, x):
    """What a hidden layer, gated or not, makes of x [N, T, D]."""
    activation = ACTIVATIONS[NAMES.get(config["act_fn"], config["act_fn"])]
    up = x @ state[f"{name}.W_in"]
    if config["gated_mlp"]:
        hidden = activation(x @ state[f"{name}.W_gate"]) * up + state.get(f"{name}.b_in", 0)
    else:
        hidden = activation(up + state[f"{name}.b_in"])
    return hidden @ state[f"{name}.W_out"] + state.get(f"{name}.b_out", 0)


def logits(config, state, tokens):
    """tokens [N, T] → [N, T, C], at every position."""
    t = tokens.shape[1]
    x = state["embed.W_E"][tokens]
    rotary = config["positional_embedding_type"] == "rotary"
    x = x if rotary else x + state["pos_embed.W_pos"]
    for layer in range(config["n_layers"]):
        block = f"blocks.{layer}"
        y = norm(config, state, f"{block}.ln1", x)
        q, k, v = (
            np.einsum("ntd,hde->nthe", y, state[f"{block}.attn.W_{letter}"])
            + state[f"{block}.attn.b_{letter}"]
            for letter in "QKV"
        )
        q, k = (turned(config, q), turned(config, k)) if rotary else (q, k)
        scores = np.einsum("nqhe,nkhe->nhqk", q, k) / math.sqrt(config["d_head"])
        if config["attention_dir"] == "causal":
            scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        z = np.einsum("nhqk,nkhe->nqhe", powers / powers.sum(-1, keepdims=True), v)
        x = x + np.einsum("nqhe,hed->nqd", z, state[f"{block}.attn.W_O"])
        x = x + state[f"{block}.attn.b_O"]
        y = norm(config, state, f"{block}.ln2", x)
        x = x + hidden_layer(config, state, f"{block}.mlp", y)
    x = norm(config, state, "ln_final", x)
    return x @ state["unembed.W_U"] + state["unembed.b_U"]
