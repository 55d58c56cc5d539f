"""Numbers to learn from Gaussian inputs.

Legend: N rows, I features, J components of a polynomial or units of a teacher.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import hermite_e

from grokjax.config.coercion import require
from grokjax.config.regression import GaussianInputs, PolynomialRegression, TeacherStudent
from grokjax.tasks.boolean import hidden_rng
from grokjax.tasks.dataset import Dataset, make_dataset


def directions(task: PolynomialRegression) -> np.ndarray:
    """The unit vectors u_j [J, I], row j-1 for degree j."""
    vectors = hidden_rng(task.table_seed).normal(size=(task.degree, task.n_inputs))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def teacher_weights(task: TeacherStudent) -> tuple[np.ndarray, np.ndarray]:
    """Weights w [J, I] and v [J] of the teacher."""
    rng = hidden_rng(task.table_seed)
    first = rng.normal(size=(task.teacher_units, task.n_inputs)) / math.sqrt(task.n_inputs)
    return first, rng.normal(size=task.teacher_units)


def real_table(task: GaussianInputs, inputs: np.ndarray, targets: np.ndarray) -> Dataset:
    """The table of a regression task.

    Args:
      task: says which errors are tolerated.
      inputs: features [N, I].
      targets: numbers [N].
    """
    return Dataset(inputs, targets, vocabulary=0, n_classes=1, tolerance=task.tolerance)


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
    """The outputs of a random network, standardised over the table."""
    inputs = np.random.default_rng(task.table_seed).normal(size=(task.n_rows, task.n_inputs))
    first, second = teacher_weights(task)
    hidden = inputs @ first.T
    outputs = (hidden if task.teacher == "linear" else np.maximum(hidden, 0)) @ second
    remedy = "this teacher answers every row alike, choose another seed or more samples"
    require(outputs.std() > 0, "table_seed", task.table_seed, remedy)
    return real_table(task, inputs, (outputs - outputs.mean()) / outputs.std())
