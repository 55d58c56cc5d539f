"""The configuration of regression tasks: numbers to learn from Gaussian inputs."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.boolean import MOST_ROWS
from grokjax.config.coercion import require
from grokjax.config.modular import check_table_seed
from grokjax.config.parts import Task

__all__ = ["PolynomialRegression", "TeacherStudent"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianInputs(Task):
    """A number for each of the inputs x ~ N(0, I)."""

    target_kind: ClassVar[Literal["classes", "sequence", "real"]] = "real"
    encoding: ClassVar[Literal["tokens", "features"]] = "features"

    n_inputs: int = 10
    """Number of inputs in a row."""
    samples: int | None = 2000
    """Number of rows in the table."""
    tolerance: float = 0.1
    """Largest distance from its target at which a prediction counts as right in accuracies."""
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
    """The outputs `y = Σ_j v_j σ(w_j·x)` of a random teacher, standardised over the table.

    Linear: σ(z) = z, as in Levi et al. 2023 (arXiv 2310.16441); ReLU: σ(z) = max(0, z), as in
    Saad & Solla 1995 with another σ. Weights are standard normal, w_j divided by √n_inputs.
    """

    kind: ClassVar[str] = "teacher_student"

    teacher: Literal["linear", "relu"] = "relu"
    """Activation σ of the teacher's hidden units."""
    teacher_units: int = 4
    """Number of hidden units of the teacher; a linear teacher is a linear map with any number."""

    def check(self) -> None:
        super().check()
        remedy = "give 1 to 10000 units"
        require(1 <= self.teacher_units <= 10_000, "teacher_units", self.teacher_units, remedy)
