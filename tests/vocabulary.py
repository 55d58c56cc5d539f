"""A small experiment for every word of the vocabulary, by what the word is."""

import dataclasses

import own_words
from task_examples import EXAMPLES

import grokjax
from grokjax import Change, Experiment, MeanSquaredError, ModularArithmetic, ParameterGroups

PERCEPTRON = grokjax.MLP(width=6, mlp_width=12)
TRANSFORMER = grokjax.Transformer(width=8, heads=2, mlp_width=12)
BASE = Experiment(
    task=ModularArithmetic("sub", p=5, format="a b"),
    model=PERCEPTRON,
    optimizer=grokjax.AdamW(learning_rate=2e-2, weight_decay=0.1),
    train_fraction=0.6,
    dtype="float64",
    steps=60,
    log_every=10,
)


def _task(task):
    """A task with the network and the loss that it needs."""
    sequence = {"model": TRANSFORMER} if task.target_kind == "sequence" else {}
    real = {"loss": MeanSquaredError()} if task.target_kind == "real" else {}
    return {"task": task, **sequence, **real}


TASKS = {kind: _task(task) for kind, task in EXAMPLES.items()}
TASKS["mnist"]["optimizer"] = grokjax.AdamW(learning_rate=2e-3)  # so few hidden units die of more
MODELS = {
    "mlp": {},
    "mlp sum": {"model": dataclasses.replace(PERCEPTRON, token_inputs="sum", biases=True)},
    "mlp quadratic": {"model": grokjax.MLP.quadratic(12), "loss": MeanSquaredError()},
    "mlp bilinear": {"model": grokjax.MLP.bilinear(12, width=6, layers=2)},
    "mlp linear": {"model": grokjax.MLP.linear(biases=True)},
    "mlp mup": {
        "model": grokjax.MLP(mlp_width=12, scaling="mup", base_width=4, token_inputs="one_hot")
    },
    "mlp features": {**TASKS["digits"], "model": grokjax.MLP(mlp_width=12, layers=2, init="torch")},
    "transformer": {"model": TRANSFORMER},
    "transformer dropout": {"model": dataclasses.replace(TRANSFORMER, dropout=0.1)},
    "transformer rotary": {
        "model": dataclasses.replace(TRANSFORMER, positions="rotary", attention_rate=0.5)
    },
    "transformer uniform": {
        "model": dataclasses.replace(
            TRANSFORMER, attention="uniform", norm="pre", scaling="mup", output_scale=2.0
        )
    },
}
OPTIMIZERS = {
    "adamw": {},
    "adam": {"optimizer": grokjax.Adam(learning_rate=1e-2, weight_decay=1e-3)},
    "sgd": {"optimizer": grokjax.SGD(learning_rate=0.3, momentum=0.9, weight_decay=1e-3)},
    "sgd decoupled": {
        "optimizer": grokjax.SGD(learning_rate=0.3, nesterov=True, decay="decoupled", momentum=0.5)
    },
    "muon": {"optimizer": grokjax.Muon(), "model": TRANSFORMER},
    "lion": {"optimizer": grokjax.Lion(learning_rate=2e-2)},
    "rmsprop": {"optimizer": grokjax.RMSProp(learning_rate=1e-2, schedule="linear")},
    "adamw cosine": {
        "optimizer": grokjax.AdamW(
            learning_rate=2e-2, schedule="cosine", schedule_steps=50, warmup_steps=5
        )
    },
    "groups": {"groups": ParameterGroups(embed_learning_rate=0.5, bias_decay=0.0)},
    "batches": {"batch_size": 4},
}
MODIFIERS = {
    modifier.kind: {"modifiers": (modifier,)}
    for modifier in (
        grokjax.GrokfastEMA(),
        grokjax.GrokfastMA(window=5, factor=1.0),
        grokjax.OrthoGrad(),
        grokjax.GradientNoise(),
        grokjax.WeightNoise(),
        grokjax.SAM(),
        grokjax.L1(),
        grokjax.DecayToStart(),
        grokjax.NormProjection(),
        grokjax.NormClamp(),
    )
}
LOSSES = {
    "cross_entropy": {},
    "stablemax": {"loss": grokjax.StableMax()},
    "mse": {"loss": MeanSquaredError()},
    "hinge": {"loss": grokjax.Hinge()},
}
SPLITS = {
    "random": {},
    "rows": {"split": "rows"},
    "columns": {"split": "columns"},
    "balanced": {"split": "balanced"},
    "label noise": {"label_noise": 0.3},
    "changes": {
        "changes": (
            Change(20, weight_decay=1.0, learning_rate=1e-2),
            Change(40, train_fraction=0.8, split_seed=3),
        )
    },
}
OWN = {
    "task": {"task": own_words.difference(p=5)},
    "lstm": {"model": own_words.recurrent()},
    "convolutions": {**TASKS["digits"], "model": own_words.ConvolutionalNetwork()},
    "optax": {"optimizer": own_words.adam(learning_rate=2e-2)},
    "modifier": {"modifiers": (own_words.clipped(),)},
    "loss": {"loss": own_words.softened(temperature=0.7)},
    "random loss": {"loss": own_words.guessed()},
    "instruments": {"instruments": (own_words.norms, own_words.trained_accuracy)},
}
"""Words that are not grokjax's, each as one of those that are."""
WORDS = {
    f"{family}: {word}": dataclasses.replace(BASE, **changes)
    for family, words in {
        "task": TASKS,
        "model": MODELS,
        "optimiser": OPTIMIZERS,
        "modifier": MODIFIERS,
        "loss": LOSSES,
        "data": SPLITS,
        "own": OWN,
    }.items()
    for word, changes in words.items()
}
