"""Instruments of structure: whether there is a circuit, and which.

In the formulas L are the logits `[a, b, c]` of the whole table, for the row of the operands a and b
and the class c.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.coercion import require, within
from grokjax.config.parts import Cadence, Instrument, Model, Task

__all__ = [
    "ClockOrPizza",
    "Cosets",
    "Fourier",
    "Parallelograms",
    "Representations",
    "Symmetry",
]


def _no_group(task: Task) -> str | None:
    if task.group_table and task.target_kind == "classes":
        return None
    return f"the table of {task.kind} with these fields is that of no group"


def _no_cyclic_group(task: Task) -> str | None:
    if task.group_table == "cyclic" and task.target_kind == "classes":
        return None
    return f"the table of {task.kind} with these fields is that of no cyclic group"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fourier(Instrument):
    """Fourier structure of a cyclic task: progress measures of Nanda et al. 2023 (2301.05217).

    Which frequencies are key is told by three rules, kept apart: `embedding` (norm of a frequency's
    two rows above a quarter of the largest), `neurons` (a frequency that explains 85 % of at least
    2 % of the live hidden units) and `logits` (cosine similarity of L and cos 2πk(a+b−c)/n above
    0.005). Restricted loss: of L with only its mean and the key directions of a + b; excluded
    loss: of L without these, on training rows. Circulant share: ‖E[L | a+b−c]‖² / ‖L‖², centred,
    which needs no key. Multiplication and division are taken through the discrete logarithm.
    """

    kind: ClassVar[str] = "fourier"
    cadence: ClassVar[Cadence] = "table"
    needs_end: ClassVar[bool] = True

    keys: tuple[int, ...] = ()
    """Key frequencies to use beside those that the rules find."""

    def why_not(self, task: Task, model: Model) -> str | None:
        return _no_cyclic_group(task)

    def check(self) -> None:
        require(all(k > 0 for k in self.keys), "keys", self.keys, "frequencies are 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representations(Instrument):
    """The same for any group, from its characters (Chughtai et al. 2023, arXiv 2302.03025).

    Logit similarity of the irrep ρ: the cosine of L, centred over c, and χ_ρ(a b c⁻¹). An irrep is
    key above 0.005. Restricted loss: of Σ_key sim ‖L‖ χ̂; excluded loss: of L without it, on
    training rows. Bi-invariant share: ‖class-function average of L‖² / ‖L‖², which needs no key.
    Share of a matrix in each irrep: ‖P_ρ W‖² / ‖W‖², P_ρ[g, h] = d_ρ χ_ρ(g h⁻¹) / |G|.
    """

    kind: ClassVar[str] = "representations"
    cadence: ClassVar[Cadence] = "table"
    needs_end: ClassVar[bool] = True

    def why_not(self, task: Task, model: Model) -> str | None:
        return _no_group(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosets(Instrument):
    """Whether hidden units see cosets of a subgroup (Stander et al. 2023, arXiv 2312.06581).

    Σ_cosets Var(unit | coset) / Var(unit), over a unit's contribution by each operand, its smallest
    value over the conjugates of a subgroup: 0 is a unit that is constant on cosets.
    """

    kind: ClassVar[str] = "cosets"
    cadence: ClassVar[Cadence] = "snapshots"

    def why_not(self, task: Task, model: Model) -> str | None:
        if task.group_table == "cyclic":
            return "its group is cyclic, whose structure Fourier shows"
        if task.operands and max(task.operands) > 120:
            return "its group has more than 120 elements"
        return _no_group(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClockOrPizza(Instrument):
    """Which of two algorithms adds (Zhong et al. 2023, arXiv 2306.17844).

    Gradient symmetricity: mean over rows and classes of cos(∂L_c/∂E_a, ∂L_c/∂E_b). Distance
    irrelevance: mean over d of std_i L[i, i+d, 2i+d] over the std of the right logits. Circularity
    of the embedding's four first principal components x: max_k 2|Σ_j x_j e^{2πijk/n}|² / (n Σx²).
    An untrained network has symmetricity and irrelevance near 1: compare with step 0.
    """

    kind: ClassVar[str] = "clock_or_pizza"
    cadence: ClassVar[Cadence] = "table"

    samples: int = 256
    """Rows and classes that the symmetricity is a mean over, the same at every step."""

    def check(self) -> None:
        within(self.samples, "samples", 1, 2**22)

    def why_not(self, task: Task, model: Model) -> str | None:
        if not getattr(model, "residual", False):
            return "it needs embeddings of tokens"
        return _no_cyclic_group(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parallelograms(Instrument):
    """Representation quality index of Liu et al. 2022 (arXiv 2205.10343).

    The share of parallelograms E_i + E_j = E_m + E_n, within `tolerance` times the embedding's
    standard deviation, among the pairs of operands that have the same answer. It means something
    where operands lie on a line: a perfect circle of modular addition has 0.004.
    """

    kind: ClassVar[str] = "parallelograms"

    tolerance: float = 0.02
    """Largest distance between the two sums, over the root mean square of the embedding."""

    def check(self) -> None:
        require(self.tolerance > 0, "tolerance", self.tolerance, "give a positive number")

    def why_not(self, task: Task, model: Model) -> str | None:
        if not getattr(model, "residual", False):
            return "it needs embeddings of tokens"
        if getattr(task, "separate_tokens", False):
            return "each operand has embeddings of its own"
        if task.operands is None or max(task.operands) > 60 or task.target_kind != "classes":
            return f"{task.kind} has no table of two operands of at most 60 values"
        return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Symmetry(Instrument):
    """How far the logits are from the symmetries of the task.

    ‖L(a,b) − L(b,a)‖ / ‖L‖ where the operation commutes, and ‖L(ga, b, gc) − L(a, b, c)‖ / ‖L‖ for
    one element g of the group, both centred over c. A perfect network has neither at 0.
    """

    kind: ClassVar[str] = "symmetry"
    cadence: ClassVar[Cadence] = "table"

    def why_not(self, task: Task, model: Model) -> str | None:
        return _no_group(task)
