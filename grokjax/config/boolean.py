"""The configuration of tasks that are functions of bits."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.coercion import require
from grokjax.config.modular import check_table_seed
from grokjax.config.parts import Task

__all__ = ["Conjunction", "Majority", "SparseParity"]

MOST_ROWS = 200_000
"""Largest number of rows in a table that is drawn or listed in full. Tables of two operands may
be larger, for they are computed and not drawn."""
MOST_BITS = 16
"""Largest number of bits in a table of all rows."""


def check_samples(samples: int | None, every: int) -> None:
    """Refuse to draw more rows than there are, or to list more than fit."""
    if samples is None:
        remedy = f"all rows are more than fit, draw 2 to {MOST_ROWS}"
        require(every <= MOST_ROWS, "samples", samples, remedy)
    else:
        most = min(every, MOST_ROWS)
        require(2 <= samples <= most, "samples", samples, f"give 2 to {most} rows")


@dataclasses.dataclass(frozen=True)
class Bits(Task):
    """A function of a row of bits that a network sees as two tokens, or as (−1)^bit."""

    n_bits: int = 40
    """Number of bits in a row."""
    _: dataclasses.KW_ONLY
    samples: int | None = 2000
    """Number of distinct rows in the table, drawn uniformly; None: all 2^n_bits rows."""
    bits: Literal["tokens", "signs"] = "signs"
    """How the network sees a bit: as a token 0 or 1, or as a number, 1.0 for 0 and −1.0 for 1."""
    table_seed: int = 0
    """Seed of the rows that are drawn and of the function's hidden bits."""

    def check(self) -> None:
        require(1 <= self.n_bits <= 1000, "n_bits", self.n_bits, "give 1 to 1000 bits")
        if self.samples is None:
            remedy = f"all rows of more than {MOST_BITS} bits are too many, give samples"
            require(self.n_bits <= MOST_BITS, "n_bits", self.n_bits, remedy)
        check_samples(self.samples, 2**self.n_bits)
        check_table_seed(self.table_seed)

    @property
    def encoding(self) -> Literal["tokens", "features"]:
        """Whether the inputs are tokens or numbers, as `bits` says."""
        return "tokens" if self.bits == "tokens" else "features"

    @property
    def n_rows(self) -> int:
        """Number of rows in the table."""
        return self.samples or 2**self.n_bits


@dataclasses.dataclass(frozen=True)
class SparseParity(Bits):
    """The parity `b_i1 + … + b_ik mod 2` of k hidden bits (Barak et al. 2022, arXiv 2207.08799)."""

    kind: ClassVar[str] = "sparse_parity"

    k_bits: int = 3
    """Number k of hidden bits whose parity is the target."""

    def check(self) -> None:
        super().check()
        remedy = f"give 1 to n_bits={self.n_bits} bits that count"
        require(1 <= self.k_bits <= self.n_bits, "k_bits", self.k_bits, remedy)


@dataclasses.dataclass(frozen=True)
class Majority(Bits):
    """Whether more bits are 1 than 0: `b_1 + … + b_n > n/2`, with n odd (O'Donnell 2014)."""

    kind: ClassVar[str] = "majority"

    n_bits: int = 41
    """Number of bits in a row, odd so that there is no tie."""

    def check(self) -> None:
        super().check()
        require(self.n_bits % 2 == 1, "n_bits", self.n_bits, "an even number may tie, give an odd")


@dataclasses.dataclass(frozen=True)
class Conjunction(Bits):
    """The AND `l_1 ∧ … ∧ l_k` of k hidden literals, each a bit or its negation (Valiant 1984).

    Of evenly drawn rows only one in 2^k would satisfy it, so half of the samples are drawn from
    the rows that do and half from those that do not; with `samples=None` there is no drawing.
    """

    kind: ClassVar[str] = "conjunction"

    k_bits: int = 3
    """Number k of hidden literals that must all hold."""

    def check(self) -> None:
        super().check()
        remedy = f"give 1 to n_bits={self.n_bits} literals"
        require(1 <= self.k_bits <= self.n_bits, "k_bits", self.k_bits, remedy)
        if self.samples is not None:
            most = 2 ** (self.n_bits - self.k_bits + 1)
            remedy = (
                f"half are to satisfy all k_bits={self.k_bits} literals, give at most {most} rows"
            )
            require(self.samples <= most, "samples", self.samples, remedy)
