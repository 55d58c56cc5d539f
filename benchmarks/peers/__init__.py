"""The training step as others write it: which experiments they can train, and everybody who does.

`python -m grokjax.bench --peers` times them beside grokjax's own, in a checkout. They share no
code with grokjax's networks.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from benchmarks.peers import plain_jax
from grokjax.bench import ours
from grokjax.bench.contender import Contender
from grokjax.config import MLP, AdamW, Experiment, Model, Optimizer, Transformer
from grokjax.config.coercion import require
from grokjax.config.fields import Config

SAME_LOSS = 1e-3
"""Relative difference of the first losses up to which a peer trains the same network."""
FOLLOWED = (
    *("task", "model", "optimizer", "loss", "train_fraction", "seed", "split_seed"),
    *("steps", "settle_steps", "log_every", "matmul_precision", "thresholds", "sweep", "refine"),
)
"""Fields of an experiment that peers follow, or that do not touch a training step."""
INITIAL = ("init", "init_scale", "embed_init_scale", "body_init_scale", "unembed_init_scale")
"""Fields of a model that say no more than the initial weights do, which peers are given."""


def check(experiment: Experiment) -> None:
    """Refuse what peers would not train as it is meant."""
    known = {
        "task": (experiment.task.encoding, "tokens"),
        "target_kind": (experiment.task.target_kind, "classes"),
        "n_always": (experiment.task.n_always, 0),
        "model": (experiment.model.kind, "mlp", "transformer"),
        "optimizer": (experiment.optimizer.kind, "adamw"),
        "loss": (experiment.loss.kind, "cross_entropy", "mse"),
    }
    for name, (value, *kinds) in known.items():
        remedy = f"peers know {' and '.join(map(str, kinds))} only, leave peers out"
        require(value in kinds, name, value, remedy)
    trained = dataclasses.replace(Experiment(), **_values(experiment, FOLLOWED))
    check_fields(experiment, trained)
    check_fields(experiment.model, _model(experiment.model))
    check_fields(experiment.optimizer, _optimizer(experiment.optimizer))


def check_fields(given: Config, trained: Config) -> None:
    """Refuse a part where it differs from the one that peers would train for it."""
    trained = trained.resolved()
    for name, value in given.resolved().values().items():
        theirs = getattr(trained, name)
        remedy = f"peers have {theirs!r} here, give that or leave peers out"
        require(value == theirs, name, value, remedy)


def contenders(experiment: Experiment, lanes: int) -> list[Contender]:
    """Everybody else, each checked to train the same network."""
    from benchmarks.peers import torch_steps

    workload, losses = ours.workload(experiment)
    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    peers = [plain_jax.contender(workload), *torch_steps.contenders(workload, device, lanes)]
    for peer in peers:
        found = peer.steps(len(losses))
        if not np.allclose(found, losses, rtol=SAME_LOSS):
            raise RuntimeError(f"{peer.name} trains another network: {found}, not {losses}")
    return peers


def _model(model: Model) -> Model:
    """The network that peers would train for this one."""
    initial = _values(model, INITIAL)
    if isinstance(model, Transformer):
        names = ("width", "mlp_width", "layers", "heads", "head_width", "causal", "readout")
        norm = model.norm if model.norm in ("none", "pre") else "pre"
        return Transformer(norm=norm, **_values(model, names), **initial)
    assert isinstance(model, MLP)
    if model.token_inputs == "one_hot":
        return MLP.quadratic(**_values(model, ("width", "mlp_width")), **initial)
    return MLP(**_values(model, ("width", "mlp_width", "biases")), **initial)


def _optimizer(optimizer: Optimizer) -> AdamW:
    """The optimiser that peers would take for this one."""
    return AdamW(**_values(optimizer, ("learning_rate", "b1", "b2", "eps", "weight_decay")))


def _values(config: Config, names: tuple[str, ...]) -> dict:
    return {name: getattr(config, name) for name in names}
