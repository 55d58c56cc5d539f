"""Tables against arithmetic done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax import tasks
from grokjax.config.coercion import ConfigError
from grokjax.config.modular import COMMUTATIVE, OPERATIONS, ModularArithmetic

BY_HAND = {
    "add": lambda x, y, p: (x + y) % p,
    "sub": lambda x, y, p: (x - y) % p,
    "mul": lambda x, y, p: (x * y) % p,
    "div": lambda x, y, p: next(z for z in range(p) if z * y % p == x),
    "x2+y2": lambda x, y, p: (x * x + y * y) % p,
    "x2+xy+y2": lambda x, y, p: (x * x + x * y + y * y) % p,
    "x2+xy+y2+x": lambda x, y, p: (x * x + x * y + y * y + x) % p,
    "x3+xy": lambda x, y, p: (x * x * x + x * y) % p,
    "x3+xy2+y": lambda x, y, p: (x * x * x + x * y * y + y) % p,
    "div_odd_sub_even": lambda x, y, p: BY_HAND["div" if y % 2 else "sub"](x, y, p),
    "add_even_sub_odd": lambda x, y, p: BY_HAND["sub" if y % 2 else "add"](x, y, p),
    "add_even_mul_odd": lambda x, y, p: BY_HAND["mul" if y % 2 else "add"](x, y, p),
}


@pytest.mark.parametrize("p", [2, 3, 7, 13])
@pytest.mark.parametrize("op", sorted(set(OPERATIONS) - {"random"}))
def test_every_row_of_every_operation(op, p):
    table = tasks.build(ModularArithmetic(op, p, "a b"))
    rows = [(x, y) for x in range(p) for y in range(op == "div", p)]
    np.testing.assert_array_equal(table.inputs, rows)
    np.testing.assert_array_equal(table.targets, [BY_HAND[op](x, y, p) for x, y in rows])
    assert len(table.targets) == ModularArithmetic(op, p).n_rows


@given(st.integers(2, 200), st.sampled_from(sorted(set(OPERATIONS))))
def test_any_modulus_gives_a_table_or_a_reason(p, op):
    try:
        task = ModularArithmetic(op, p)
    except ConfigError as error:
        assert "div" in op
        assert f"p={p}" in str(error)
        assert any(p % d == 0 for d in range(2, p))
        return
    table = tasks.build(task)
    assert table.targets.min() >= 0
    assert table.targets.max() < p
    assert len(table.targets) == task.n_rows


def test_large_cubes_do_not_overflow():
    table = tasks.build(ModularArithmetic("x3+xy2+y", 997, "a b"))
    x, y = 996, 995
    assert table.targets[x * 997 + y] == (x**3 + x * y**2 + y) % 997


@pytest.mark.parametrize(
    ("text", "row", "vocabulary"),
    [("a b", [3, 4], 5), ("a b =", [3, 4, 5], 6), ("a op b =", [3, 6, 4, 5], 7)],
)
def test_tokens_of_each_format(text, row, vocabulary):
    table = tasks.build(ModularArithmetic("add", 5, text))
    assert table.inputs[3 * 5 + 4].tolist() == row
    assert table.vocabulary == vocabulary


def test_chance_is_the_best_constant_guess():
    assert tasks.build(ModularArithmetic("sub", 11)).chance == pytest.approx(1 / 11)
    zeros = 2 * 11 - 1  # rows of the product with a factor 0
    assert tasks.build(ModularArithmetic("mul", 11)).chance == pytest.approx(zeros / 121)


def test_random_tables_differ_by_seed_and_have_no_structure():
    one, other = (tasks.build(ModularArithmetic("random", 97, table_seed=s)) for s in (0, 1))
    assert np.mean(one.targets == other.targets) == pytest.approx(1 / 97, abs=0.005)
    counts = np.bincount(one.targets, minlength=97)
    assert ((counts - 97) ** 2 / 97).sum() == pytest.approx(96, abs=5 * np.sqrt(2 * 96))


@pytest.mark.parametrize("op", OPERATIONS)
def test_operands_are_the_values_of_every_pair(op):
    task = ModularArithmetic(op, 7)
    table, (n_a, n_b) = tasks.build(task), task.operands
    assert n_a * n_b == task.n_rows
    assert len(np.unique(table.operands[:, 0])) == n_a
    assert len(np.unique(table.operands, axis=0)) == task.n_rows
    assert np.unique(table.operands[:, 1]).tolist() == list(range(op == "div", 7))


@given(st.integers(2, 60), st.sampled_from(OPERATIONS))
def test_half_of_a_commutative_table_says_what_all_of_it_does(p, op):
    if op not in COMMUTATIVE:
        with pytest.raises(ConfigError, match=r"^halve=True: .*\.$"):
            ModularArithmetic(op, 2 if "div" in op else p, halve=True)
        return
    task = ModularArithmetic(op, p, "a b", halve=True)
    half, whole = tasks.build(task), tasks.build(ModularArithmetic(op, p, "a b"))
    kept = whole.inputs[:, 0] <= whole.inputs[:, 1]
    np.testing.assert_array_equal(half.inputs, whole.inputs[kept])
    np.testing.assert_array_equal(half.targets, whole.targets[kept])
    assert task.n_rows == len(half.targets)
    assert task.operands is None
    assert half.operands is None
    square = whole.targets.reshape(p, p)
    np.testing.assert_array_equal(square, square.T)


def test_only_operations_that_commute_are_halved():
    for op in set(OPERATIONS) - {"random"}:
        square = [[BY_HAND[op](x, y, 7) for y in range(op == "div", 7)] for x in range(7)]
        commutes = op != "div" and np.array_equal(square, np.transpose(square))
        assert commutes == (op in COMMUTATIVE)
