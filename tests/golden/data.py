"""What the PyTorch reference and grokjax's test have in common; needs NumPy only.

The axes: N rows, T positions, V tokens, C classes, D width, H heads, E head width, F hidden.
"""

import zlib
from typing import Any, NamedTuple

import numpy as np

STEPS = 50
MODULUS = 11
T, V, C = 3, MODULUS + 1, MODULUS
D, H, E, F = 16, 2, 8, 32
NORM_EPS = 1e-5
LAYERS = {"causal": 1, "next_token": 1, "pre_ln": 2, "swiglu": 2, "peri": 2, "stream": 2}
ROTARY_BASE = 1e4

Shapes = dict[str, tuple[int, ...]]


def table() -> tuple[np.ndarray, np.ndarray]:
    """Tokens `a b =` [121, T] and targets (a - b) mod 11 [121], in the order of a, then b."""
    a, b = np.divmod(np.arange(MODULUS**2), MODULUS)
    return np.stack([a, b, np.full_like(a, MODULUS)], axis=1), (a - b) % MODULUS


def next_tokens() -> np.ndarray:
    """What a language model predicts at every position of the table [121, T]: b, =, and a - b."""
    tokens, targets = table()
    return np.concatenate([tokens[:, 1:], targets[:, None]], axis=1)


def training_rows() -> np.ndarray:
    """The 60 rows of the table that are trained on, all in every step."""
    return np.random.default_rng(0).permutation(MODULUS**2)[:60]


def block_shapes(i: int, biases: bool, gated: bool = False) -> Shapes:
    """The parameters of layer i: attention, then the MLP."""
    projections = [f"attention_{i}/{name}" for name in ("query", "key", "value")]
    shapes: Shapes = {f"{path}/weight": (D, H, E) for path in projections}
    shapes[f"attention_{i}/output/weight"] = (H, E, D)
    shapes[f"mlp_{i}/in/weight"] = (D, F)
    shapes[f"mlp_{i}/out/weight"] = (F, D)
    if gated:
        shapes[f"mlp_{i}/in_gate/weight"] = (D, F)
    if biases:
        shapes |= {f"{path}/bias": (H, E) for path in projections}
        shapes |= {f"attention_{i}/output/bias": (D,), f"mlp_{i}/in/bias": (F,)}
        shapes |= {f"mlp_{i}/out/bias": (D,)}
    return shapes


def norm_shapes(i: int, inside: bool = False, parts: tuple[str, ...] = ("scale", "bias")) -> Shapes:
    """The gains and biases of layer i's two norms, or of its four where some are inside of blocks."""
    norms = [f"norm_attention_{i}", f"norm_mlp_{i}"]
    norms += [f"{norm}_inside" for norm in norms] * inside
    return {f"{norm}/{name}": (D,) for norm in norms for name in parts}


def network_shapes() -> dict[str, Shapes]:
    """Network → parameter path → shape."""
    ends: Shapes = {"embed": (V, D), "position": (T, D), "unembed/weight": (D, C)}
    pre_ln = ends | {"unembed/bias": (C,)}
    for i in range(LAYERS["pre_ln"]):
        pre_ln |= block_shapes(i, biases=True) | norm_shapes(i)
    swiglu = {"embed": (V, D), "unembed/weight": (D, C), "final_norm/scale": (D,)}
    peri, stream = ends | {"unembed/bias": (C,)}, dict(ends)
    for i in range(2):
        swiglu |= block_shapes(i, biases=False, gated=True) | norm_shapes(i, parts=("scale",))
        peri |= block_shapes(i, biases=True) | norm_shapes(i, inside=True)
        stream |= block_shapes(i, biases=True) | norm_shapes(i)
    stream |= {f"final_norm/{name}": (D,) for name in ("scale", "bias")}
    return {
        "swiglu": swiglu,
        "peri": peri,
        "stream": stream,
        "causal": ends | block_shapes(0, biases=False),
        "next_token": ends | block_shapes(0, biases=False) | {"unembed/weight": (D, V)},
        "pre_ln": pre_ln,
        "quadratic": {"embed": (T, V, F), "unembed/weight": (F, C)},
    }


SHAPES = network_shapes()


def initial(shapes: Shapes) -> dict[str, np.ndarray]:
    """Draws for every path from a generator of its own, so that their order does not matter.

    Norm gains are 1 + 0.1 n and all else, biases too, is 0.3 n with n standard normal:
    a bias that starts at 0 would hide a mistake in its use.
    """

    def draw(path: str, shape: tuple[int, ...]) -> np.ndarray:
        normal = np.random.default_rng(zlib.crc32(path.encode())).normal(size=shape)
        return 1 + 0.1 * normal if path.endswith("scale") else 0.3 * normal

    return {path: draw(path, shape) for path, shape in shapes.items()}


def group(path: str) -> str:
    """The group of a parameter: embedding, unembedding or body."""
    if path in ("embed", "position"):
        return "embedding"
    return "unembedding" if path.startswith("unembed/") else "body"


# What the optimisers take; muon's betas and eps are those of its Adam for what is no matrix.
ADAM = {"betas": (0.9, 0.98), "eps": 1e-8}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": {"lr": 1e-2, "weight_decay": 1.0, **ADAM},
    "adam": {"lr": 1e-2, "weight_decay": 1e-3, **ADAM},
    "sgd": {"lr": 0.05, "weight_decay": 1e-3, "momentum": 0.9},
    "muon": {"lr": 1e-2, "weight_decay": 0.1, "momentum": 0.95, **ADAM},
}
# The gradient of a mean over classes is small; two runs would jump about at the usual rate and
# multiply a difference in the last digit by 10^4 and more.
LEARNING_RATES = {
    "quadratic/mse/sgd": 0.5,
    "pre_ln/cross_entropy/sgd": 0.01,
    "pre_ln/stablemax/adamw": 3e-3,
    "swiglu/cross_entropy/muon": 3e-3,
}


class Case(NamedTuple):
    """A run of the reference."""

    network: str
    loss: str
    optimizer: str

    @property
    def name(self) -> str:
        return "/".join(self)

    @property
    def constants(self) -> dict[str, Any]:
        """The optimiser's constants, with the case's own learning rate where it has one."""
        constants = dict(OPTIMIZERS[self.optimizer])
        return constants | {"lr": LEARNING_RATES.get(self.name, constants["lr"])}


def every_case() -> list[Case]:
    """Optimisers with cross-entropy, losses with AdamW, SGD on squares, forms, all positions."""
    networks = ("causal", "pre_ln", "quadratic")
    optimizers = [Case(net, "cross_entropy", name) for net in networks for name in OPTIMIZERS]
    losses = [Case(net, loss, "adamw") for net in networks for loss in ("stablemax", "mse")]
    others = [Case("quadratic", "mse", "sgd"), Case("swiglu", "cross_entropy", "muon")]
    forms = ("swiglu", "peri", "stream", "next_token")
    others += [Case(net, "cross_entropy", "adamw") for net in forms]
    return [*optimizers, *losses, *others]


CASES: dict[str, Case] = {case.name: case for case in every_case()}
