"""Real characters of finite groups, from nothing but their multiplication tables.

A character says how a representation acts on each conjugacy class. Characters are all that is
needed to ask how much of an array over a group lies in each irreducible representation (irrep).

Legend: n elements of the group, C conjugacy classes, K real irreps, which are as many as classes
once a class and the class of its inverses count as one.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

TOLERANCE = 1e-8
"""Largest error of a character; rounding alone leaves less than 1e-10 up to order 720."""


@dataclasses.dataclass(frozen=True, eq=False)
class CharacterTable:
    """The real characters χ of a group, two complex conjugate ones merged into their sum.

    Irreps are ordered by degree, and among equals by how close χ / χ(1) is to the trivial 1: first
    on the class that gives irreps their names, then on the classes in their order. Named ones come
    first, and in Sn the others begin with the farthest, because the published names of S5 do. Those
    of a cyclic group are its frequencies 0 … n/2 instead. A class comes before another if its
    elements are of lower order, then if it is smaller, then if it has the lower-numbered element.

    >>> from grokjax import FiniteGroup
    >>> from grokjax.tasks.structure import structure
    >>> table = structure(FiniteGroup("S4")).characters
    >>> table.names, table.degrees.tolist()
    (('trivial', 'sign', '2d', 'standard', 'standard_sign'), [1, 1, 2, 3, 3])
    >>> table.values[3].tolist(), table.sizes.tolist()
    ([3.0, -1.0, 1.0, 0.0, -1.0], [1, 3, 6, 8, 6])
    """

    names: tuple[str, ...]  # K
    class_of: np.ndarray  # [n] int32
    """Conjugacy class of each element; that of the identity is 0."""
    sizes: np.ndarray  # [C] int32
    values: np.ndarray  # [K, C] float64
    """χ on each class, or χ + χ̄ where a pair was merged."""
    degrees: np.ndarray  # [K] int32
    """Dimension d of the complex irrep, of each of the two where a pair was merged."""
    norms: np.ndarray  # [K] int32
    """⟨χ, χ⟩: 1, or 2 where a pair was merged."""

    def on_elements(self) -> np.ndarray:
        """χ of each element, [K, n]."""
        return self.values[:, self.class_of]

    def projector_rows(self) -> np.ndarray:
        """The kernels of the isotypic projectors P, [K, n]: `P[g, h] = kernel[g h⁻¹]`.

        P_ρ[g, h] = (d/n) χ_ρ(g h⁻¹) projects functions on the group onto the part that belongs to
        the irrep ρ. It has rank d², or 2d² where a pair was merged (Serre, Linear Representations
        of Finite Groups, theorem 8).
        """
        return self.degrees[:, None] / len(self.class_of) * self.on_elements()


def character_table(product: np.ndarray, name: str) -> CharacterTable:
    """The real characters of the group that has the multiplication table `product`.

    Cyclic groups have them in closed form. Those of others are the common eigenvectors of the sums
    over conjugacy classes (Burnside 1911), found as those of a random combination of them;
    in float64, where Dixon (1967) computes modulo a prime.

    Args:
      product: numbers of the products of two elements [n, n]; the identity is 0.
      name: what the group is called; Sn, An and Dn have names for their irreps.
    """
    orders = element_orders(product)
    if orders.max() == len(product):
        return _cyclic(product, int(np.argmax(orders)))
    class_of = conjugacy_classes(product, orders)
    sizes = np.bincount(class_of)
    values, degrees, norms = _real_characters(product, class_of, name)
    landmark = _landmark(name, orders, class_of)
    known = _known_names(name, values, landmark, degrees)
    order = _order(name, values[:, [landmark, *range(len(sizes))]], degrees, known)
    values, degrees, norms = values[order], degrees[order], norms[order]
    _check_orthogonal(values, sizes, norms, name)
    return CharacterTable(
        names=_names(name, [known[k] for k in order], degrees, norms),
        class_of=class_of.astype(np.int32),
        sizes=sizes.astype(np.int32),
        values=values,
        degrees=degrees.astype(np.int32),
        norms=norms.astype(np.int32),
    )


def inverses(product: np.ndarray) -> np.ndarray:
    """The inverse of each element [n], from a table [n, n] in which the identity is 0."""
    return np.argmin(product, axis=1)


def element_orders(product: np.ndarray) -> np.ndarray:
    """The order of each element [n]: the smallest m ≥ 1 such that its m-th power is the identity.

    Raises a ValueError where powers do not come back, which those of a group do.
    """
    everyone = np.arange(len(product))
    orders, power, on_the_way = np.ones(len(product), int), everyone, everyone != 0
    for _ in everyone:
        if not on_the_way.any():
            return orders
        power = product[power, everyone]
        orders += on_the_way
        on_the_way = on_the_way & (power != 0)
    raise ValueError(f"A table of {len(product)} elements is no group's: not all have an order.")


def conjugacy_classes(product: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """The number of each element's conjugacy class [n], in the order that `CharacterTable` says.

    Args:
      product: multiplication table [n, n].
      orders: orders of the elements [n].
    """
    conjugates = product[product, inverses(product)[:, None]]  # g x g⁻¹ for [g, x]
    representatives, class_of, sizes = np.unique(
        conjugates.min(axis=0), return_inverse=True, return_counts=True
    )
    order = np.lexsort((representatives, sizes, orders[representatives]))
    return np.argsort(order)[class_of]


def _cyclic(product: np.ndarray, generator: int) -> CharacterTable:
    """Frequencies k = 0 … n/2 with 2 cos(2πkj/n) on the j-th power of a generator."""
    n = len(product)
    power, class_of = 0, np.zeros(n, np.int32)
    for exponent in range(n):
        class_of[power] = exponent
        power = product[power, generator]
    frequencies = np.arange(n // 2 + 1)
    norms = np.where(2 * frequencies % n == 0, 1, 2).astype(np.int32)
    turns = np.outer(frequencies, np.arange(n)) % n / n
    return CharacterTable(
        names=tuple(map(str, frequencies)),
        class_of=class_of,
        sizes=np.ones(n, np.int32),
        values=_snapped(norms[:, None] * np.cos(2 * np.pi * turns)),
        degrees=np.ones(len(frequencies), np.int32),
        norms=norms,
    )


def _real_characters(
    product: np.ndarray, class_of: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values [K, C], degrees [K] and norms [K] of the real characters, in any order.

    Classes with their inverses span a commutative algebra of symmetric matrices, and a vector √|R|
    χ(R) over those unions R is an eigenvector of all of them. So real arithmetic and orthonormal
    eigenvectors are enough, and conjugate characters come out merged.
    """
    n, inverse = len(product), inverses(product)
    _, representatives, union, sizes = np.unique(
        np.minimum(class_of, class_of[inverse]),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    quotients = union[product[inverse][:, representatives]]  # of x⁻¹z for [x, z]
    rng = np.random.default_rng(0)
    one, other = (_combination(quotients, union, sizes, rng) for _ in range(2))
    vectors = np.linalg.eigh(one)[1]
    images = other @ vectors
    error = np.abs(images - vectors * (vectors * images).sum(axis=0)).max() / np.abs(images).max()
    # At the identity they are d/√n for a real irrep and √2·d/√n for a merged pair.
    squares = n * vectors[0] ** 2
    whole = np.round(squares).astype(int)
    norms = np.where(np.round(np.sqrt(whole)) ** 2 == whole, 1, 2)
    degrees = np.round(np.sqrt(whole / norms)).astype(int)
    error = max(error, np.abs(norms * degrees**2 - squares).max() / n)
    _refuse(error, name)
    values = (np.sign(vectors[0]) * vectors).T * np.sqrt(n * norms[:, None] / sizes)
    unions = union[np.unique(class_of, return_index=True)[1]]
    return _snapped(values[:, unions]), degrees, norms


def _combination(
    quotients: np.ndarray, union: np.ndarray, sizes: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A random combination [K, K] of the matrices by which sums over classes act on class sums.

    Args:
      quotients: union of classes of x⁻¹z, for each element x and representative z [n, K].
      union: union of a class and its inverses that each element is in [n].
      sizes: elements of each union [K].
      rng: draws a weight for each union.
    """
    K = len(sizes)
    weights = (rng.standard_normal(K) / np.sqrt(sizes))[union]
    # x is in one union and x⁻¹z in another as often as the product of their sums has z.
    cells = quotients * K + np.arange(K)
    matrix = np.bincount(cells.ravel(), np.repeat(weights, K), K * K).reshape(K, K)
    matrix *= np.sqrt(sizes) / np.sqrt(sizes)[:, None]
    return (matrix + matrix.T) / 2


def _snapped(values: np.ndarray) -> np.ndarray:
    """Numbers with their rounding error taken off where they are whole, as most characters are."""
    whole = np.round(values) + 0.0  # never -0.0
    return np.where(np.abs(values - whole) < TOLERANCE, whole, values)


def _check_orthogonal(values: np.ndarray, sizes: np.ndarray, norms: np.ndarray, name: str) -> None:
    """Refuse characters [K, C] whose products over the group are not those of irreps."""
    products = (values * sizes) @ values.T / sizes.sum()
    _refuse(np.abs(products - np.diag(norms)).max(), name)


def _refuse(error: float, name: str) -> None:
    if not error <= TOLERANCE:
        raise ValueError(
            f"The characters of {name!r} are wrong by {error:.1e}: its table is that of no group, "
            "or its classes are too many to be told apart."
        )


def _family(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"([SAD])(\d+)", name)
    return (match[1], int(match[2])) if match else ("", 0)


def _landmark(name: str, orders: np.ndarray, class_of: np.ndarray) -> int:
    """The class whose characters give irreps their names and order, or that of the identity.

    That is the class of a transposition in Sn, of a 3-cycle in An and of a turn by one step in Dn.
    Where an outer automorphism exchanges it with another, as in S6, the lowest element decides.

    Args:
      name: name of the group.
      orders: orders of the elements [n].
      class_of: class of each element [n].
    """
    family, n = _family(name)
    sizes = np.bincount(class_of)[class_of]
    chosen = {
        "S": (orders == 2) & (sizes == n * (n - 1) // 2),
        "A": orders == 3,
        "D": orders == n,
        "": orders == 1,
    }[family]
    return int(class_of[np.argmax(chosen)])


def _known_names(name: str, values: np.ndarray, landmark: int, degrees: np.ndarray) -> list[str]:
    """The names of those irreps that have one, else ""; several may share theirs.

    Args:
      name: name of the group.
      values: characters [K, C].
      landmark: the class that tells irreps apart.
      degrees: degrees [K].
    """
    family, n = _family(name)
    words = {
        "S": {(1, -1): "sign", (n - 1, 3 - n): "standard_sign", (n - 1, n - 3): "standard"},
        "A": {(n - 1, n - 4): "standard"},
        "D": {(1, 1): "sign", (1, -1): "alternating"},
        "": {},
    }[family]
    known = []
    for d, value in zip(degrees.tolist(), values[:, landmark].tolist(), strict=True):
        turns = f"2d_{np.arccos(np.clip(value / 2, -1, 1)) * n / (2 * np.pi):.0f}"
        known.append(turns if (family, d) == ("D", 2) else words.get((d, value), ""))
    known[int(np.argmax((values == 1).all(axis=1)))] = "trivial"
    return known


def _order(name: str, values: np.ndarray, degrees: np.ndarray, known: list[str]) -> np.ndarray:
    """The order of irreps [K] that `CharacterTable` describes.

    Args:
      name: name of the group.
      values: characters [K, …] on classes, the most telling first.
      degrees: degrees [K].
      known: their names, or "".
    """
    unnamed = np.array([not word for word in known])
    closeness = np.round(values / values.max(axis=1, keepdims=True), 6)
    if _family(name)[0] == "S":
        closeness[unnamed] *= -1
    return np.lexsort((*-closeness.T[::-1], unnamed, degrees))


def _names(name: str, known: list[str], degrees: np.ndarray, norms: np.ndarray) -> tuple[str, ...]:
    """What irreps in their order are called: as is known, or by their number or degree.

    Args:
      name: name of the group.
      known: names [K], or "".
      degrees: degrees [K].
      norms: norms [K].
    """
    if not _family(name)[0]:
        return ("trivial", *(f"irrep_{k} (dim {d})" for k, d in enumerate(degrees[1:], 1)))
    words = [
        word or f"{d}d" + "_pair" * int(norm - 1)
        for word, d, norm in zip(known, degrees, norms, strict=True)
    ]
    return tuple(
        word if words.count(word) == 1 else f"{word}_{chr(ord('a') + words[:k].count(word))}"
        for k, word in enumerate(words)
    )
