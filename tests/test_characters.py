"""Character tables against published ones, sympy and what makes them characters; subgroups."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.combinatorics.named_groups import AlternatingGroup, DihedralGroup, SymmetricGroup
from task_examples import EXAMPLES

from grokjax import tasks
from grokjax.config.groups import FiniteGroup
from grokjax.config.modular import OPERATIONS, ModularArithmetic
from grokjax.tasks import groups
from grokjax.tasks.characters import character_table
from grokjax.tasks.structure import cosets, structure, subgroups

GOLDEN = (1 + 5**0.5) / 2
ROOT2 = 2**0.5
SMALL = [
    *("C2 C7 C8 C2xC2 C3xC3 C2xC3 C2xC4 S3 S4 A4 A5 D3 D4 D5 D6 D9 D10".split()),
    *("C2xS3 C3xS3 C3xA4 S3xS3 C2xC2xC2 C5xD4 A4xC4".split()),
]
LARGE = ["S5", "A6", "S6", "D59", "D360", "C720", "C2xC360", "C6xC6xC20", "S4xS4", "C2xC4xD45"]
FORMATS = ["a b", "a b =", "a op b ="]

# Columns are classes: of the named orders and sizes, the identity first.
TABLES = {
    "S3": {
        "classes": [(1, 1), (2, 3), (3, 2)],
        "trivial": [1, 1, 1],
        "sign": [1, -1, 1],
        "standard": [2, 0, -1],
    },
    "S4": {
        "classes": [(1, 1), (2, 3), (2, 6), (3, 8), (4, 6)],
        "trivial": [1, 1, 1, 1, 1],
        "sign": [1, 1, -1, 1, -1],
        "2d": [2, 2, 0, -1, 0],
        "standard": [3, -1, 1, 0, -1],
        "standard_sign": [3, -1, -1, 0, 1],
    },
    "S5": {
        "classes": [(1, 1), (2, 10), (2, 15), (3, 20), (4, 30), (5, 24), (6, 20)],
        "trivial": [1, 1, 1, 1, 1, 1, 1],
        "sign": [1, -1, 1, 1, -1, 1, -1],
        "standard": [4, 2, 0, 1, 0, -1, -1],
        "standard_sign": [4, -2, 0, 1, 0, -1, 1],
        "5d_a": [5, -1, 1, -1, 1, 0, -1],
        "5d_b": [5, 1, 1, -1, -1, 0, 1],
        "6d": [6, 0, -2, 0, 0, 1, 0],
    },
    "A4": {
        "classes": [(1, 1), (2, 3), (3, 4), (3, 4)],
        "trivial": [1, 1, 1, 1],
        "1d_pair": [2, 2, -1, -1],
        "standard": [3, -1, 0, 0],
    },
    "A5": {
        "classes": [(1, 1), (2, 15), (3, 20), (5, 12), (5, 12)],
        "trivial": [1, 1, 1, 1, 1],
        "3d_a": [3, -1, 0, GOLDEN, 1 - GOLDEN],
        "3d_b": [3, -1, 0, 1 - GOLDEN, GOLDEN],
        "standard": [4, 0, 1, -1, -1],
        "5d": [5, 1, -1, 0, 0],
    },
    "D5": {
        "classes": [(1, 1), (2, 5), (5, 2), (5, 2)],
        "trivial": [1, 1, 1, 1],
        "sign": [1, -1, 1, 1],
        "2d_1": [2, 0, GOLDEN - 1, -GOLDEN],
        "2d_2": [2, 0, -GOLDEN, GOLDEN - 1],
    },
    "D6": {
        "classes": [(1, 1), (2, 1), (2, 3), (2, 3), (3, 2), (6, 2)],
        "trivial": [1, 1, 1, 1, 1, 1],
        "sign": [1, 1, -1, -1, 1, 1],
        "alternating_a": [1, -1, 1, -1, 1, -1],
        "alternating_b": [1, -1, -1, 1, 1, -1],
        "2d_1": [2, -2, 0, 0, -1, 1],
        "2d_2": [2, 2, 0, 0, -1, -1],
    },
    "C8": {
        "classes": [(1, 1), (8, 1), (4, 1), (8, 1), (2, 1), (8, 1), (4, 1), (8, 1)],
        "0": [1, 1, 1, 1, 1, 1, 1, 1],
        "1": [2, ROOT2, 0, -ROOT2, -2, -ROOT2, 0, ROOT2],
        "2": [2, 0, -2, 0, 2, 0, -2, 0],
        "3": [2, -ROOT2, 0, ROOT2, -2, ROOT2, 0, -ROOT2],
        "4": [1, -1, 1, -1, 1, -1, 1, -1],
    },
}


@functools.cache
def product_of(name):
    return groups.multiplication(groups.elements(FiniteGroup(name)))


@functools.cache
def table_of(name):
    return character_table(product_of(name), name)


def inverse_of(product):
    return (product == 0).argmax(axis=1)


def order_of(product, element):
    power, order = element, 1
    while power:
        power, order = product[power, element], order + 1
    return order


def by_rows(array):
    """The same rows in an order of their own values."""
    rounded = np.round(array, 6) + 0.0
    return rounded[np.lexsort(rounded.T)]


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_the_published_ones(name):
    known, table, product = dict(TABLES[name]), table_of(name), product_of(name)
    firsts = [int(np.argmax(table.class_of == c)) for c in range(len(table.sizes))]
    assert [
        (order_of(product, first), size)
        for first, size in zip(firsts, table.sizes.tolist(), strict=True)
    ] == known.pop("classes")
    assert table.names == tuple(known)
    np.testing.assert_allclose(table.values, list(known.values()), atol=1e-12)


def test_a_cyclic_group_has_frequencies():
    table, j = table_of("C7"), np.arange(7)
    assert table.names == ("0", "1", "2", "3")
    np.testing.assert_array_equal(table.class_of, j)
    expected = [np.ones(7), *(2 * np.cos(2 * np.pi * k * j / 7) for k in (1, 2, 3))]
    np.testing.assert_allclose(table.values, expected, atol=1e-12)
    assert table.norms.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize("n", [112, 113, 996])
def test_long_cyclic_groups_are_as_short_ones(n):
    table = character_table(np.add.outer(np.arange(n), np.arange(n)) % n, f"C{n}")
    assert table.names == tuple(str(k) for k in range(n // 2 + 1))
    pairs = 2 * np.real(np.exp(2j * np.pi * np.outer(np.arange(n // 2 + 1), np.arange(n)) / n))
    pairs[[0, n // 2] if n % 2 == 0 else [0]] /= 2
    np.testing.assert_allclose(table.on_elements(), pairs, atol=1e-9)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_rows_and_columns_are_orthogonal(name):
    table, n = table_of(name), FiniteGroup(name).order
    rows = (table.values * table.sizes) @ table.values.T / n
    np.testing.assert_allclose(rows, np.diag(table.norms), atol=1e-8)
    # Over all complex irreps, χ(g) (χ(h) + χ(h⁻¹)) adds up to the order of the centraliser of g
    # for each of h and h⁻¹ that is conjugate to g.
    firsts = np.unique(table.class_of, return_index=True)[1]
    inverted = table.class_of[inverse_of(product_of(name))[firsts]]
    same = np.eye(len(firsts))
    columns = (2 / table.norms * table.values.T) @ table.values * table.sizes / n
    np.testing.assert_allclose(columns, same + same[inverted], atol=1e-7)


@pytest.mark.parametrize("name", [*SMALL, *LARGE])
def test_degrees_add_up_and_the_trivial_irrep_is_first(name):
    table = table_of(name)
    assert (table.norms * table.degrees**2).sum() == FiniteGroup(name).order
    np.testing.assert_array_equal(table.values[:, 0], table.norms * table.degrees)
    np.testing.assert_array_equal(table.values[0], 1)
    assert (np.diff(table.degrees) >= 0).all()
    assert len(set(table.names)) == len(table.names) == len(table.values)
    assert table.sizes[0] == 1 and table.class_of[0] == 0
    np.testing.assert_array_equal(np.bincount(table.class_of), table.sizes)


@pytest.mark.parametrize("name", [*SMALL, "S5"])
def test_projectors_split_functions_into_isotypic_parts(name):
    product, table = product_of(name), table_of(name)
    quotients = product[:, inverse_of(product)]
    projectors = table.projector_rows()[:, quotients]
    for (i, P), (j, Q) in itertools.product(enumerate(projectors), repeat=2):
        np.testing.assert_allclose(P @ Q, P if i == j else 0 * P, atol=1e-9)
    np.testing.assert_allclose(projectors.sum(axis=0), np.eye(len(product)), atol=1e-9)
    ranks = [np.linalg.matrix_rank(P, tol=1e-6) for P in projectors]
    assert ranks == (table.norms * table.degrees**2).tolist()


@pytest.mark.parametrize("name", ["S3", "S4", "S5", "A4", "A5", "D4", "D5", "D6", "D9"])
def test_classes_are_sympys(name):
    family = {"S": SymmetricGroup, "A": AlternatingGroup, "D": DihedralGroup}[name[0]]
    number = {tuple(row): at for at, row in enumerate(groups.elements(FiniteGroup(name)).tolist())}
    theirs = {
        frozenset(number[tuple(element.array_form)] for element in conjugates)
        for conjugates in family(int(name[1:])).conjugacy_classes()
    }
    class_of = table_of(name).class_of
    assert theirs == {
        frozenset(np.flatnonzero(class_of == c).tolist()) for c in range(class_of.max() + 1)
    }


@pytest.mark.parametrize("name", ["S3", "S4", "S5", "S6", "A4", "A5", "A6"])
def test_signs_and_fixed_points_are_characters_with_names(name):
    elements, table = groups.elements(FiniteGroup(name)), table_of(name)
    characters = dict(zip(table.names, table.on_elements(), strict=True))
    points = np.arange(elements.shape[1])
    standard = (elements == points).sum(axis=1) - 1
    np.testing.assert_array_equal(characters["standard"], standard)
    if name[0] == "S":
        first, second = np.triu_indices(len(points), 1)
        parity = (-1) ** (elements[:, first] > elements[:, second]).sum(axis=1)
        np.testing.assert_array_equal(characters["sign"], parity)
        twisted = characters["standard" if name == "S3" else "standard_sign"]
        np.testing.assert_array_equal(twisted, standard * parity)


@pytest.mark.parametrize("n", [3, 4, 7, 12, 59])
def test_dihedral_irreps_are_named_by_frequency(n):
    table, elements = table_of(f"D{n}"), groups.elements(FiniteGroup(f"D{n}"))
    turns = (elements[:, 1] - elements[:, 0]) % n == 1
    characters = dict(zip(table.names, table.on_elements(), strict=True))
    np.testing.assert_array_equal(characters["sign"], np.where(turns, 1, -1))
    frequencies = range(1, (n + 1) // 2)
    assert table.names[-len(frequencies) :] == tuple(f"2d_{k}" for k in frequencies)
    for k in frequencies:
        waves = np.where(turns, 2 * np.cos(2 * np.pi * k * elements[:, 0] / n), 0)
        np.testing.assert_allclose(characters[f"2d_{k}"], waves, atol=1e-9)
    if n % 2 == 0:
        for name in ("alternating_a", "alternating_b"):
            np.testing.assert_array_equal(characters[name][turns], (-1.0) ** elements[turns, 0])


def test_characters_of_a_product_are_products_of_characters():
    whole, two, three = (table_of(name).on_elements() for name in ("C2xS3", "C2", "S3"))
    np.testing.assert_allclose(by_rows(whole), by_rows(np.kron(two, three)), atol=1e-9)
    names = table_of("C2xS3").names
    assert names[0] == "trivial" and names[4] == "irrep_4 (dim 2)"


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([*SMALL, "S5"]), st.randoms(use_true_random=False))
def test_another_numbering_of_the_elements_moves_characters_along(name, random):
    product = product_of(name)
    moved = [0, *random.sample(range(1, len(product)), len(product) - 1)]
    renumbered = np.empty_like(product)
    renumbered[np.ix_(moved, moved)] = np.array(moved)[product]
    ours, theirs = character_table(product, name), character_table(renumbered, name)
    np.testing.assert_array_equal(theirs.degrees, ours.degrees)
    np.testing.assert_allclose(
        by_rows(theirs.on_elements()[:, moved]), by_rows(ours.on_elements()), atol=1e-9
    )
    if name in ("S3", "S4", "S5", "A4"):  # no automorphism exchanges irreps
        assert theirs.names == ours.names
        np.testing.assert_array_equal(theirs.sizes, ours.sizes)
        np.testing.assert_allclose(theirs.values, ours.values, atol=1e-9)


def test_tables_of_no_group_are_refused():
    loop = np.array(  # a Latin square with an identity, but not associative
        [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
    )
    with pytest.raises(ValueError, match=r"^The characters of 'loop' are wrong by .*no group"):
        character_table(loop, "loop")
    with pytest.raises(ValueError, match="no group's: not all have an order"):
        character_table(np.array([[0, 1], [1, 1]]), "monoid")


def check_structure(task, name):
    """What makes a structure that of its task."""
    of, table = structure(task), tasks.build(task)
    assert of.name == name
    answers = of.product[of.first, of.second]
    np.testing.assert_array_equal(table.targets[of.rows], of.classes[answers])
    a, b = (task.format.split().index(word) for word in "ab")
    np.testing.assert_array_equal(table.inputs[of.rows, a], of.tokens_first[of.first])
    np.testing.assert_array_equal(table.inputs[of.rows, b], of.tokens_second[of.second])
    np.testing.assert_array_equal(table.operands[of.rows, 0], of.tokens_first[of.first])
    np.testing.assert_array_equal(table.operands[of.rows, 1], of.tokens_second[of.second])
    n = len(of.product)
    pairs = np.stack([of.first, of.second], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs) == n**2
    np.testing.assert_array_equal(of.product[0], np.arange(n))
    np.testing.assert_array_equal(of.product[np.arange(n), of.inverse], 0)
    assert len(of.characters.class_of) == n
    for array in (of.rows, of.first, of.second, of.classes, of.product, of.inverse):
        assert array.dtype == np.int32
    assert structure(task) is of
    return of


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("p", [5, 7, 13])
def test_modular_arithmetic_is_a_cyclic_group(p, text):
    for op in ("add", "sub"):
        of = check_structure(ModularArithmetic(op, p=p, format=text), f"C{p}")
        np.testing.assert_array_equal(of.classes, np.arange(p))
        assert len(of.rows) == p**2
    for op in ("mul", "div"):
        of = check_structure(ModularArithmetic(op, p=p, format=text), f"C{p - 1}")
        root = {5: 2, 7: 3, 13: 2}[p]
        np.testing.assert_array_equal(of.classes, [root**k % p for k in range(p - 1)])
        assert 0 not in of.classes


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("name", ["C6", "S3", "D5", "A4", "C2xS3"])
def test_tables_of_groups_are_those_of_groups(name, text):
    for product in ("ab", "ab^-1"):
        of = check_structure(FiniteGroup(name, product, text), name)
        np.testing.assert_array_equal(of.product, product_of(name))


def test_a_composite_modulus_has_sums_alone():
    check_structure(ModularArithmetic("sub", p=12), "C12")
    check_structure(ModularArithmetic("add", p=2), "C2")
    assert structure(ModularArithmetic("mul", p=12)) is None
    assert structure(ModularArithmetic("mul", p=2)) is None


def test_other_tasks_are_no_groups():
    others = [
        task for kind, task in EXAMPLES.items() if kind not in ("modular_arithmetic", "group")
    ]
    others += [ModularArithmetic(op, p=7) for op in set(OPERATIONS) - {"add", "sub", "mul", "div"}]
    others += [ModularArithmetic(op, p=7, halve=True) for op in ("add", "mul")]
    others += [FiniteGroup("S3", product) for product in ("aba", "aba^-1")]
    assert [structure(task) for task in others] == [None] * len(others)


def all_subgroups(name):
    """Every proper subgroup but the trivial one, as sets."""
    return [
        frozenset(members.tolist())
        for subgroup in subgroups(product_of(name))
        for members in subgroup.conjugates
    ]


@pytest.mark.parametrize(
    ("name", "number", "classes"),
    [
        *[("S3", 6, 4), ("S4", 30, 11), ("S5", 156, 19), ("A4", 10, 5), ("A5", 59, 9)],
        *[("D4", 10, 8), ("D6", 16, 10), ("C12", 6, 6), ("C2xC2xC2", 16, 16), ("C7", 2, 2)],
    ],
)
def test_all_subgroups_are_found(name, number, classes):
    found, proper = subgroups(product_of(name)), all_subgroups(name)
    assert len(found) == classes - 2
    assert len(proper) == len(set(proper)) == number - 2
    product = product_of(name)
    for members in proper:
        members = sorted(members)
        assert set(product[np.ix_(members, members)].ravel()) == set(members)
        assert 1 < len(members) < len(product) and len(product) % len(members) == 0


@pytest.mark.parametrize("n", range(3, 21))
def test_dihedral_groups_have_as_many_subgroups_as_divisors_say(n):
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    assert len(all_subgroups(f"D{n}")) == len(divisors) + sum(divisors) - 2


def test_subgroups_of_s5_have_names():
    found = subgroups(product_of("S5"))
    assert [(subgroup.name, len(subgroup.conjugates)) for subgroup in found] == [
        *[("C2_1", 10), ("C2_2", 15), ("C3", 10), ("C2xC2_1", 15), ("C2xC2_2", 5), ("C4", 15)],
        *[("C5", 6), ("S3_1", 10), ("C6", 10), ("S3_2", 10), ("D4", 15), ("D5", 6), ("D6", 10)],
        *[("A4", 5), ("order 20", 6), ("S4", 5), ("A5", 1)],
    ]
    elements = groups.elements(FiniteGroup("S5"))
    s4 = next(subgroup for subgroup in found if subgroup.name == "S4")
    fixed = [(elements[members] == np.arange(5)).all(axis=0) for members in s4.conjugates]
    np.testing.assert_array_equal(np.sum(fixed, axis=0), np.ones(5))  # one for each point


@pytest.mark.parametrize("name", ["S4", "D6", "A5", "C2xS3"])
def test_conjugates_are_those_of_the_first(name):
    product = product_of(name)
    inverse = inverse_of(product)
    for subgroup in subgroups(product):
        assert subgroup.members.tolist() == subgroup.conjugates[0].tolist()
        images = {
            tuple(sorted(product[product[g, subgroup.members], inverse[g]].tolist()))
            for g in range(len(product))
        }
        assert images == {tuple(members) for members in subgroup.conjugates.tolist()}
        assert subgroup.order == len(subgroup.members)


def test_subgroups_of_large_groups_are_refused():
    with pytest.raises(ValueError, match="720 elements may have too many subgroups"):
        subgroups(product_of("S6"))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", ["S4", "D5", "A4", "C12"])
def test_cosets_part_the_group(name, side):
    product = product_of(name)
    for subgroup in subgroups(product):
        for members in subgroup.conjugates:
            number = cosets(product, members, side)
            assert np.bincount(number).tolist() == [len(members)] * (len(product) // len(members))
            np.testing.assert_array_equal(np.flatnonzero(number == 0), members)
            for g in range(len(product)):
                mates = product[g, members] if side == "left" else product[members, g]
                assert set(number[mates]) == {number[g]}


def test_sides_differ_unless_a_subgroup_is_normal():
    product = product_of("S4")
    for subgroup in subgroups(product):
        left, right = (cosets(product, subgroup.members, side) for side in ("left", "right"))
        assert np.array_equal(left, right) == (len(subgroup.conjugates) == 1)
