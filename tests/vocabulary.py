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
TASKS["modular_arithmetic all"] = _task(ModularArithmetic("sub", p=7, loss_on="all"))
TASKS["sequence all"] = _task(grokjax.Sequence("reverse", symbols=3, length=3, loss_on="all"))
TASKS["table answers"] = _task(
    grokjax.Table(
        [[a, b] for a in range(5) for b in range(6)],
        [[a % 3, b] for a in range(5) for b in range(6)],
    )
)
TASKS["table numbers"] = _task(
    grokjax.Table(
        [[a, b] for a in range(5) for b in range(6)],
        [[a - b / 2.0, 0.1 * a * b] for a in range(5) for b in range(6)],
        row_error="mean_square",
    )
)
TASKS["teacher_student tanh"] = _task(
    grokjax.TeacherStudent(
        teacher="tanh", n_inputs=3, teacher_layers=2, n_outputs=2, samples=40,
        teacher_init="torch", standardised=False, row_error="mean_square", tolerance=1e-3,
    )
)  # fmt: skip
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
# What other people's networks have, several forms in each.
MODELS |= {
    "mlp tied": {
        "model": grokjax.MLP(
            width=12, mlp_width=12, tied=True, layers=2, skip_connections=True, activation="tanh",
            init="kaiming_normal", embed_init="frequencies", frequencies=[1, 2],
        )
    },
    "mlp frequencies": {
        "model": grokjax.MLP(
            mlp_width=12, token_inputs="one_hot", embed_init="frequencies", frequencies=[2, 1],
            init="xavier_uniform", activation="leaky_relu",
        )
    },
    "transformer peri": {
        "model": dataclasses.replace(
            TRANSFORMER, norm="peri", gated=True, activation="silu", positions="sinusoidal",
            embed_scale=2.0, biases=True, attention_biases=False, init="kaiming_uniform",
        )
    },
    "transformer stream": {
        "model": dataclasses.replace(
            TRANSFORMER, norm="stream", norm_kind="rms", qk_norm=True, positions="rotary",
            rotary_base=1e6, init="xavier_normal", activation="gelu_tanh", layers=2,
        )
    },
    "transformer places": {
        "model": dataclasses.replace(
            TRANSFORMER, norm="values", value_norm=True, norm_gains=False, dropout=0.1,
            dropout_places=["weights", "hidden"], embed_init="identity", final_norm=True,
            init="gpt2", init_scale=10.0, activation="sigmoid", norm_biases=True,
        )
    },
    "transformer multihead": {
        "model": dataclasses.replace(
            TRANSFORMER, attention_init="multihead", biases=True, init="torch"
        )
    },
}  # fmt: skip
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
    "adamw step": {
        "optimizer": grokjax.AdamW(
            learning_rate=2e-2,
            schedule="step",
            schedule_steps=15,
            schedule_factor=0.7,
            warmup_steps=5,
            warmup_shape="linear_from_start",
        )
    },
    "adamw exponential": {
        "optimizer": grokjax.AdamW(
            learning_rate=2e-2,
            schedule="exponential",
            schedule_steps=50,
            schedule_factor=0.5,
            warmup_steps=5,
            warmup_shape="exponential",
            warmup_start=0.1,
        )
    },
    "adamw noam": {
        "optimizer": grokjax.AdamW(learning_rate=2e-2, schedule="inverse_sqrt", warmup_steps=5)
    },
    "groups": {"groups": ParameterGroups(embed_learning_rate=0.5, bias_decay=0.0)},
    "batches": {"batch_size": 4},
    "batches whole": {"batch_size": 4, "batches": "keep_last"},
    "batches drawn": {"batch_size": 0.3, "batches": "replacement"},
}
MODIFIERS = {
    modifier.kind: {"modifiers": (modifier,)}
    for modifier in (
        grokjax.GrokfastEMA(),
        grokjax.GrokfastMA(window=5, factor=1.0),
        grokjax.ClipNorm(0.05),
        grokjax.ClipValue(0.01),
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
    "sparsemax": {"loss": grokjax.Sparsemax()},
    "hinge": {"loss": grokjax.Hinge()},
    "cross_entropy float16": {"dtype": "float32", "loss_dtype": "float16"},
}
SPLITS = {
    "random": {},
    "rows": {"split": "rows"},
    "columns": {"split": "columns"},
    "balanced": {"split": "balanced"},
    "given": {
        "split": grokjax.GivenSplit(train=range(0, 25, 2), test=range(1, 20, 2), share=0.8),
        "train_fraction": 0.5,
    },
    "groups": {"split": grokjax.GroupSplit("(a + 2 * b) % 5")},
    "no test set": {"train_fraction": 1.0},
    "label noise": {"label_noise": 0.3},
    "label noise other": {"label_noise": 0.3, "label_noise_kind": "other"},
    "label noise next": {"label_noise": 0.3, "label_noise_kind": "next"},
    "label noise fixed": {"label_noise": 0.3, "label_noise_kind": "fixed", "noise_class": 2},
    "changes": {
        "changes": (
            Change(20, weight_decay=1.0, learning_rate=1e-2),
            Change(40, train_fraction=0.8, split_seed=3),
        )
    },
    "changes at moments": {
        "changes": (Change(20, weight_decay=0.5), Change(at="t_mem", delay=5, learning_rate=1e-2))
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

REPEATED = {
    word
    for word, experiment in WORDS.items()
    if word.startswith("task") and (experiment.model, experiment.loss) == (BASE.model, BASE.loss)
}
"""Tasks whose network and loss are those of another word."""
ALWAYS = [word for word in WORDS if " " not in word.split(": ")[1] and word not in REPEATED]
"""Every kind of word once. Its other forms, and tasks that repeat, are tested by samples."""
