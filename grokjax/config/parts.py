"""What every task, model, optimiser, loss and modifier is to the rest of an experiment."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.fields import Config, require, traced


@dataclasses.dataclass(frozen=True)
class Task(Config):
    """A finite table of rows and targets."""

    @property
    def encoding(self) -> Literal["tokens", "features"]:
        """Whether a row's inputs are tokens or numbers."""
        return "tokens"

    @property
    def target_kind(self) -> Literal["classes", "sequence", "real"]:
        """One class a row, a class at each of its answer positions, or a number."""
        return "classes"

    @property
    def teacher_forced(self) -> bool:
        """Whether rows hold answers that a position before them must not see."""
        return False

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        raise NotImplementedError

    @property
    def n_always(self) -> int:
        """Rows, the table's first, that are in every training set."""
        return 0

    @property
    def operands(self) -> tuple[int, int] | None:
        """How many values the two operands take where every pair of them is a row."""
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Config):
    """A network, and the scales that it starts from."""

    init_scale: float = traced(1.0, at_start=True)
    """Factor on every initial weight and bias, norm gains excepted."""
    embed_init_scale: float = traced(1.0, at_start=True)
    """Further factor on the initial embeddings, or the first layer where there are none."""
    body_init_scale: float = traced(1.0, at_start=True)
    """Further factor on what lies between embeddings and unembedding."""
    unembed_init_scale: float = traced(1.0, at_start=True)
    """Further factor on the last layer."""
    output_scale: float | None = traced(None)
    """Factor on the logits, an inverse temperature; Kumar et al. 2023 call it α."""
    dropout: float | None = traced(None)
    """Share of activations set to zero while training."""

    def check(self) -> None:
        for name in ("init_scale", "embed_init_scale", "body_init_scale", "unembed_init_scale"):
            require(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        scale, rate = self.output_scale, self.dropout
        require(scale is None or scale > 0, "output_scale", scale, "give a positive number")
        remedy = "a share of the activations lies in [0, 1)"
        require(rate is None or 0 <= rate < 1, "dropout", rate, remedy)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(Config):
    """A direction of descent, with weight decay and a schedule of the learning rate.

    The rate of update s, counted from 0, is
    `learning_rate · min(1, (s + 1) / warmup_steps) · schedule(s / schedule_steps)`.
    """

    learning_rate: float = traced(1e-3)
    weight_decay: float = traced(0.0)
    """Decoupled: `learning_rate · weight_decay` of a weight is taken off at every update
    (Loshchilov & Hutter 2019; PyTorch and optax do the same). Coupled: it is added to the
    gradient, `weight_decay · weight`, before anything else is done with that."""
    warmup_steps: int = traced(0)
    """Updates over which the learning rate rises linearly; the first uses 1/warmup_steps of it."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate falls from 1 to `final_rate` over `schedule_steps`, where it stays."""
    schedule_steps: int = traced(10_000)
    final_rate: float = traced(0.0)
    """Share of the learning rate at the end of the schedule."""

    def check(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "give a positive one")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "give 0 or more")
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "give 0 or more")
        require(self.schedule_steps >= 1, "schedule_steps", self.schedule_steps, "give 1 or more")
        require(0 <= self.final_rate <= 1, "final_rate", self.final_rate, "give a share in [0, 1]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss(Config):
    """What training makes small, a mean over rows and their answers."""

    real: ClassVar[bool] = False
    """Whether it can be had for targets that are numbers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modifier(Config):
    """What is done to gradients, updates or weights beside the optimiser's own step."""
