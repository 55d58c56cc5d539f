"""Numbers to learn from Gaussian inputs.

Legend: N rows, I features, J components of a polynomial or units of a teacher, K outputs.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import hermite_e

from grokjax.config.coercion import require
from grokjax.config.regression import GaussianInputs, PolynomialRegression, TeacherStudent
from grokjax.tasks.boolean import hidden_rng
from grokjax.tasks.dataset import Dataset, make_dataset

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
}


def directions(task: PolynomialRegression) -> np.ndarray:
    """The unit vectors u_j [J, I], row j-1 for degree j."""
    vectors = hidden_rng(task.table_seed).normal(size=(task.degree, task.n_inputs))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def teacher_layers(task: TeacherStudent) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights [J, I] and biases [J] of the teacher's layers; the last makes the outputs."""
    rng, widths = hidden_rng(task.table_seed), [task.n_inputs]
    widths += [task.teacher_units] * task.teacher_layers + [task.n_outputs]
    layers = []
    for at, (inputs, units) in enumerate(itertools.pairwise(widths), start=1):
        if task.teacher_init == "torch":
            edge = 1 / math.sqrt(inputs)
            weights = rng.uniform(-edge, edge, size=(units, inputs))
            layers.append((weights, rng.uniform(-edge, edge, size=units)))
        else:
            size = 1.0 if at == len(widths) - 1 else math.sqrt(inputs)
            layers.append((rng.normal(size=(units, inputs)) / size, np.zeros(units)))
    return layers


def real_table(task: GaussianInputs, inputs: np.ndarray, targets: np.ndarray) -> Dataset:
    """The table of a regression task.

    Args:
      task: says which errors are tolerated.
      inputs: features [N, I].
      targets: numbers [N], or K of them a row [N, K].
    """
    count = 1 if targets.ndim == 1 else targets.shape[1]
    return Dataset(inputs, targets, vocabulary=0, n_classes=count, tolerance=task.tolerance)


@make_dataset.register
def polynomial_regression(task: PolynomialRegression) -> Dataset:
    """A sum of orthonormal Hermite components of rising degree, with noise."""
    rng = np.random.default_rng(task.table_seed)
    inputs = rng.normal(size=(task.n_rows, task.n_inputs))
    targets = task.noise_std * rng.normal(size=task.n_rows)
    for degree, along in enumerate((inputs @ directions(task).T).T, start=1):
        component = hermite_e.hermeval(along, [0] * degree + [1])
        targets = targets + component / math.sqrt(math.factorial(degree) * task.degree)
    return real_table(task, inputs, targets)


@make_dataset.register
def teacher_student(task: TeacherStudent) -> Dataset:
    """The outputs of a random network."""
    inputs = np.random.default_rng(task.table_seed).normal(size=(task.n_rows, task.n_inputs))
    *hidden_layers, (last, bias) = teacher_layers(task)
    hidden = inputs
    for weights, biases in hidden_layers:
        hidden = ACTIVATIONS[task.teacher](hidden @ weights.T + biases)
    # One output is a product with a vector, whose sums have the order that they had before there
    # were several.
    outputs = hidden @ last[0] + bias[0] if task.n_outputs == 1 else hidden @ last.T + bias
    remedy = "this teacher answers every row alike, choose another seed or more samples"
    require(bool((outputs.std(axis=0) > 0).all()), "table_seed", task.table_seed, remedy)
    if task.standardised:
        outputs = (outputs - outputs.mean(axis=0)) / outputs.std(axis=0)
    return dataclasses.replace(real_table(task, inputs, outputs), row_error=task.row_error)
