"""Group tables against sympy, and against what makes a group one."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.combinatorics import Permutation
from sympy.combinatorics.named_groups import (
    AlternatingGroup,
    CyclicGroup,
    DihedralGroup,
    SymmetricGroup,
)

from grokjax import tasks
from grokjax.config.coercion import ConfigError
from grokjax.config.groups import FiniteGroup
from grokjax.tasks import groups

NAMED = {
    "C7": CyclicGroup(7),
    "C12": CyclicGroup(12),
    "D3": DihedralGroup(3),
    "D5": DihedralGroup(5),
    "D6": DihedralGroup(6),
    "S3": SymmetricGroup(3),
    "S4": SymmetricGroup(4),
    "A4": AlternatingGroup(4),
    "A5": AlternatingGroup(5),
}
SMALL = [*NAMED, "C2xC2", "C2xC2xS3", "C3xD4", "S3xS3"]


def table_of(name, product="ab"):
    """The targets as a square."""
    task = FiniteGroup(name, product)
    return tasks.build(task).targets.reshape(task.order, task.order)


def orders(products):
    """The order of every element, from the table alone."""
    found, power = np.zeros(len(products), int), np.arange(len(products))
    for exponent in range(1, len(products) + 1):
        found[(power == 0) & (found == 0)] = exponent
        power = products[power, np.arange(len(products))]
    return found


def conjugacy_classes(products):
    """The classes under x → a x a⁻¹, from the table alone."""
    inverse = (products == 0).argmax(axis=1)
    everyone = np.arange(len(products))
    return {frozenset(products[products[everyone, x], inverse].tolist()) for x in everyone}


@pytest.mark.parametrize("name", NAMED)
def test_tables_are_sympys(name):
    theirs, elements = NAMED[name], groups.elements(FiniteGroup(name))
    assert {tuple(row) for row in elements.tolist()} == {
        tuple(g.array_form) for g in theirs.elements
    }
    number = {tuple(row): at for at, row in enumerate(elements.tolist())}
    permutations = [Permutation(row) for row in elements.tolist()]
    products = table_of(name)
    pairs = itertools.product(range(len(permutations)), repeat=2)
    for a, b in itertools.islice(pairs, 0, None, max(1, len(permutations) ** 2 // 600)):
        # sympy's product does its left factor first.
        assert products[a, b] == number[tuple((permutations[b] * permutations[a]).array_form)]
    assert Counter(orders(products).tolist()) == Counter(g.order() for g in theirs.elements)
    assert len(conjugacy_classes(products)) == len(theirs.conjugacy_classes())


@pytest.mark.parametrize("name", ["S5", "A6", "S6"])
def test_the_largest_groups_are_sympys(name):
    elements, products = groups.elements(FiniteGroup(name)), table_of(name)
    ours = Counter(orders(products).tolist())
    theirs = SymmetricGroup(int(name[1])) if name[0] == "S" else AlternatingGroup(int(name[1]))
    assert len(elements) == theirs.order()
    assert ours == Counter(Permutation(row).order() for row in elements.tolist())
    assert len(conjugacy_classes(products)) == {"S5": 7, "A6": 7, "S6": 11}[name]
    rng = np.random.default_rng(0)
    for a, b in rng.integers(len(elements), size=(300, 2)):
        assert theirs.contains(Permutation(elements[a].tolist()))
        np.testing.assert_array_equal(elements[products[a, b]], elements[a][elements[b]])


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(SMALL), st.data())
def test_a_table_is_that_of_a_group(name, data):
    products = table_of(name)
    element = st.integers(0, len(products) - 1)
    a, b, c = (data.draw(element) for _ in range(3))
    assert products[products[a, b], c] == products[a, products[b, c]]
    assert products[0, a] == products[a, 0] == a
    assert sorted(products[a]) == sorted(products[:, a]) == list(range(len(products)))


@pytest.mark.parametrize("name", SMALL)
def test_the_other_products_follow_from_the_first(name):
    ab = table_of(name)
    inverse = [row.tolist().index(0) for row in ab]
    for a, b in itertools.product(range(len(ab)), repeat=2):
        assert table_of(name, "ab^-1")[a, b] == ab[a, inverse[b]]
        assert table_of(name, "aba^-1")[a, b] == ab[a, ab[b, inverse[a]]]
        assert table_of(name, "aba")[a, b] == ab[a, ab[b, a]]
        if a * len(ab) + b > 400:
            break


@pytest.mark.parametrize("name", SMALL)
def test_conjugation_keeps_the_order_of_an_element(name):
    order = orders(table_of(name))
    np.testing.assert_array_equal(order[table_of(name, "aba^-1")], np.tile(order, (len(order), 1)))


@pytest.mark.parametrize("name", SMALL)
def test_commuting_groups_have_symmetric_tables_and_trivial_conjugation(name):
    products, commutes = table_of(name), set(name) <= set("Cx0123456789")
    assert np.array_equal(products, products.T) == commutes
    still = np.tile(np.arange(len(products)), (len(products), 1))
    assert np.array_equal(table_of(name, "aba^-1"), still) == commutes


def test_a_cyclic_group_is_addition():
    a, b = np.divmod(np.arange(49), 7)
    np.testing.assert_array_equal(table_of("C7").ravel(), (a + b) % 7)


def test_factors_of_a_product_do_not_meet():
    whole, first, second = table_of("C2xS3"), table_of("C2"), table_of("S3")
    for a, b in itertools.product(range(12), repeat=2):
        (a1, a2), (b1, b2) = divmod(a, 6), divmod(b, 6)
        assert whole[a, b] == first[a1, b1] * 6 + second[a2, b2]


@pytest.mark.parametrize(
    ("text", "row", "vocabulary"),
    [("a b", [3, 4], 6), ("a b =", [3, 4, 6], 7), ("a op b =", [3, 7, 4, 6], 8)],
)
def test_tokens_of_each_format(text, row, vocabulary):
    table = tasks.build(FiniteGroup("S3", format=text))
    assert table.inputs[3 * 6 + 4].tolist() == row
    assert table.vocabulary == vocabulary
    assert table.operands[3 * 6 + 4].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("name", "order"),
    [("C2", 2), ("D3", 6), ("A4", 12), ("C2xC2xS3", 24), ("S6", 720), ("D360", 720)],
)
def test_the_order_is_known_without_the_table(name, order):
    assert FiniteGroup(name).order == order
    assert FiniteGroup(name).n_rows == order**2
    assert len(groups.elements(FiniteGroup(name))) == order


@pytest.mark.parametrize("name", ["S7", "A7", "C721", "C10000", "D361", "C2xS6", "S99999999"])
def test_large_groups_are_refused(name):
    with pytest.raises(ConfigError, match=f"^group='{name}': .*at most 720 elements\\.$"):
        FiniteGroup(name)


@pytest.mark.parametrize(
    "name",
    ["", "x", "S5x", "xS5", "C1", "D2", "S2", "A3", "s5", "S05", "Q8", "C2 x C2", "C²", "S5\n"],
)
def test_what_names_no_group_is_refused(name):
    with pytest.raises(ConfigError, match=r"^group=.* is no group, write .*\.$"):
        FiniteGroup(name)


def test_base_points_tell_elements_apart():
    assert groups.base(groups.elements(FiniteGroup("C720"))) == [0]
    assert len(groups.base(groups.elements(FiniteGroup("S6")))) == 5
    for name in SMALL:
        elements = groups.elements(FiniteGroup(name))
        assert len(np.unique(elements[:, groups.base(elements)], axis=0)) == len(elements)
