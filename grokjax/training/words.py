"""Parts of experiments as pytrees: traced numbers are leaves, everything else is structure.

A *word* is such a part, an `AdamW(...)` or a `Transformer(...)`. Two words of the same structure
run in the same compiled program, whatever their numbers; an optional number that is None makes
another structure. Inside a program `optimizer.weight_decay` is then an array, and `jax.tree.map`
and `jax.vmap` take words as they take parameters.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
from jax.tree_util import GetAttrKey

from grokjax.config import (
    Experiment,
    Loss,
    Mask,
    Model,
    Modifier,
    Optimizer,
    ParameterGroups,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Words:
    """The parts of an experiment that have traced numbers."""

    model: Model
    optimizer: Optimizer
    loss: Loss
    modifiers: tuple[Modifier, ...]
    groups: ParameterGroups | None
    mask: Mask | None


_WORDS = tuple(field.name for field in dataclasses.fields(Words))


def words_of(experiment: Experiment) -> Words:
    """The parts of an experiment that have traced numbers, as a pytree."""
    words = Words(**{name: getattr(experiment, name) for name in _WORDS})
    for word in (
        words.model,
        words.optimizer,
        words.loss,
        *words.modifiers,
        words.groups,
        words.mask,
    ):
        if word is not None:
            cls: Any = type(word)
            register(cls)
    return words


@functools.cache
def register(cls: Any) -> None:
    """Make a class of words a pytree, once.

    The fields of a rebuilt word are set one by one: its constructor would check them, and inside of
    a program they are tracers, or whatever a transformation puts in their place.
    """
    fields = [field for field in dataclasses.fields(cls) if not field.metadata.get("host")]
    traced = tuple(field.name for field in fields if field.metadata.get("traced"))
    static = tuple(field.name for field in fields if not field.metadata.get("traced"))
    absent = {f.name: None for f in dataclasses.fields(cls) if f.metadata.get("host")}

    def flatten(word: Any) -> tuple[list, tuple]:
        leaves = [(GetAttrKey(name), getattr(word, name)) for name in traced]
        return leaves, tuple(getattr(word, name) for name in static)

    def unflatten(structure: tuple, leaves: Any) -> Any:
        word = object.__new__(cls)
        values = {**absent, **dict(zip((*static, *traced), (*structure, *leaves), strict=True))}
        for name, value in values.items():
            object.__setattr__(word, name, value)
        return word

    jax.tree_util.register_pytree_with_keys(cls, flatten, unflatten)
