"""Finite groups as permutations, and their multiplication tables.

Legend: n elements of the group, p points that they permute.
"""

from __future__ import annotations

import itertools

import numpy as np

from grokjax.config.groups import FiniteGroup, group_factors
from grokjax.tasks.dataset import Dataset, make_dataset
from grokjax.tasks.modular import binary_table


def elements(task: FiniteGroup) -> np.ndarray:
    """The group's permutations [n, p] as images of 0 … p-1, in lexicographic order."""
    factors = [_factor(family, n) for family, n in group_factors(task.group)]
    starts = itertools.accumulate((len(factor[0]) for factor in factors), initial=0)
    moved = [
        [tuple(start + image for image in permutation) for permutation in factor]
        for start, factor in zip(starts, factors, strict=False)
    ]
    return np.array([sum(choice, ()) for choice in itertools.product(*moved)])


def _factor(family: str, n: int) -> list[tuple[int, ...]]:
    points = range(n)
    rotations = [tuple((x + turn) % n for x in points) for turn in points]
    if family == "C":
        return rotations
    if family == "D":
        return sorted(rotations + [permutation[::-1] for permutation in rotations])
    every = itertools.permutations(points)
    return [images for images in every if family == "S" or _is_even(images)]


def _is_even(images: tuple[int, ...]) -> bool:
    inversions = sum(first > second for first, second in itertools.combinations(images, 2))
    return inversions % 2 == 0


def base(permutations: np.ndarray) -> list[int]:
    """Points whose images tell the elements of a group [n, p] apart: a base, in group theory.

    Products are recognised by the images of these few points alone. All images would be n² times p
    numbers, and C720 has p = 720 points where the image of one is enough.
    """
    chosen: list[int] = []
    kinds = np.zeros(len(permutations), int)
    for point in range(permutations.shape[1]):
        _, refined = np.unique(
            kinds * permutations.shape[1] + permutations[:, point], return_inverse=True
        )
        if refined.max() > kinds.max():
            chosen, kinds = [*chosen, point], refined
    return chosen


def multiplication(permutations: np.ndarray) -> np.ndarray:
    """The table [n, n] of a group's permutations [n, p]: the number of ab, first b and then a."""
    points = base(permutations)
    # The images of the base are digits of a number, so that products can be looked up by sorting.
    weights = permutations.shape[1] ** np.arange(len(points))
    codes = permutations[:, points] @ weights
    by_code = np.argsort(codes)
    composed = permutations[:, permutations[:, points]] @ weights
    return by_code[np.searchsorted(codes[by_code], composed)]


@make_dataset.register
def group(task: FiniteGroup) -> Dataset:
    """The table of a group, rows in the order of a and then of b."""
    products = multiplication(elements(task))
    inverse = np.argmin(products, axis=1)  # the identity is 0
    a, b = np.divmod(np.arange(task.n_rows), task.order)
    ab = products[a, b]
    targets = {
        "ab": lambda: ab,
        "ab^-1": lambda: products[a, inverse[b]],
        "aba^-1": lambda: products[ab, inverse[a]],
        "aba": lambda: products[ab, a],
    }[task.product]()
    return binary_table(a, b, targets, task.order, task.format, full=True)
