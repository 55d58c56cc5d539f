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
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "square": lambda x: x**2,
    "identity": lambda x: x,
}


def linear(p, x):
    """x [..., inputs] through p's matrix, flattened to two axes."""
    weight = p["weight"]
    inputs = x.shape[-1] if weight.shape[0] == x.shape[-1] else None
    assert inputs is not None
    y = x @ weight.reshape(inputs, -1)
    return y + p["bias"].reshape(-1) if "bias" in p else y


def norm(model, params, name, x):
    """LayerNorm or RMSNorm over the last axis, by the parameters of a name, which may be none."""
    p = params.get(name, {})
    centred = x if "rms" in (model.norm, model.norm_kind) else x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + model.norm_epsilon)
    return y * p.get("scale", 1) + p.get("bias", 0)


def wider(model):
    """How much wider than its base a network in µP is."""
    return model.width / model.base_width if model.scaling == "mup" else 1


def turned(x, base):
    """x [N, T, H, E] as complex numbers, each turned by position · base^(−2i/E)."""
    half = x.shape[-1] // 2
    angles = np.arange(x.shape[1])[:, None] / (base or 1e4) ** (2 * np.arange(half) / x.shape[-1])
    return (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angles)[:, None]


def products(model, q, k):
    """q, k [N, T, H, E] → scores [N, H, T asked, T seen]."""
    if model.positions == "rotary":
        q, k = (turned(x, model.rotary_base) for x in (q, k))
        return np.einsum("nqhe,nkhe->nhqk", q, k.conj()).real
    return np.einsum("nqhe,nkhe->nhqk", q, k)


def attention(model, params, layer, x):
    """x [N, T, D] → [N, T, D], a position at a time."""
    n, t, _ = x.shape
    p, normal = params[f"attention_{layer}"], norm(model, params, f"norm_attention_{layer}", x)
    parts = {"queries_keys": ["query", "key"], "values": ["value"]}.get(model.norm, [])
    headed = ["query", "key"] * model.qk_norm + ["value"] * model.value_norm

    def project(name):
        y = linear(p[name], normal if name in parts else x).reshape(n, t, model.heads, -1)
        return norm(model, params, f"norm_{name}_{layer}", y) if name in headed else y

    v = project("value")
    mixed = np.zeros_like(v)
    if model.attention == "softmax":
        size = v.shape[-1]
        scale = np.sqrt(model.base_head_width) / size if model.scaling == "mup" else size**-0.5
        scores = products(model, project("query"), project("key")) * scale
    for at in range(t):
        seen = at + 1 if model.causal else t
        weights = np.full((n, model.heads, seen), 1 / seen)
        if model.attention == "softmax":
            powers = np.exp(scores[:, :, at, :seen])
            rate = 1 if model.attention_rate is None else model.attention_rate
            weights = rate * powers / powers.sum(-1, keepdims=True) + (1 - rate) * weights
        mixed[:, at] = np.einsum("nhk,nkhe->nhe", weights, v[:, :seen])
    out = {"weight": p["output"]["weight"].reshape(-1, model.width)}
    if "bias" in p["output"]:
        out["bias"] = p["output"]["bias"]
    return linear(out, mixed.reshape(n, t, -1))


def logits(model, params, tokens, n_classes):
    """tokens [N, T] → [N, C]; every position is computed."""
    x = params["embed"][tokens] * (model.embed_scale or 1)
    if model.positions == "learned":
        x = x + params["position"]
    if model.positions == "sinusoidal":
        for at in range(tokens.shape[1]):
            for i in range(0, model.width, 2):
                angle = at / 10000 ** (i / model.width)
                x[:, at, i] += np.sin(angle)
                if i + 1 < model.width:
                    x[:, at, i + 1] += np.cos(angle)
    for layer in range(model.layers):
        for kind in ("attention", "mlp"):
            p, name = params[f"{kind}_{layer}"], f"norm_{kind}_{layer}"
            pre = model.norm in ("pre", "rms", "peri", "stream", kind)
            y = norm(model, params, name, x) if pre else x
            if model.norm == "stream" and kind == "attention":
                x = y
            if kind == "attention":
                y = attention(model, params, layer, y)
            else:
                hidden = ACTIVATIONS[model.activation](linear(p["in"], y))
                y = linear(p["out"], hidden * (linear(p["in_gate"], y) if model.gated else 1))
            if model.norm == "peri":
                y = norm(model, params, f"{name}_inside", y)
            x = x + y
            if model.norm == "post":
                x = norm(model, params, name, x)
    if model.final_norm:
        x = norm(model, params, "final_norm", x)
    x = x[:, -1] if model.readout == "last" else x.mean(axis=1)
    if model.tied:
        y = x @ params["embed"][:n_classes].T
    else:
        y = linear({"weight": params["unembed"]["weight"]}, x)
    y = y / wider(model) + params.get("unembed", {}).get("bias", 0)
    return y * (model.output_scale or 1)


def mlp_logits(model, params, inputs, n_classes):
    """Tokens [N, T] or features [N, F] → [N, C], from one-hot vectors and embeddings."""
    act = ACTIVATIONS[model.activation]
    field = model.scaling == "mean_field"
    tokens = inputs.dtype.kind == "i"

    def first(suffix):
        """Weights of the first layer and its inputs, both flat."""
        n = len(inputs)
        if not tokens:
            return params["embed" + suffix], inputs
        if model.token_inputs == "one_hot":
            p = params[("embed" if model.layers else "unembed") + suffix]
            hot = np.eye(p["weight"].shape[1])[inputs].reshape(n, -1)
            return {**p, "weight": p["weight"].reshape(hot.shape[1], -1)}, hot
        found = params["embed"][inputs]
        found = found.sum(axis=1) if model.token_inputs == "sum" else found.reshape(n, -1)
        p = params["hidden_0" + suffix]
        return {**p, "weight": p["weight"].reshape(found.shape[1], -1)}, found

    def through(p, x, last=False):
        fan_in = x.shape[1]
        factor = (1 / fan_in if last else fan_in**-0.5) if field else 1
        if last and model.scaling == "mup":
            factor = model.base_width / model.mlp_width
        return factor * (x @ p["weight"]) + p.get("bias", 0)

    if not model.layers:
        p, x = first("") if tokens else (params["unembed"], inputs)
        return through(p, x, last=True)
    for layer in range(model.layers):
        halves = []
        for suffix in ("", "_gate") if model.gated else ("",):
            p, given = first(suffix) if layer == 0 else (params[f"hidden_{layer}{suffix}"], x)
            halves.append(through(p, given))
        y = act(halves[0]) * (halves[1] if model.gated else 1)
        x = x + y if model.skip_connections and layer else y
    if model.tied:
        return x @ params["embed"][:n_classes].T / (model.width if field else 1)
    return through(params["unembed"], x, last=True)


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
