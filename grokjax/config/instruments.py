"""The instruments that come with grokjax: what is measured of a network, and when.

What each computes is registered in `measures/`. Sources, costs and what misleads stand in
docs/instruments.md. In the formulas L are the logits `[a, b, c]` of the whole table, for the row of
the operands a and b and the class c.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require
from grokjax.config.parts import Cadence, Instrument, Model, Task

__all__ = [
    "Ablations",
    "ClockOrPizza",
    "Commutator",
    "Cosets",
    "Efficiency",
    "Fourier",
    "Heads",
    "Hessian",
    "IntrinsicDimension",
    "LearningCoefficient",
    "Norms",
    "Numerics",
    "Parallelograms",
    "Probes",
    "Representations",
    "Similarity",
    "Spectra",
    "Symmetry",
    "Trajectory",
]


def _no_group(task: Task) -> str | None:
    if task.group_table:
        return None
    return f"the table of {task.kind} with these fields is that of no group"


def _not_one_class(task: Task) -> str | None:
    if task.target_kind == "classes":
        return None
    return f"the rows of {task.kind} do not ask for one class"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norms(Instrument):
    """Norms ‖w‖₂ and ‖w‖∞ by role, and the entropy of the weights' absolute values.

    Roles are embed, body, unembed and bias. The entropy is −Σ q ln q with q = |w| / Σ|w|, over the
    logarithm of the number of weights (absolute weight entropy, Golechha 2024, arXiv 2405.12755).
    """

    kind: ClassVar[str] = "norms"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trajectory(Instrument):
    """How far the weights have come, and how they move.

    ‖W − W₀‖ and cos(W, W₀) in all and by role, where W₀ are the weights before the first update;
    of the next update u: ‖u‖ / ‖W‖, the rate −d ln‖W‖ at which it shrinks the norm, and the cosine
    of the gradients before and after it.
    """

    kind: ClassVar[str] = "trajectory"
    cadence: ClassVar[Cadence] = "table"
    needs_optimizer: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numerics(Instrument):
    """Whether rounding has stopped the loss (Prieto et al. 2025, arXiv 2501.04697).

    On the training rows: the share with softmax collapse, 1[Σ_{k≠y} exp(z_k − z_y) < ε/2] with the
    ε of the loss's dtype, which no order of summation changes; the share whose gradient is zero at
    every logit; the share whose loss is exactly zero; the loss in float32 over that summed without
    cancellation; the cosine of −∇L and W, near 1 under naive loss minimisation; scale of the
    centred logits, mean and lowest margins.
    """

    kind: ClassVar[str] = "numerics"
    cadence: ClassVar[Cadence] = "table"

    def why_not(self, task: Task, model: Model) -> str | None:
        return _not_one_class(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Efficiency(Instrument):
    """What the weights buy: margin per norm, and the loss against the weights' scale.

    Mean margin on the training rows over ‖W‖² (the parameter efficiency of Varma et al. 2023,
    arXiv 2309.02390), and train and test loss at sW for s in `scales` (Liu et al. 2022, Omnigrok).
    """

    kind: ClassVar[str] = "efficiency"
    cadence: ClassVar[Cadence] = "table"

    scales: tuple[float, ...] = (0.5, 2.0)
    """Factors on all weights at which the losses are measured."""

    def check(self) -> None:
        require(all(s > 0 for s in self.scales), "scales", self.scales, "give positive factors")

    def why_not(self, task: Task, model: Model) -> str | None:
        return _not_one_class(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spectra(Instrument):
    """Ranks of weights and activations: how many directions they use.

    Of the embedding, the unembedding, the last hidden units and what the logits are read from:
    effective rank exp H(σ/Σσ) (Roy & Vetterli 2007), participation ratio (Σλ)²/Σλ² and stable rank
    Σσ²/σ₁², and of the activations' centred covariance over the table the spectral entropy
    H(λ/Σλ) / ln d, with d the number of eigenvalues that can differ from 0.
    """

    kind: ClassVar[str] = "spectra"
    cadence: ClassVar[Cadence] = "table"


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
        if task.group_table == "cyclic":
            return None
        return f"the table of {task.kind} with these fields is that of no cyclic group"

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

    def why_not(self, task: Task, model: Model) -> str | None:
        if not model.residual:
            return "it needs embeddings of tokens"
        if task.group_table == "cyclic":
            return None
        return f"the table of {task.kind} with these fields is that of no cyclic group"


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
        if not model.residual:
            return "it needs embeddings of tokens"
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heads(Instrument):
    """How alike the heads of the last layer are, where the answer is read.

    Mean cosine of the attention patterns of two heads, and the standard deviation over heads of
    their mean entropies, in nats.
    """

    kind: ClassVar[str] = "heads"
    cadence: ClassVar[Cadence] = "table"

    def why_not(self, task: Task, model: Model) -> str | None:
        heads, layers = getattr(model, "heads", 0), getattr(model, "layers", 0)
        return None if heads > 1 and layers else "it needs a transformer of several heads"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Probes(Instrument):
    """What a linear readout of the activations could do: representation against readout.

    Ridge regressions in closed form, penalty `ridge` times the mean eigenvalue, on what the logits
    are read from. readout: one-hot answers, fitted on the training rows and scored on the test
    rows, beside the network's own accuracy; first, second: the one-hot operands.
    """

    kind: ClassVar[str] = "probes"
    cadence: ClassVar[Cadence] = "table"

    ridge: float = 1e-3
    """Penalty over the mean eigenvalue of the activations' covariance."""

    def check(self) -> None:
        require(self.ridge > 0, "ridge", self.ridge, "give a positive penalty")

    def why_not(self, task: Task, model: Model) -> str | None:
        return _not_one_class(task)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Similarity(Instrument):
    """Unbiased linear CKA (Kornblith et al. 2019) of activations with those of the run's end.

    Of the hidden units and of what the logits are read from, over the table; and, in a transformer,
    between the positions of the first layer's output, with probes that are fitted at one position
    and tested at another: whether an operand is told in the same way wherever it stands.
    """

    kind: ClassVar[str] = "similarity"
    cadence: ClassVar[Cadence] = "snapshots"
    needs_end: ClassVar[bool] = True

    ridge: float = 1e-3
    """Penalty of the probes, over the mean eigenvalue of the activations' covariance."""

    def check(self) -> None:
        require(self.ridge > 0, "ridge", self.ridge, "give a positive penalty")


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntrinsicDimension(Instrument):
    """TwoNN dimension (N − 1) / Σ ln(r₂/r₁) of the activations (Facco et al. 2017).

    Over `points` rows of what the logits are read from. Rows whose two nearest neighbours are
    equally far, or on the same spot, are left out and counted as ties; where they are more than a
    tenth, the dimension is NaN.
    """

    kind: ClassVar[str] = "dimension"
    cadence: ClassVar[Cadence] = "snapshots"

    points: int = 1000
    """Rows whose neighbours are looked up, the same at every step."""

    def check(self) -> None:
        require(self.points >= 10, "points", self.points, "give 10 rows or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablations(Instrument):
    """What the network cannot do without: heads, hidden units, frequencies and layers.

    The change of loss and of accuracy, on training and test rows, when a part's output is replaced
    by its mean over the training rows, and by zero. Of the hidden units of the last layer also:
    their share that takes half of all damage, and the smallest number of them, ranked by their own
    ablation, that keeps 95 % of the accuracy (Merrill et al. 2023, arXiv 2303.11873).
    """

    kind: ClassVar[str] = "ablations"
    cadence: ClassVar[Cadence] = "snapshots"

    def why_not(self, task: Task, model: Model) -> str | None:
        known = task.target_kind == "classes" and hasattr(model, "mlp_width")
        return None if known else "it needs one class a row, and a transformer or an MLP"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hessian(Instrument):
    """Curvature of the training loss, without weight decay and modifiers.

    The largest `top` eigenvalues and the lowest, by `order` steps of Lanczos's method with full
    re-orthogonalisation; the trace, of `probes` random vectors, with its standard error; the
    largest eigenvalue under the optimiser's preconditioner over the threshold of stability (Cohen
    et al. 2022, arXiv 2207.14484); with `density`, the number of eigenvalues beyond ten times the
    bulk and the largest gap between two, of the spectral density by stochastic Lanczos quadrature.
    """

    kind: ClassVar[str] = "hessian"
    cadence: ClassVar[Cadence] = "snapshots"
    needs_optimizer: ClassVar[bool] = True

    top: int = 3
    """Number of the largest eigenvalues that are reported."""
    order: int = 24
    """Steps of Lanczos's method, each a product with the Hessian."""
    probes: int = 10
    """Random vectors for the trace."""
    density: int = 0
    """Random vectors for the spectral density, each of 40 products; 0: none."""
    radius: float = 0.05
    """Radius ρ of the steps whose rise of the loss is the sharpness of SAM; for the adaptive one
    the share of each weight."""

    def check(self) -> None:
        require(1 <= self.top <= self.order, "top", self.top, f"give 1 to order={self.order}")
        require(self.probes >= 2, "probes", self.probes, "give 2 random vectors or more")
        require(self.density >= 0, "density", self.density, "give 0 random vectors or more")
        require(self.radius > 0, "radius", self.radius, "give a positive radius")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Commutator(Instrument):
    """Whether the order of two batches matters: ‖H_B g_A − H_A g_B‖ / (‖g_A‖ ‖g_B‖).

    The limit of the commutator defect of Xu 2026 (arXiv 2602.16746) for small steps, by products
    with Hessians, the median over `pairs` of random halves of the training rows. The published
    difference of two updates is of the size of rounding in float32 and reads 75 for losses that
    commute; this reads 0.
    """

    kind: ClassVar[str] = "commutator"
    cadence: ClassVar[Cadence] = "snapshots"

    pairs: int = 9
    """Pairs of batches."""

    def check(self) -> None:
        require(self.pairs >= 1, "pairs", self.pairs, "give 1 pair or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearningCoefficient(Instrument):
    """Local learning coefficient λ̂ = nβ (E[L] − L(w)) (Lau et al. 2023, arXiv 2308.12108).

    The mean is over draws of Langevin dynamics with the full batch,
    w ← w − (ε/2)(nβ ∇L + γ(w − w*)) + √ε N(0, 1). Estimates move by orders of magnitude with nβ, γ
    and ε: compare only within one sampler, which is recorded. A chain that diverges makes it NaN.
    """

    kind: ClassVar[str] = "learning_coefficient"
    cadence: ClassVar[Cadence] = "snapshots"

    n_beta: float = 30.0
    """Inverse temperature nβ."""
    localization: float = 5.0
    """Pull γ towards the network."""
    step_size: float = 1e-4
    """Step size ε."""
    chains: int = 3
    """Chains, which start at the network."""
    draws: int = 300
    """Draws of a chain that count."""
    burn_in: int = 100
    """Draws of a chain before those."""
    drift: Literal["subtracted", "kept"] = "subtracted"
    """Whether the gradient at the network, which is no minimum of the loss under weight decay, is
    subtracted from that of the dynamics."""

    def check(self) -> None:
        for name in ("n_beta", "step_size"):
            require(getattr(self, name) > 0, name, getattr(self, name), "give a positive number")
        for name in ("chains", "draws"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "give 1 or more")
        require(self.localization >= 0, "localization", self.localization, "give 0 or more")
        require(self.burn_in >= 0, "burn_in", self.burn_in, "give 0 draws or more")
