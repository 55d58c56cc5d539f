"""Tasks, models, optimisers, losses, modifiers and instruments of your own, from plain functions.

A decorator makes a class of a function, and the class is used as those of grokjax are. Arguments
that can only be given by name are its fields: `traced(...)` marks a number that is an input of the
compiled program, and so an axis that needs no compilation.

    @own.loss
    def focal(logits, targets, *, gamma: float = traced(2.0)):
        ...

    Experiment(loss=focal(), sweep=grid(gamma=[0.0, 1.0, 2.0]))

The function's name and the hash of its source are part of the identity of a run: another function
is another run. Functions that it calls are not hashed. Where one function is not enough, write a
subclass of `Task`, `Model`, `Optimizer`, `Loss` or one of the modifiers, and define its method.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from grokjax.config import source
from grokjax.config.coercion import ConfigError, require
from grokjax.config.fields import Config
from grokjax.config.formulas import MOST_OPERANDS
from grokjax.config.operation import OperationTable
from grokjax.config.parts import (
    Cadence,
    GradientModifier,
    Instrument,
    Loss,
    Model,
    Modifier,
    Optimizer,
    Task,
    UpdateModifier,
)

Decorated = type[Any]


def loss(function: Callable[..., Any] | None = None, *, random: bool = False) -> Any:
    """A loss from a function of logits `[..., C]` and targets `[...]` → losses `[...]`.

    With an argument it is a decorator of the function: `@own.loss(random=True)`. The function of a
    loss that is random is given a key after the targets, and None where the loss is recorded.

    >>> __name__ = "mine"  # as in a file mine.py of yours
    >>> import jax
    >>> from grokjax import Experiment, grid, own, traced
    >>> @own.loss
    ... def focal(logits, targets, *, gamma: float = traced(2.0)):
    ...     one_hot = jax.nn.one_hot(targets, logits.shape[-1])
    ...     log_right = (one_hot * jax.nn.log_softmax(logits)).sum(axis=-1)
    ...     return -((1 - jax.numpy.exp(log_right)) ** gamma) * log_right
    >>> experiment = Experiment(loss=focal(), sweep=grid(gamma=[0.0, 1.0, 2.0]))
    >>> [run.loss.gamma for run in experiment.runs()]
    [0.0, 1.0, 2.0]
    """

    def make(function: Callable[..., Any]) -> Decorated:
        return _word(Loss, "per_target", function, 3 if random else 2, {"random": random})

    return make if function is None else make(function)


def optimizer(function: Callable[..., Any]) -> Decorated:
    """An optimiser from a function that returns an `optax.GradientTransformation`.

    The transformation gives the direction to subtract from the weights, as `optax.scale_by_adam`
    does: learning rate, schedule and decoupled weight decay are fields of every optimiser. One that
    gives the update to add, such as `optax.adamw(1.0)`, needs its sign turned:
    `optax.chain(..., optax.scale(-1.0))`.
    """
    return _word(Optimizer, "direction", function, 0)


def gradient_modifier(function: Callable[..., Any]) -> Decorated:
    """A modifier of gradients from a function that returns an `optax.GradientTransformation`."""
    return _word(GradientModifier, "transformation", function, 0)


def update_modifier(function: Callable[..., Any]) -> Decorated:
    """A modifier of updates from a function that returns an `optax.GradientTransformation`."""
    return _word(UpdateModifier, "transformation", function, 0)


def model(function: Callable[..., Any]) -> Decorated:
    """A network from a function of the `Dataset` that returns a `flax.linen.Module`.

    The module takes tokens `[N, T]` or features `[N, I]` to logits `[N, C]`.
    """
    return _word(Model, "network", function, 1)


def instrument(
    function: Callable[..., Any] | None = None,
    *,
    cadence: Cadence = "log_points",
    needs_optimizer: bool = False,
    needs_end: bool = False,
) -> Any:
    """An instrument from a function of a `grokjax.measures.Observed`.

    The function is called with the network at every log point and returns a number, an array, or a
    dictionary of them; `results.measures` holds these. With arguments it is a decorator of the
    function: `@own.instrument(cadence="table")`.

    Args:
      function: of what is observed.
      cadence: when it measures, see `Instrument.cadence`.
      needs_optimizer: whether it looks at `observed.update` or `observed.preconditioner`.
      needs_end: whether it looks at `observed.end`.
    """
    facts = {"cadence": cadence, "needs_optimizer": needs_optimizer, "needs_end": needs_end}
    known = typing.get_args(Cadence)
    require(cadence in known, "cadence", cadence, f"choose from {', '.join(known)}")

    def make(function: Callable[..., Any]) -> Decorated:
        return _word(Instrument, "measure", function, 1, facts)

    return make if function is None else make(function)


def operation(function: Callable[..., Any]) -> Decorated:
    """A task from a function of arrays of operands a, b, … → results, all of them whole numbers.

    The class has the fields of `Operation` that are about rows and tokens: `p`, how many values
    operands have, `format`, `where`, `separate_tokens`, and `classes`, which is p unless it is
    given. A function with an argument `p`, by name only, is given it. As many operands as the
    function takes by place are in a row.

    >>> __name__ = "mine"  # as in a file mine.py of yours
    >>> from grokjax import own, tasks
    >>> @own.operation
    ... def cube_sum(a, b, *, p: int):
    ...     return (a**3 + b**3) % p
    >>> table = tasks.build(cube_sum(p=7))
    >>> table.inputs[9].tolist(), int(table.targets[9])  # 1³ + 2³ = 2 modulo 7; the token 7 is "="
    ([1, 2, 7], 2)
    """
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    operands = len(kinds) - kinds.count(inspect.Parameter.KEYWORD_ONLY)
    name = getattr(function, "__name__", repr(function))
    remedy = f"name 1 to {MOST_OPERANDS} operands one by one, and put a * before what is a field"
    if inspect.Parameter.VAR_POSITIONAL in kinds or not 1 <= operands <= MOST_OPERANDS:
        raise ConfigError(f"{name}: {remedy}.")
    return _word(OperationTable, "results", function, operands, {"n_operands": operands})


def _word(
    base: type[Config],
    method: str,
    function: Callable[..., Any],
    arguments: int,
    facts: Mapping[str, Any] = types.MappingProxyType({}),
) -> Decorated:
    """A subclass of `base` whose method calls the function.

    Args:
      base: Task, Loss or another base class of parts.
      method: name of the method that the function becomes.
      function: the user's function; its keyword-only arguments become fields.
      arguments: how many positional arguments the method is called with.
      facts: attributes of the class.
    """
    parameters = inspect.signature(function).parameters.values()
    by_name = [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    name = getattr(function, "__name__", repr(function))
    if len(parameters) - len(by_name) != arguments:
        raise ConfigError(
            f"{name}: it takes {len(parameters) - len(by_name)} arguments where {arguments} "
            f"{'is' if arguments == 1 else 'are'} given, put a * before those that are fields."
        )
    if why := source.why_unnamed(function):
        raise ConfigError(f"{name}: {why}.")
    known = [field.name for field in dataclasses.fields(typing.cast(Any, base))]
    hints = typing.get_type_hints(function)
    fields = []
    for parameter in (p for p in parameters if p.name in by_name):
        if parameter.name in known and parameter.default is parameter.empty:
            continue  # it is given the field that the base class has
        if parameter.name not in hints or parameter.default is parameter.empty:
            raise ConfigError(
                f"{name}, {parameter.name}: a field has a type and a default, write "
                f"`{parameter.name}: float = traced(1.0)` or `{parameter.name}: int = 1`."
            )
        fields.append((parameter.name, hints[parameter.name], parameter.default))

    @functools.wraps(function)
    def call(self: Any, *given: Any) -> Any:
        return function(*given, **{field: getattr(self, field) for field in by_name})

    namespace = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__ or f"`{name}`, from a function.",
        **facts,
        "kind": source.qualified_name(function),
        "function": staticmethod(function),
        method: call,
    }
    cls: Decorated = dataclasses.make_dataclass(
        name, fields, bases=(base,), namespace=namespace, frozen=True, kw_only=True
    )
    # From Python 3.12 on `make_dataclass` says that it was made here.
    cls.__module__ = function.__module__
    return cls


DECORATORS: dict[str, tuple[type[Config], Callable[[Callable[..., Any]], Decorated]]] = {
    "task": (Task, operation),
    "model": (Model, model),
    "optimizer": (Optimizer, optimizer),
    "loss": (Loss, loss),
    "modifiers": (Modifier, gradient_modifier),
    "instruments": (Instrument, instrument),
}
"""Field of an experiment → its base class, and the decorator that makes one of a function."""


def as_word(field: str, value: Any) -> Any:
    """The part of an experiment that a class or a plain function stands for; others as they are.

    Args:
      field: name of the experiment's field, such as `loss`.
      value: a part, its class, a function, or a list of these for modifiers and instruments.
    """
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return tuple(as_word(field, one) for one in value)
    base, decorate = DECORATORS[field]
    if isinstance(value, type) and issubclass(value, base):
        return value()
    if inspect.isfunction(value):
        return decorate(value)()
    if hasattr(value, "_fields") and hasattr(value, "update"):
        raise ConfigError(
            f"{field}: this optax transformation has no name, write a function that returns it "
            f"and give that one: `def mine(): return optax.…`."
        )
    return value
