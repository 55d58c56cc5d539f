"""From a transformer to the weights and the configuration that TransformerLens takes.

They are those of a `HookedTransformer` (TransformerLens 1 to 3); from version 4 on its
`TransformerBridge` takes the same by `boot_native` and `convert_tl_checkpoint`.

| TransformerLens | grokjax |
|---|---|
| `embed.W_E` [V, D], `pos_embed.W_pos` [T, D] | `embed`, `position` (zeros without positions) |
| `blocks.L.attn.W_Q`, `W_K`, `W_V` [H, D, E] | `attention_L/query/weight` … [D, H, E] |
| `blocks.L.attn.W_O` [H, E, D] | `attention_L/output/weight` |
| `blocks.L.mlp.W_in` [D, F], `W_out` [F, D] | `mlp_L/in/weight`, `mlp_L/out/weight` |
| `blocks.L.ln1.w`, `ln2.w` [D] | `norm_attention_L/scale`, `norm_mlp_L/scale` |
| `ln_final.w` [D] | `final_norm/scale` |
| `unembed.W_U` [D, C] | `unembed/weight`, or the transposed embeddings where they are tied |
| `b_Q`, `b_K`, `b_V`, `b_O`, `b_in`, `b_out`, `b_U`, `ln1.b` … | `…/bias`, zeros without |

Legend: N rows, T positions, V tokens, C classes, A answers, D width, H heads, E head width, F
hidden units.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from typing import Any

import numpy as np

from grokjax.config import ConfigError, Model, Transformer
from grokjax.config.coercion import require
from grokjax.formats import plain, torch_weights
from grokjax.models.layers import NORM_EPSILON
from grokjax.tasks import Dataset

TARGET = plain.Target("TransformerLens", "take the PyTorch module, network.to_torch()")
CHOICES: plain.Choices = {
    "activation": ("relu", "gelu", "silu"),
    "norm": ("none", "pre", "rms"),
    "final_norm": None,  # see `config_of`
    "biases": None,
    "causal": None,
    "positions": ("learned", "rotary", "none"),
    "attention": ("softmax", "uniform"),
    "attention_rate": (None, 0.0, 1.0),
    "readout": ("last", "mean"),
    "tied": None,
}
NORMS = {"none": None, "pre": "LN", "rms": "RMS"}


@dataclasses.dataclass(frozen=True, eq=False)
class Lens:
    """A network as TransformerLens takes it."""

    config: dict[str, Any]
    """What `HookedTransformerConfig`, or `TransformerBridgeConfig`, is made with."""
    state_dict: dict[str, Any]
    """Name in a `HookedTransformer` → tensor."""
    readout: str | tuple[int, ...]
    """Which of the logits count: last, mean, or the positions of the answers."""

    def read(self, logits: Any) -> Any:
        """The logits `[N, C]`, or `[N, A, C]`, of the task.

        Args:
          logits: at every position `[N, T, C]`, as a model of TransformerLens gives them.
        """
        if self.readout == "mean":
            return logits.mean(1)
        return logits[:, -1 if self.readout == "last" else list(self.readout)]

    def model(self) -> Any:
        """The network as a `HookedTransformer`, from TransformerLens 4 on as a `TransformerBridge`.

        Raises:
          ConfigError: TransformerLens is not installed.
        """
        try:
            import transformer_lens
        except ImportError:
            raise ConfigError(
                "transformer_lens: it is not installed, pip install 'grokjax[transformer_lens]'."
            ) from None
        if int(importlib.metadata.version("transformer_lens").split(".")[0]) >= 4:
            return _bridge(self.config, self.state_dict)
        made = transformer_lens.HookedTransformer(
            transformer_lens.HookedTransformerConfig(**self.config)
        )
        # Its masks and tables of angles are no weights of ours.
        made.load_state_dict({**made.state_dict(), **self.state_dict})
        return made


def _bridge(config: dict[str, Any], state_dict: dict[str, Any]) -> Any:
    from transformer_lens import TransformerBridgeConfig
    from transformer_lens.model_bridge.sources import native
    from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

    whole = TransformerBridgeConfig(**config)
    bridge = native.boot(whole, dtype=config["dtype"])
    bridge.load_state_dict(convert_tl_checkpoint(state_dict, whole))
    return bridge


def lens(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> Lens:
    """A network as TransformerLens takes it; the arguments are those of `arrays`.

    Raises:
      ConfigError: TransformerLens cannot express the model, or PyTorch is not installed.
    """
    config = config_of(model, dataset)
    tensors = torch_weights.tensors_of(arrays(model, dataset, params))
    config["dtype"] = tensors["unembed.W_U"].dtype
    return Lens(config, tensors, dataset.answers or model.readout)


def config_of(model: Model, dataset: Dataset) -> dict[str, Any]:
    """The configuration of a network in TransformerLens, without its dtype.

    Raises:
      ConfigError: TransformerLens cannot express the model.
    """
    if not isinstance(model, Transformer):
        raise plain.refusal("model", model.kind, TARGET)
    plain.check(model, CHOICES, TARGET)
    remedy = (
        "TransformerLens normalises before the unembedding wherever it normalises at all, "
        f"{TARGET.instead}"
    )
    require(model.norm == "none" or model.final_norm, "model.final_norm", False, remedy)
    rotary = model.positions == "rotary"
    return {
        "n_layers": model.layers,
        "d_model": model.width,
        "n_heads": model.heads,
        "d_head": model.size,
        "d_mlp": model.mlp_width,
        "n_ctx": dataset.inputs.shape[1],
        "d_vocab": dataset.vocabulary,
        "d_vocab_out": dataset.n_classes,
        "act_fn": model.activation,
        "normalization_type": NORMS[model.norm],
        "eps": NORM_EPSILON,
        "attention_dir": "causal" if model.causal else "bidirectional",
        "positional_embedding_type": "rotary" if rotary else "standard",
        "rotary_adjacent_pairs": rotary,
        "init_weights": False,
    }


def arrays(model: Any, dataset: Dataset, params: Mapping[str, Any]) -> plain.Arrays:
    """The state dict of a `HookedTransformer`, as NumPy arrays; its masks are left out.

    Args:
      model: with the numbers that it has at this step.
      dataset: the table that it is a network for.
      params: nested dictionaries of arrays.

    Raises:
      ConfigError: TransformerLens cannot express the model.
    """
    config_of(model, dataset)
    ours = plain.folded(model, dataset.n_classes, params)
    dtype = ours["embed"].dtype

    def take(name: str, *shape: int) -> np.ndarray:
        """The array of a name, or zeros where the network has none."""
        return ours.pop(name) if name in ours else np.zeros(shape, dtype)

    D, H, E, F = model.width, model.heads, model.size, model.mlp_width
    theirs = {"embed.W_E": ours.pop("embed")}
    if model.positions != "rotary":
        theirs["pos_embed.W_pos"] = take("position", dataset.inputs.shape[1], D)

    def take_norm(name: str, new: str) -> None:
        theirs[f"{new}.w"] = ours.pop(f"{name}/scale")
        if model.norm == "pre":
            theirs[f"{new}.b"] = take(f"{name}/bias", D)

    for depth in range(model.layers):
        attention, mlp, block = f"attention_{depth}", f"mlp_{depth}", f"blocks.{depth}"
        for name, letter in (("query", "Q"), ("key", "K"), ("value", "V")):
            weight = take(f"{attention}/{name}/weight", D, H, E)
            bias = take(f"{attention}/{name}/bias", H, E)
            if letter != "V":
                weight, bias = _compared(model, weight), _compared(model, bias)
            theirs[f"{block}.attn.W_{letter}"] = weight.transpose(1, 0, 2)
            theirs[f"{block}.attn.b_{letter}"] = bias
        theirs[f"{block}.attn.W_O"] = ours.pop(f"{attention}/output/weight")
        theirs[f"{block}.attn.b_O"] = take(f"{attention}/output/bias", D)
        for name, size in (("in", F), ("out", D)):
            theirs[f"{block}.mlp.W_{name}"] = ours.pop(f"{mlp}/{name}/weight")
            theirs[f"{block}.mlp.b_{name}"] = take(f"{mlp}/{name}/bias", size)
        if model.norm != "none":
            take_norm(f"norm_{attention}", f"{block}.ln1")
            take_norm(f"norm_{mlp}", f"{block}.ln2")
    if model.final_norm:
        take_norm("final_norm", "ln_final")
    theirs["unembed.W_U"] = ours.pop("unembed/weight")
    theirs["unembed.b_U"] = take("unembed/bias", dataset.n_classes)
    plain.check_all_taken(ours, TARGET)
    return theirs


def _compared(model: Transformer, array: np.ndarray) -> np.ndarray:
    """Weights or biases `[..., E]` of queries or keys, as TransformerLens compares them.

    Where every visible position counts the same they are zero, so that all scores are. What
    rotary positions turn together are neighbours there, entries i and i + E/2 of a head here.
    """
    if model.attention == "uniform" or model.attention_rate == 0:
        return np.zeros_like(array)
    if model.positions != "rotary":
        return array
    halves = array.reshape(*array.shape[:-1], 2, model.size // 2)
    return np.swapaxes(halves, -1, -2).reshape(array.shape)
