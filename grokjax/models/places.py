"""Where a transformer normalises and drops: modules by place, or None.

They belong to the module that asks for them, the network or one of its blocks.

Legend: D residual width, E head width.
"""

from __future__ import annotations

from typing import NamedTuple

from grokjax.config import Transformer
from grokjax.models.layers import Dropout, Norm
from grokjax.models.stream import Map

BEFORE = {
    "attention": ("pre", "rms", "peri", "attention", "stream"),
    "mlp": ("pre", "rms", "peri", "mlp", "stream"),
}
"""Kind of block → `norm` of the models that normalise what it is given."""
PARTS = {"queries_keys": ("query", "key"), "values": ("value",)}
"""`norm` of a model → what alone is made of normalised inputs."""


class Norms(NamedTuple):
    """The norms `[..., D]` → `[..., D]` of a block f beside the residual stream x."""

    before: Norm | None
    """Of x, before f."""
    inside: Norm | None
    """Of f(x), before it is added."""
    after: Norm | None
    """Of the sum."""


class HeadNorms(NamedTuple):
    """The norms inside of attention."""

    inputs: Norm | None
    """`[..., D]`, of the inputs of some of its maps."""
    of_inputs: tuple[str, ...]
    """Names of these maps."""
    outputs: dict[str, Norm]
    """Name of a map → norm of what each head makes by it, `[..., E]`."""


def norms_of(model: Transformer, block: str) -> Norms:
    """The norms of a block, `attention_0` say."""
    name = f"norm_{block}"

    def norm(here: bool, suffix: str = "") -> Norm | None:
        return Norm(model, model.width, name=f"{name}{suffix}") if here else None

    kind = block.rpartition("_")[0]
    return Norms(
        norm(model.norm in BEFORE[kind]),
        norm(model.norm == "peri", "_inside"),
        norm(model.norm == "post"),
    )


def norms_of_heads(model: Transformer, depth: int) -> HeadNorms:
    """The norms inside of the attention of a layer, whose number counts from 0."""
    parts = PARTS.get(model.norm, ())
    inputs = Norm(model, model.width, name=f"norm_attention_{depth}") if parts else None
    names = ("query", "key") * model.qk_norm + ("value",) * model.value_norm
    outputs = {name: Norm(model, model.size, name=f"norm_{name}_{depth}") for name in names}
    return HeadNorms(inputs, parts, outputs)


def dropout(model: Transformer, place: str, name: str | None = None) -> Map:
    """Dropout where the model has it in a place, the identity elsewhere."""
    if place not in model.dropout_places:
        return lambda x: x
    return Dropout(model.dropout, name=name)
