"""The networks and losses of the reference in PyTorch, as functions of flat parameters.

Where PyTorch has the formula (attention, LayerNorm, GELU, cross-entropy), PyTorch computes it.
"""

import torch
from golden import data
from torch import Tensor
from torch.nn import functional

Params = dict[str, Tensor]


def linear(params: Params, path: str, x: Tensor, inputs: int = 1) -> Tensor:
    """The product of x and the weight at path, summed over x's last `inputs` axes, plus the bias if any."""
    y = torch.tensordot(x, params[f"{path}/weight"], dims=inputs)
    return y + params[f"{path}/bias"] if f"{path}/bias" in params else y


def norm(params: Params, path: str, x: Tensor) -> Tensor:
    """LayerNorm over the width (Ba et al. 2016), or x itself in a network without norms."""
    if f"{path}/scale" not in params:
        return x
    gain, bias = params[f"{path}/scale"], params[f"{path}/bias"]
    return functional.layer_norm(x, (data.D,), gain, bias, eps=data.NORM_EPS)


def attention(params: Params, path: str, x: Tensor, causal: bool) -> Tensor:
    """softmax(q·k/√E) v in every head (Vaswani et al. 2017); x is [N, T, D]."""
    names = ("query", "key", "value")
    q, k, v = (linear(params, f"{path}/{name}", x).transpose(1, 2) for name in names)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return linear(params, f"{path}/output", mixed.transpose(1, 2), inputs=2)


def stream(params: Params, tokens: Tensor, layers: int, activation, causal: bool) -> Tensor:
    """The residual stream after the last layer, [N, T, D]."""
    x = params["embed"][tokens] + params["position"]
    for i in range(layers):
        x = x + attention(params, f"attention_{i}", norm(params, f"norm_attention_{i}", x), causal)
        hidden = activation(linear(params, f"mlp_{i}/in", norm(params, f"norm_mlp_{i}", x)))
        x = x + linear(params, f"mlp_{i}/out", hidden)
    return x


def causal(params: Params, tokens: Tensor) -> Tensor:
    """A decoder without norms and biases, with ReLU, read from the last position."""
    x = stream(params, tokens, data.LAYERS["causal"], functional.relu, causal=True)
    return linear(params, "unembed", x[:, -1])


def next_token(params: Params, tokens: Tensor) -> Tensor:
    """The same decoder, read from every position: the tokens that follow, [N, T, V]."""
    x = stream(params, tokens, data.LAYERS["next_token"], functional.relu, causal=True)
    return linear(params, "unembed", x)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over rows, and over positions where there are several, of −log softmax(z)_y."""
    return functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


def pre_ln(params: Params, tokens: Tensor) -> Tensor:
    """A pre-LayerNorm encoder with biases and exact GELU, read from the mean over positions."""
    x = stream(params, tokens, data.LAYERS["pre_ln"], functional.gelu, causal=False)
    return linear(params, "unembed", x.mean(1))


def rms(params: Params, path: str, x: Tensor) -> Tensor:
    """RMSNorm over the width (Zhang & Sennrich 2019)."""
    return functional.rms_norm(x, (data.D,), params[f"{path}/scale"], eps=data.NORM_EPS)


def turned(x: Tensor) -> Tensor:
    """RoPE (Su et al. 2021) of x [N, H, T, E]: entry i and entry i + E/2 are a complex number."""
    half = data.E // 2
    speeds = data.ROTARY_BASE ** (-torch.arange(half) / half)
    angles = torch.outer(torch.arange(x.shape[2]), speeds)
    turns = torch.polar(torch.ones_like(angles), angles)
    y = torch.complex(x[..., :half], x[..., half:]) * turns
    return torch.cat([y.real, y.imag], dim=-1)


def swiglu(params: Params, tokens: Tensor) -> Tensor:
    """A decoder with RMSNorm before each block and at the end, RoPE, and SwiGLU, without biases."""
    x = params["embed"][tokens]
    for i in range(data.LAYERS["swiglu"]):
        y, path = rms(params, f"norm_attention_{i}", x), f"attention_{i}"
        names = ("query", "key", "value")
        q, k, v = (linear(params, f"{path}/{name}", y).transpose(1, 2) for name in names)
        mixed = functional.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        x = x + linear(params, f"{path}/output", mixed.transpose(1, 2), inputs=2)
        y = rms(params, f"norm_mlp_{i}", x)
        hidden = functional.silu(linear(params, f"mlp_{i}/in", y))
        x = x + linear(params, f"mlp_{i}/out", hidden * linear(params, f"mlp_{i}/in_gate", y))
    return linear(params, "unembed", rms(params, "final_norm", x)[:, -1])


def peri(params: Params, tokens: Tensor) -> Tensor:
    """An encoder with LayerNorm on both sides of each block (Kim et al. 2025), GELU and biases."""
    x = params["embed"][tokens] + params["position"]
    for i in range(data.LAYERS["peri"]):
        y = norm(params, f"norm_attention_{i}", x)
        y = attention(params, f"attention_{i}", y, causal=False)
        x = x + norm(params, f"norm_attention_{i}_inside", y)
        y = linear(params, f"mlp_{i}/in", norm(params, f"norm_mlp_{i}", x))
        y = linear(params, f"mlp_{i}/out", functional.gelu(y))
        x = x + norm(params, f"norm_mlp_{i}_inside", y)
    return linear(params, "unembed", x.mean(1))


def stream_replaced(params: Params, tokens: Tensor) -> Tensor:
    """A decoder in which LayerNorm replaces the residual stream before attention.

    So does the code of Lee et al. 2024 (Grokfast), with biases everywhere but in the last map.
    """
    x = params["embed"][tokens] + params["position"]
    for i in range(data.LAYERS["stream"]):
        x = norm(params, f"norm_attention_{i}", x)
        x = x + attention(params, f"attention_{i}", x, causal=True)
        y = linear(params, f"mlp_{i}/in", norm(params, f"norm_mlp_{i}", x))
        x = x + linear(params, f"mlp_{i}/out", functional.gelu(y))
    return linear(params, "unembed", norm(params, "final_norm", x)[:, -1])


def quadratic(params: Params, tokens: Tensor) -> Tensor:
    """(Σ_t embed[t, token_t])² W: one hidden layer of squares over one-hot inputs."""
    hidden = params["embed"][torch.arange(data.T), tokens].sum(1)
    return linear(params, "unembed", hidden**2)


def stablemax(logits: Tensor, targets: Tensor) -> Tensor:
    """−log(s(z_y) / Σ_j s(z_j)) with s(x) = x + 1 for x ≥ 0 and 1/(1 − x) below.

    Prieto et al. 2025, arXiv 2501.04697.
    """
    # The clamp keeps the branch that is not taken away from its pole at 1.
    s = torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))
    chosen = s.gather(1, targets[:, None])[:, 0]
    return -(chosen / s.sum(1)).log().mean()


def mse(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over rows and classes of (z − onehot)²."""
    onehot = functional.one_hot(targets, data.C).to(logits.dtype)
    return functional.mse_loss(logits, onehot)


NETWORKS = {
    "causal": causal,
    "next_token": next_token,
    "pre_ln": pre_ln,
    "quadratic": quadratic,
    "swiglu": swiglu,
    "peri": peri,
    "stream": stream_replaced,
}
LOSSES = {"cross_entropy": cross_entropy, "stablemax": stablemax, "mse": mse}
