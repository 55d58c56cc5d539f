"""The group behind a task's table, its subgroups and their cosets.

Legend: n elements of the group, M rows of the table that are in it, k members of a subgroup, c
conjugates of one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from typing import Literal

import numpy as np

from grokjax.config.groups import FiniteGroup
from grokjax.config.modular import ModularArithmetic, is_prime
from grokjax.config.operation import Operation
from grokjax.config.parts import Task
from grokjax.tasks import groups
from grokjax.tasks.characters import CharacterTable, character_table, element_orders, inverses
from grokjax.tasks.dataset import build

LARGEST_LATTICE = 120
"""The order of S5; beyond, groups such as C2xC2xC2xC2xC2xC2xC2 have too many subgroups."""


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """A task's table as that of a group: the answer of a row is first · second.

    >>> from grokjax import ModularArithmetic
    >>> of = structure(ModularArithmetic("div", p=5))  # powers 1, 2, 4, 3 of 2, and no zeros
    >>> of.name, of.tokens_first.tolist(), of.tokens_second.tolist()
    ('C4', [1, 2, 4, 3], [1, 3, 4, 2])
    """

    name: str
    rows: np.ndarray  # [M] int32
    """Numbers of the dataset's rows that are in it: all but products with zero."""
    first: np.ndarray  # [M] int32
    """Element that the first operand of each of those rows stands for."""
    second: np.ndarray  # [M] int32
    """Element that the second operand stands for: the inverse where the task divides by it."""
    classes: np.ndarray  # [n] int32
    """Output class that each element is as an answer."""
    tokens_first: np.ndarray  # [n] int32
    """Token that each element is as a first operand."""
    tokens_second: np.ndarray  # [n] int32
    """Token that each element is as a second operand."""
    product: np.ndarray  # [n, n] int32
    """Multiplication table; element 0 is the identity."""
    inverse: np.ndarray  # [n] int32
    characters: CharacterTable


@functools.cache
def structure(task: Task) -> Structure | None:
    """The group behind a task's table, or None where there is none of two elements or more.

    Sums and differences modulo p are the cyclic group Cp. Products and quotients modulo a prime
    are C(p−1) without zero: element i is gⁱ for the smallest primitive root g (Power et al. 2022,
    appendix A.1.1, train on these tables). Of a group's own tables, those of ab and ab⁻¹ count.
    """
    if isinstance(task, FiniteGroup) and task.product in ("ab", "ab^-1"):
        product = groups.multiplication(groups.elements(task))
        return _structure(task, task.group, product, np.arange(task.order), task.product != "ab")
    if isinstance(task, ModularArithmetic) and not task.halve:
        op: str | None = task.op
    elif isinstance(task, Operation):
        op = task.group_operation
    else:
        return None
    if op in ("add", "sub"):
        residues = np.arange(task.p)
    elif op in ("mul", "div") and is_prime(task.p) and task.p > 2:
        residues = powers_of_primitive_root(task.p)
    else:
        return None
    numbers = np.arange(len(residues))
    product = (numbers + numbers[:, None]) % len(residues)
    inverted = op in ("sub", "div")
    found = _structure(task, f"C{len(residues)}", product, residues, inverted)
    if isinstance(task, Operation) and task.separate_tokens:
        found = dataclasses.replace(found, tokens_second=found.tokens_second + task.p)
    return found


def powers_of_primitive_root(p: int) -> np.ndarray:
    """Every residue but 0 modulo a prime p, [p−1], as the powers of the smallest root with all."""
    for root in range(1, p):
        powers = [1]
        while (following := powers[-1] * root % p) != 1:
            powers.append(following)
        if len(powers) == p - 1:
            return np.array(powers)
    raise ValueError(f"p={p}: only a prime has a root whose powers are all residues but 0.")


def _structure(
    task: Task, name: str, product: np.ndarray, tokens: np.ndarray, inverted: bool
) -> Structure:
    """The structure of a task whose answers have the same tokens as its first operands.

    Args:
      task: the task.
      name: name of its group.
      product: multiplication table [n, n].
      tokens: token of each element [n].
      inverted: whether the inverse of the second operand is what multiplies.
    """
    table = build(task)
    assert table.operands is not None
    inverse = inverses(product)
    tokens_second = tokens[inverse] if inverted else tokens
    first, second = (
        _positions(of, table.n_classes)[operand]
        for of, operand in zip((tokens, tokens_second), table.operands.T, strict=True)
    )
    rows = np.flatnonzero((first >= 0) & (second >= 0))
    return Structure(
        name=name,
        rows=rows.astype(np.int32),
        first=first[rows].astype(np.int32),
        second=second[rows].astype(np.int32),
        classes=tokens.astype(np.int32),
        tokens_first=tokens.astype(np.int32),
        tokens_second=tokens_second.astype(np.int32),
        product=product.astype(np.int32),
        inverse=inverse.astype(np.int32),
        characters=character_table(product, name),
    )


def _positions(tokens: np.ndarray, size: int) -> np.ndarray:
    """Where each of `size` tokens is in `tokens` [n], or −1."""
    positions = np.full(size, -1)
    positions[tokens] = np.arange(len(tokens))
    return positions


@dataclasses.dataclass(frozen=True, eq=False)
class Subgroup:
    """A subgroup of a group, with its conjugates: those that inner automorphisms make of it."""

    name: str
    """What it is, such as "D4", with a number where several classes of subgroups are that."""
    conjugates: np.ndarray  # [c, k] int32
    """Members of each conjugate in ascending order; the first conjugate stands for all."""

    @property
    def members(self) -> np.ndarray:
        """Members [k] in ascending order."""
        return self.conjugates[0]

    @property
    def order(self) -> int:
        """Number of members."""
        return self.conjugates.shape[1]


def subgroups(product: np.ndarray) -> tuple[Subgroup, ...]:
    """All subgroups up to conjugacy, by order, without the trivial one and the whole group.

    Found by adding one element after another to those found already. The group may have at most
    120 elements: the largest of them with the most subgroups takes seconds.

    Args:
      product: multiplication table [n, n] in which the identity is 0.
    """
    if len(product) > LARGEST_LATTICE:
        raise ValueError(
            f"A group of {len(product)} elements may have too many subgroups to list: "
            f"choose one of at most {LARGEST_LATTICE}."
        )
    return _subgroups(np.ascontiguousarray(product, np.int32).tobytes(), len(product))


@functools.cache
def _subgroups(table: bytes, n: int) -> tuple[Subgroup, ...]:
    product = np.frombuffer(table, np.int32).reshape(n, n)
    inverse, orders = inverses(product), element_orders(product)
    seen: set[bytes] = set()
    found = [np.zeros((1, 1), np.int32)]
    for conjugates in found:  # grows as it is walked
        members = conjugates[0]
        done = np.isin(np.arange(n), members)
        while not done.all():
            element = int(np.argmin(done))
            # Whatever is h · element · h' for members h and h' generates the same with them.
            done[product[product[members, element][:, None], members]] = True
            larger = _closure(product, members, element)
            if len(larger) < n and larger.tobytes() not in seen:
                images = product[product[:, larger], inverse[:, None]]
                images = np.unique(np.sort(images, axis=1), axis=0).astype(np.int32)
                seen.update(image.tobytes() for image in images)
                found.append(images)
    found = sorted(found[1:], key=lambda images: (images.shape[1], images[0].tolist()))
    names = [_name(orders[images[0]]) for images in found]
    return tuple(
        Subgroup(name if names.count(name) == 1 else f"{name}_{names[:at].count(name) + 1}", images)
        for at, (name, images) in enumerate(zip(names, found, strict=True))
    )


def _closure(product: np.ndarray, members: np.ndarray, element: int) -> np.ndarray:
    """The smallest subgroup with a subgroup's members [k] and another element, ascending."""
    inside = np.zeros(len(product), bool)
    inside[members] = inside[element] = True
    while True:
        present = np.flatnonzero(inside)
        inside[product[np.ix_(present, present)]] = True
        if inside.sum() == len(present):
            return present.astype(np.int32)


def _name(orders: np.ndarray) -> str:
    """What a group is, as far as the orders of its elements [k] tell without fail."""
    counts, k = Counter(orders.tolist()), len(orders)
    if orders.max() == k:
        return f"C{k}"
    if orders.max() == 2:
        return "x".join(["C2"] * (k.bit_length() - 1))
    for name, known in KNOWN_ORDERS.items():
        if counts == known:
            return name
    # Half of it is cyclic, and all elements outside of that half are their own inverses.
    half = k // 2
    if 2 * half == k and counts[half] and counts[2] == half + (half % 2 == 0):
        return f"D{half}"
    return f"order {k}"


KNOWN_ORDERS = {
    "S3": {1: 1, 2: 3, 3: 2},
    "A4": {1: 1, 2: 3, 3: 8},
    "S4": {1: 1, 2: 9, 3: 8, 4: 6},
    "A5": {1: 1, 2: 15, 3: 20, 5: 24},
}
"""How many elements have which order in groups that are the only ones with such numbers."""


def cosets(
    product: np.ndarray, members: np.ndarray, side: Literal["left", "right"] = "left"
) -> np.ndarray:
    """The number of each element's coset [n], cosets numbered by their lowest elements.

    Args:
      product: multiplication table [n, n].
      members: members of the subgroup H [k].
      side: "left" for the cosets gH, "right" for Hg.
    """
    table = product if side == "left" else product.T
    return np.unique(table[:, members].min(axis=1), return_inverse=True)[1].astype(np.int32)
