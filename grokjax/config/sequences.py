"""The configuration of small algorithms on tokens: sequences, graphs, programs, facts."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from grokjax.config.boolean import MOST_ROWS, check_samples
from grokjax.config.coercion import require
from grokjax.config.modular import check_table_seed
from grokjax.config.parts import Task

__all__ = ["Reachability", "RegisterProgram", "Sequence", "TwoHop"]


@dataclasses.dataclass(frozen=True)
class Sequence(Task):
    """A rearrangement `x_1 … x_L = y_1 … y_L` of a string, written out symbol by symbol.

    Copied, reversed or sorted, the first two after Zaremba & Sutskever 2014 (arXiv 1410.4615). A
    row holds x, the sign = and y_1 … y_(L-1); the answers are read from = and from what follows
    it, each of them with the right answers before it in view.
    """

    kind: ClassVar[str] = "sequence"
    target_kind: ClassVar[Literal["classes", "sequence", "real"]] = "sequence"
    teacher_forced: ClassVar[bool] = True

    rule: Literal["copy", "reverse", "sort"] = "reverse"
    """The rearrangement: how y follows from x."""
    symbols: int = 5
    """Number of different symbols."""
    length: int = 4
    """Number L of symbols in the string x."""
    samples: int | None = None
    """Number of distinct rows in the table, drawn uniformly; None: all symbols^length."""
    table_seed: int = 0
    """Seed of which rows are drawn."""

    def check(self) -> None:
        require(2 <= self.symbols <= 10_000, "symbols", self.symbols, "give 2 to 10000")
        require(1 <= self.length <= 1000, "length", self.length, "give 1 to 1000")
        check_samples(self.samples, self.symbols**self.length)
        check_table_seed(self.table_seed)

    @property
    def n_rows(self) -> int:
        """Number of rows in the table."""
        return self.samples or self.symbols**self.length


@dataclasses.dataclass(frozen=True)
class Reachability(Task):
    """Whether a directed graph has a path from s to t ≠ s: `(A + A² + … )[s, t] > 0`.

    A row holds the n(n-1) bits of the adjacency matrix A, row by row without the diagonal, then
    s, t and the sign =. Half of the drawn rows have a path, as far as there are so many. Graphs of
    up to four nodes are drawn evenly within each class; larger ones have edges with a probability
    that is itself drawn evenly from 0 … 1, or nearly all would have a path (Gilbert 1959).
    """

    kind: ClassVar[str] = "reachability"

    nodes: int = 4
    """Number n of nodes in the graph."""
    samples: int | None = 2000
    """Number of distinct rows in the table; None: all 2^(n(n-1)) n(n-1)."""
    table_seed: int = 0
    """Seed of which rows are drawn."""

    def check(self) -> None:
        require(3 <= self.nodes <= 16, "nodes", self.nodes, "give 3 to 16")
        check_samples(self.samples, self.every)
        check_table_seed(self.table_seed)

    @property
    def every(self) -> int:
        """Number of all rows, whether drawn or not."""
        pairs = self.nodes * (self.nodes - 1)
        return 2**pairs * pairs

    @property
    def n_rows(self) -> int:
        """Number of rows in the table."""
        return self.samples or self.every


INSTRUCTIONS = ("a+=b", "b+=a", "a-=b", "b-=a", "a*=b", "swap", "a+=1", "b+=1")
"""The instructions of `RegisterProgram`, in the order of their tokens."""


@dataclasses.dataclass(frozen=True)
class RegisterProgram(Task):
    """The content of register a after a program on two registers a and b modulo m.

    A row holds the registers at the start, the instructions, each one of
    `a+=b, b+=a, a-=b, b-=a, a*=b, swap, a+=1, b+=1`, and the sign =; the answer is a at the end.
    Executing programs by a network: Zaremba & Sutskever 2014 (arXiv 1410.4615).
    """

    kind: ClassVar[str] = "program"

    instructions: int = 3
    """Number of instructions in a program."""
    modulus: int = 5
    """Modulus m: a register holds 0 … m − 1."""
    samples: int | None = 2000
    """Number of distinct rows in the table, drawn uniformly; None: all m² 8^instructions."""
    table_seed: int = 0
    """Seed of which rows are drawn."""

    def check(self) -> None:
        require(1 <= self.instructions <= 100, "instructions", self.instructions, "give 1 to 100")
        require(2 <= self.modulus <= 1000, "modulus", self.modulus, "give 2 to 1000")
        check_samples(self.samples, self.every)
        check_table_seed(self.table_seed)

    @property
    def every(self) -> int:
        """Number of all rows, whether drawn or not."""
        return self.modulus**2 * len(INSTRUCTIONS) ** self.instructions

    @property
    def n_rows(self) -> int:
        """Number of rows in the table."""
        return self.samples or self.every


@dataclasses.dataclass(frozen=True)
class TwoHop(Task):
    """Two facts put together, `t(t(e, r1), r2)`, in a random graph (Wang et al. 2024).

    Each entity has facts `t(e, r)`, another entity drawn evenly, for `out_degree` relations r
    (arXiv 2405.15071). Rows are `e r1 r2 =`. The table begins with the facts themselves, which
    have a padding token for r2 and are in every training set; all pairs of facts that meet follow.
    """

    kind: ClassVar[str] = "two_hop"

    entities: int = 50
    """Number of entities, the nodes of the graph."""
    relations: int = 10
    """Number of relations, the kinds of edges."""
    out_degree: int | None = None
    """Number of relations that each entity has a fact for; None: all of them."""
    table_seed: int = 0
    """Seed of the random graph."""

    def check(self) -> None:
        require(2 <= self.entities <= 100_000, "entities", self.entities, "give 2 to 100000")
        require(1 <= self.relations <= 10_000, "relations", self.relations, "give 1 to 10000")
        remedy = f"give 1 to relations={self.relations}"
        require(1 <= self.edges <= self.relations, "out_degree", self.out_degree, remedy)
        remedy = f"facts and pairs of facts are {self.n_rows} rows, more than {MOST_ROWS}"
        remedy += ", choose fewer entities, or a smaller out_degree"
        require(self.n_rows <= MOST_ROWS, "entities", self.entities, remedy)
        check_table_seed(self.table_seed)

    @property
    def edges(self) -> int:
        """Number of facts about an entity."""
        return self.relations if self.out_degree is None else self.out_degree

    @property
    def n_always(self) -> int:
        """The number of facts, whose rows come first and are in every training set."""
        return self.entities * self.edges

    @property
    def n_rows(self) -> int:
        """All facts, and each fact followed by each one about its target."""
        return self.n_always * (1 + self.edges)
