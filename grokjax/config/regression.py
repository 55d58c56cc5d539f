"""The configuration of regression tasks: numbers to learn from Gaussian inputs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.boolean import MOST_ROWS
from grokjax.config.coercion import require
from grokjax.config.modular import check_table_seed
from grokjax.config.parts import RowError, Task

__all__ = ["PolynomialRegression", "TeacherStudent"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianInputs(Task):
    """One number or several for each of the inputs x ~ N(0, I)."""

    target_kind: ClassVar[Literal["classes", "sequence", "real"]] = "real"
    encoding: ClassVar[Literal["tokens", "features"]] = "features"

    n_inputs: int = 10
    """Number of inputs in a row."""
    samples: int | None = 2000
    """Number of rows in the table."""
    tolerance: float = 0.1
    """Largest distance from its target at which a prediction counts as right in accuracies, or
    largest mean square where `row_error` says so."""
    table_seed: int = 0
    """Seed of the rows and of the random function."""

    def check(self) -> None:
        require(1 <= self.n_inputs <= 10_000, "n_inputs", self.n_inputs, "give 1 to 10000")
        remedy = f"there is no table of all real inputs, give 2 to {MOST_ROWS} rows"
        drawn = self.samples is not None and 2 <= self.samples <= MOST_ROWS
        require(drawn, "samples", self.samples, remedy)
        require(self.tolerance > 0, "tolerance", self.tolerance, "give a positive number")
        check_table_seed(self.table_seed)

    @property
    def n_rows(self) -> int:
        """Rows drawn."""
        return self.samples or 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PolynomialRegression(GaussianInputs):
    """A ladder of degrees, `y = Σ_j He_j(u_j·x) / √(j! degree) + noise`, j = 1 … degree.

    He_j are the probabilists' Hermite polynomials and u_j random unit vectors, so the degrees
    are uncorrelated, carry equal variance, and y without noise has variance 1. Kumar et al. 2023
    (arXiv 2310.06110) grok a single such component.
    """

    kind: ClassVar[str] = "polynomial_regression"

    degree: int = 2
    """Largest degree of a component."""
    noise_std: float = 0.0
    """Standard deviation of the Gaussian noise on every target."""

    def check(self) -> None:
        super().check()
        require(1 <= self.degree <= 20, "degree", self.degree, "give 1 to 20")
        require(self.noise_std >= 0, "noise_std", self.noise_std, "give 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherStudent(GaussianInputs):
    """The outputs `y = V σ(W x)` of a random teacher, by default standardised over the table.

    Linear: σ(z) = z, as in Levi et al. 2023 (arXiv 2310.16441); ReLU: σ(z) = max(0, z), as in
    Saad & Solla 1995 with another σ; tanh in several layers and of several outputs: Liu et al.
    2022b (Omnigrok, arXiv 2210.01117). Weights are standard normal, those of hidden layers divided
    by the square root of their inputs.
    """

    kind: ClassVar[str] = "teacher_student"

    teacher: Literal["linear", "relu", "tanh"] = "relu"
    """Activation σ of the teacher's hidden units."""
    teacher_units: int = 4
    """Number of hidden units in a layer of the teacher; a linear teacher is a linear map with any
    number."""
    teacher_layers: int = 1
    """Number of hidden layers of the teacher."""
    teacher_init: Literal["normal", "torch"] = "normal"
    """What the teacher's weights are drawn from. normal: as above, without biases; torch: weights
    and biases uniform within ±1/√inputs of their layer, PyTorch's default for a linear map."""
    n_outputs: int = 1
    """Numbers that a row's target has."""
    standardised: bool = True
    """Whether every output is shifted and scaled to mean 0 and variance 1 over the table."""
    row_error: RowError = "largest"
    """Which error of a row's outputs is compared with `tolerance`. largest: the largest distance;
    mean_square: the mean of the squared distances (Omnigrok: below 0.001)."""

    def check(self) -> None:
        super().check()
        remedy = "give 1 to 10000 units"
        require(1 <= self.teacher_units <= 10_000, "teacher_units", self.teacher_units, remedy)
        remedy = "give 1 to 100 layers"
        require(1 <= self.teacher_layers <= 100, "teacher_layers", self.teacher_layers, remedy)
        require(1 <= self.n_outputs <= 10_000, "n_outputs", self.n_outputs, "give 1 to 10000")
