"""Base classes of the parts of an experiment: tasks, models, optimisers, losses, modifiers.

The configuration of a part stands here and in the files beside this one; what it computes is
registered where NumPy or JAX are at hand: see `tasks.dataset`, `models.networks`,
`training.optimizers`, `training.losses` and `training.modifiers`. A part that a user defines is a
subclass of one of these with a method of its own, or a plain function: see `config.own`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

from grokjax.config.coercion import require, share
from grokjax.config.fields import Config, traced

__all__ = [
    "GradientModifier",
    "Instrument",
    "Loss",
    "Model",
    "Modifier",
    "Optimizer",
    "PerturbingModifier",
    "Task",
    "UpdateModifier",
]


Cadence = Literal["log_points", "table", "snapshots"]
RowError = Literal["largest", "mean_square"]


@dataclasses.dataclass(frozen=True)
class Task(Config):
    """A finite table of rows and targets."""

    loss_on: Literal["answer", "all"] = dataclasses.field(default="answer", kw_only=True)
    """Which tokens the loss is a mean over. answer: those that a row asks for; all: every token is
    predicted from those before it, as language models are trained, and the answer last. Accuracies
    are by the answer either way."""

    @property
    def encoding(self) -> Literal["tokens", "features"]:
        """Whether a row's inputs are tokens or numbers."""
        return "tokens"

    @property
    def target_kind(self) -> Literal["classes", "sequence", "real"]:
        """What a row asks for: one class, a class at each of its answer positions, or a number."""
        return "classes" if self.loss_on == "answer" else "sequence"

    @property
    def teacher_forced(self) -> bool:
        """Whether rows hold answers that a position before them must not see."""
        return self.loss_on == "all"

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        raise NotImplementedError

    @property
    def n_always(self) -> int:
        """How many rows, the first of the table, are in every training set."""
        return 0

    @property
    def given_sets(self) -> tuple[int, ...]:
        """The set of each row, 0 train, 1 test, 2 neither; empty where the table says nothing."""
        return ()

    @property
    def group_table(self) -> Literal["cyclic", "group"] | None:
        """Whether an answer is the product of the operands in a group, and in which kind of one."""
        return None

    @property
    def operands(self) -> tuple[int, int] | None:
        """How many values the two operands take where every pair of them is a row."""
        return None

    def dataset(self) -> Any:
        """Every row and its target, a `grokjax.tasks.Dataset`; a task of your own defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no method `dataset`")

    def right(self, outputs: Any, targets: Any) -> Any:
        """Whether each row is right `[N]`, where a task of your own decides otherwise.

        None, as it stands here: the largest output of every answer is that of its class, or the
        number lies within the tolerance.

        Args:
          outputs: what the network gives, `[N, C]`, or `[N, A, C]` for A answers.
          targets: of the rows, `[N]` or `[N, A]`.
        """
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model(Config):
    """A network, and the scales that it starts from."""

    init_scale: float = traced(1.0, at_start=True)
    """Factor on every initial weight and bias; the gains of norms are left at 1."""
    embed_init_scale: float = traced(1.0, at_start=True)
    """Further factor on the initial embeddings, or on the first layer of a network without any."""
    body_init_scale: float = traced(1.0, at_start=True)
    """Further factor on the initial weights between embeddings and last layer."""
    unembed_init_scale: float = traced(1.0, at_start=True)
    """Further factor on the initial weights of the last layer (the unembedding)."""
    output_scale: float | None = traced(None)
    """Factor on the logits, an inverse temperature (α in Kumar et al. 2023); None: no factor."""
    dropout: float | None = traced(None)
    """Probability that dropout sets an activation to zero while training; None: no dropout."""

    def check(self) -> None:
        for name in ("init_scale", "embed_init_scale", "body_init_scale", "unembed_init_scale"):
            require(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        scale, rate = self.output_scale, self.dropout
        require(scale is None or scale > 0, "output_scale", scale, "give a positive number")
        remedy = share(rate or 0.0, "a share of the activations lies in [0, 1)")
        require(rate is None or 0 <= rate < 1, "dropout", rate, remedy)

    @property
    def width_ratio(self) -> float:
        """Width of the network over `base_width`, which µP scales by; 1 without µP."""
        return 1.0

    def check_task(self, task: Task) -> None:
        """Raise `ConfigError` where the model cannot learn a task."""

    def network(self, dataset: Any) -> Any:
        """The Flax module that makes logits of rows; a model of your own defines it.

        Args:
          dataset: the `grokjax.tasks.Dataset` to learn, with its numbers of tokens and classes.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `network`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(Config):
    """A direction of descent, with weight decay and a schedule of the learning rate.

    The rate of update s, counted from 0, is `learning_rate · warmup(s) · schedule(s)`: see
    `warmup_shape` and `schedule`.
    """

    adaptive: ClassVar[bool] = True
    """Whether the length of a gradient does not matter, as in Adam: µP has two sets of rates."""
    coupled: ClassVar[bool] = False
    """Whether weight decay is part of the gradient."""
    scales_with_width: ClassVar[bool] = True
    """Whether µP has a rule for the optimiser's learning rates in wider networks."""

    learning_rate: float = traced(1e-3)
    """Step size of an update, before warmup and schedule."""
    weight_decay: float = traced(0.0)
    """Strength of weight decay. Decoupled (AdamW, Lion, Muon): every update takes the share
    `learning_rate · weight_decay` off each weight (Loshchilov & Hutter 2019; PyTorch and optax do
    the same). Coupled (Adam, RMSProp, SGD by default): L2, `weight_decay · weight` is added to
    the gradient."""
    warmup_steps: int = traced(0)
    """Number of updates over which the learning rate rises linearly to its full value; the first
    uses 1/warmup_steps of it. 0: no warmup. `warmup_shape` has other ways to rise."""
    warmup_shape: Literal["linear", "linear_from_start", "constant", "exponential"] = "linear"
    """How the learning rate rises over N = `warmup_steps` updates, with a = `warmup_start`.
    linear: min(1, (s + 1) / N), which ignores a; linear_from_start: a + (1 − a) · s/N, from 0 by
    default; constant: a, and the full rate from update N on; exponential: a^(1 − s/N). The last
    three are PyTorch's LinearLR, ConstantLR, and a straight line in the logarithm."""
    warmup_start: float = traced(0.0)
    """Share of the learning rate at the first update of the warmups that say so."""
    schedule: Literal["constant", "linear", "cosine", "step", "exponential", "inverse_sqrt"] = (
        "constant"
    )
    """Shape in which the learning rate falls from the first update on, with N = `schedule_steps`,
    f = `final_rate` and γ = `schedule_factor`. linear, cosine: to the share f after N updates,
    where it stays; step: max(f, γ^⌊s/N⌋), a factor every N updates (PyTorch's StepLR); exponential:
    max(f, γ^(s/N)) (ExponentialLR, with N = 1); inverse_sqrt: √(M / (s + 1)) from update
    M = `warmup_steps` on, which with the linear warmup is that of Vaswani et al. 2017 ("Noam")."""
    schedule_steps: int = traced(10_000)
    """Number of updates over which a linear or cosine schedule falls, or after which one by factors
    is multiplied by the next."""
    schedule_factor: float = traced(0.1)
    """Factor γ on the learning rate after every `schedule_steps` updates of a step or exponential
    schedule."""
    final_rate: float = traced(0.0)
    """Share of the learning rate that is left at the end of a linear or cosine schedule, and below
    which a step or exponential one does not fall."""

    def check(self) -> None:
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "give a positive one")
        require(self.weight_decay >= 0, "weight_decay", self.weight_decay, "give 0 or more")
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "give 0 or more")
        require(self.schedule_steps >= 1, "schedule_steps", self.schedule_steps, "give 1 or more")
        require(0 <= self.final_rate <= 1, "final_rate", self.final_rate, "give a share in [0, 1]")
        factor, start, shape = self.schedule_factor, self.warmup_start, self.warmup_shape
        require(factor > 0, "schedule_factor", factor, "give a positive number")
        require(0 <= start <= 1, "warmup_start", start, "give a share in [0, 1]")
        remedy = f"a warmup_shape={shape!r} needs a share of the learning rate to start from, such "
        remedy += "as warmup_start=0.1"
        require(
            start > 0 or shape not in ("constant", "exponential"), "warmup_start", start, remedy
        )

    def direction(self) -> Any:
        """The `optax.GradientTransformation` of a gradient into a direction of descent.

        An optimiser of your own defines it. It has no learning rate, decay or sign of its own:
        `optax.scale_by_adam()`, not `optax.adam(...)`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `direction`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss(Config):
    """A function that training makes small: a mean over rows and their answers."""

    real: ClassVar[bool] = False
    """Whether the loss is defined for targets that are numbers instead of classes."""
    random: ClassVar[bool] = False
    """Whether updates descend along a random estimate of the loss. Then `per_target` is given a key
    after the targets, another one at every update, and None where the loss is recorded: there it
    gives the expectation."""

    def check_task(self, task: Task) -> None:
        """Raise `ConfigError` where the loss is not defined for a task."""

    def per_target(self, outputs: Any, targets: Any) -> Any:
        """A loss for every target, `[...]`; a loss of your own defines it.

        Args:
          outputs: what the network gives, `[..., C]` for C classes.
          targets: the right classes or numbers, `[...]`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `per_target`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modifier(Config):
    """A change to gradients, updates or weights beside the optimiser's own step."""

    gradients_per_update: ClassVar[int] = 1
    """Number of gradients that an update needs, to which its cost is proportional."""
    moves_the_network: ClassVar[bool] = False
    """Whether an update's loss is that of a network with other weights than the run's own."""
    clips: ClassVar[bool] = False
    """Whether it counts the updates whose gradient it has clipped, for the instrument `Clipping`.
    """


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientModifier(Modifier):
    """Changes the gradient before the optimiser sees it."""

    def transformation(self) -> Any:
        """The `optax.GradientTransformation` of gradients; a modifier of your own defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no method `transformation`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class UpdateModifier(Modifier):
    """Changes the update that the optimiser has made, learning rate and sign included."""

    def transformation(self) -> Any:
        """The `optax.GradientTransformation` of updates; a modifier of your own defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no method `transformation`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerturbingModifier(Modifier):
    """Takes the gradient at another point than the weights; an experiment has one at most."""

    def gradient_at(self, score: Any, params: Any, key: Any) -> Any:
        """Scores at the weights, and the gradient to use; a modifier of your own defines it.

        Args:
          score: parameters → scores and gradient there.
          params: parameters of the network before the update.
          key: key of random numbers, another one at every update.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `gradient_at`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instrument(Config):
    """A measurement of the network, beside the columns of the curves.

    It looks and changes nothing, so it is no part of a run: a run has the same id and the same bits
    whatever is measured of it.
    """

    cadence: ClassVar[Cadence] = "log_points"
    """When it measures. log_points: at every one; table: at step 0 and at steps that are evenly
    spaced in the logarithm, `table_points_per_decade` of them, for what needs the network's outputs
    on the whole table or a gradient; snapshots: at every snapshot, when the sweep has trained its
    runs, for what costs as much as many updates."""
    needs_optimizer: ClassVar[bool] = False
    """Whether it looks at the optimiser's state or at the next update."""
    needs_end: ClassVar[bool] = False
    """Whether it compares the network with that of the run's last snapshot."""
    of_updates: ClassVar[bool] = False
    """Whether it measures what updates have done to gradients, of which no snapshot tells."""

    def why_not(self, task: Task, model: Model) -> str | None:
        """Why there is nothing to measure on a task with a model; None where there is."""

    def measure(self, observed: Any) -> Any:
        """A number, an array, or a dictionary of them by name.

        Args:
          observed: the network, a `grokjax.measures.Observed`: its `params`, its
            `outputs` for every row of the `dataset`, and which rows it is `trained_on`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method `measure`")
