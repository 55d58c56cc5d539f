"""Instruments of weights, activations, numerics and ablations: what is measured, and when.

What each computes is registered in `measures/`. Costs and what misleads stand in
docs/instruments.md. Those of structure and of the loss around a network are in `structures` and
`landscape`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from grokjax.config.coercion import require, within
from grokjax.config.parts import Cadence, Instrument, Model, Task

__all__ = [
    "Ablations",
    "Clipping",
    "Efficiency",
    "Heads",
    "IntrinsicDimension",
    "Norms",
    "Numerics",
    "Probes",
    "Similarity",
    "Spectra",
    "Trajectory",
]


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
class Clipping(Instrument):
    """Share of the updates since the last log point whose gradient was clipped.

    A number for every `ClipNorm` (updates whose gradient was longer than the limit) and `ClipValue`
    (updates in which any entry was larger), by kind; of two of a kind the later ones have their
    place in the list of modifiers added. At step 0, before which there are no updates, it is 0.
    """

    kind: ClassVar[str] = "clipping"
    of_updates: ClassVar[bool] = True


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
        within(self.points, "points", 10, 2**22)


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
