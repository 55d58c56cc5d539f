"""Instruments of the loss around a network: curvature, commutators, learning coefficient."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require, within
from grokjax.config.parts import Cadence, Instrument

__all__ = [
    "Commutator",
    "Hessian",
    "LearningCoefficient",
]


MOST = 100_000
"""Products or draws: more than anybody waits for."""


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
    rise_within: float = 0.05
    """Radius ρ of the steps whose rise of the loss is the sharpness of SAM; for the adaptive one
    the share of each weight."""

    def check(self) -> None:
        require(1 <= self.top <= self.order, "top", self.top, f"give 1 to order={self.order}")
        within(self.order, "order", 1, MOST)
        within(self.probes, "probes", 2, MOST)
        within(self.density, "density", 0, MOST)
        require(self.rise_within > 0, "rise_within", self.rise_within, "give a positive radius")


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
        within(self.pairs, "pairs", 1, MOST)


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
            within(getattr(self, name), name, 1, MOST)
        require(self.localization >= 0, "localization", self.localization, "give 0 or more")
        within(self.burn_in, "burn_in", 0, MOST)
