"""A transformer with AdamW in plain NumPy, written from the formulas and sharing no code.

Gradients come from central differences in float64, so the reference needs no calculus
of its own; it is slow, and meant for networks of a few hundred weights.
"""

import math

import numpy as np


def erf(x):
    """The error function, elementwise."""
    return np.vectorize(math.erf)(x)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "square": lambda x: x**2,
}


def linear(p, x):
    """x [..., inputs] through p's matrix, flattened to two axes."""
    weight = p["weight"]
    inputs = x.shape[-1] if weight.shape[0] == x.shape[-1] else None
    assert inputs is not None
    y = x @ weight.reshape(inputs, -1)
    return y + p["bias"].reshape(-1) if "bias" in p else y


def norm(kind, p, x):
    """LayerNorm or RMSNorm over the last axis."""
    if kind == "rms":
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p["scale"]
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * p["scale"]
    return y + p["bias"] if "bias" in p else y


def attention(model, p, x):
    """Every row and head in a loop: x [N, T, D] → [N, T, D]."""
    n, t, _ = x.shape
    heads = model.heads
    q, k, v = (linear(p[name], x).reshape(n, t, heads, -1) for name in ("query", "key", "value"))
    mixed = np.zeros_like(q)
    for row in range(n):
        for head in range(heads):
            for at in range(t):
                seen = at + 1 if model.causal else t
                scores = k[row, :seen, head] @ q[row, at, head] / np.sqrt(q.shape[-1])
                weights = np.exp(scores - scores.max())
                mixed[row, at, head] = (weights / weights.sum()) @ v[row, :seen, head]
    out = {"weight": p["output"]["weight"].reshape(-1, model.width)}
    if "bias" in p["output"]:
        out["bias"] = p["output"]["bias"]
    return linear(out, mixed.reshape(n, t, -1))


def logits(model, params, tokens, n_classes):
    """tokens [N, T] → [N, C]; every position is computed."""
    x = params["embed"][tokens] + params["position"]
    for layer in range(model.layers):
        for kind in ("attention", "mlp"):
            p, name = params[f"{kind}_{layer}"], f"norm_{kind}_{layer}"
            pre = model.norm in ("pre", "rms")
            y = norm(model.norm, params[name], x) if pre else x
            if kind == "attention":
                y = attention(model, p, y)
            else:
                y = linear(p["out"], ACTIVATIONS[model.activation](linear(p["in"], y)))
            x = x + y
            if model.norm == "post":
                x = norm("post", params[name], x)
    if model.final_norm:
        x = norm(model.norm, params["final_norm"], x)
    x = x[:, -1] if model.readout == "last" else x.mean(axis=1)
    return x @ params["embed"][:n_classes].T if model.tied else linear(params["unembed"], x)


def cross_entropy(logits, targets):
    """Mean of -log softmax(logits)[target]."""
    shifted = logits - logits.max(-1, keepdims=True)
    log_z = np.log(np.exp(shifted).sum(-1))
    return float(np.mean(log_z - shifted[np.arange(len(targets)), targets]))


class AdamW:
    """Loshchilov & Hutter 2019, algorithm 2, with η_t = min(1, t / warmup)."""

    def __init__(self, size, *, learning_rate, weight_decay, b1, b2, eps, warmup_steps):
        self.m, self.v, self.t = np.zeros(size), np.zeros(size), 0
        self.lr, self.wd, self.b1, self.b2 = learning_rate, weight_decay, b1, b2
        self.eps, self.warmup = eps, warmup_steps

    def step(self, weights, gradient):
        """The weights after one update."""
        self.t += 1
        self.m = self.b1 * self.m + (1 - self.b1) * gradient
        self.v = self.b2 * self.v + (1 - self.b2) * gradient**2
        m, v = self.m / (1 - self.b1**self.t), self.v / (1 - self.b2**self.t)
        rate = self.lr * (min(1, self.t / self.warmup) if self.warmup else 1)
        return weights - rate * (m / (np.sqrt(v) + self.eps) + self.wd * weights)
