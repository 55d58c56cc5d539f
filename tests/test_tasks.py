"""Tables against arithmetic done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax import ConfigError, ModularArithmetic, tasks
from grokjax.config import OPERATIONS

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
    np.testing.assert_array_equal(table.tokens, rows)
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
    assert table.tokens[3 * 5 + 4].tolist() == row
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
