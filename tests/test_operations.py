"""Operations of one's own: formulas, functions, several in one table, against plain Python."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grokjax
from grokjax import (
    ConfigError,
    Experiment,
    FiniteGroup,
    ModularArithmetic,
    Operation,
    Operations,
    grid,
    own,
    tasks,
)
from grokjax.config import formulas
from grokjax.config.identity import checksums
from grokjax.config.rebuild import rebuild
from grokjax.measures.tables import group_table


def digits_added(x, y, base):
    total, unit = 0, 1
    while x or y:
        total += (x % base + y % base) % base * unit
        x, y, unit = x // base, y // base, unit * base
    return total


NAMED = {
    "gcd(x, y)": (lambda x, y, p: math.gcd(x, y), 11),
    "x**y % p": (lambda x, y, p: pow(x, y, p), 11),
    "min(x, y)": (lambda x, y, p: min(x, y), 11),
    "max(a, b)": (lambda x, y, p: max(x, y), 11),
    "x + y": (lambda x, y, p: x + y, 21),
    "(x + y)**2 % p": (lambda x, y, p: (x + y) ** 2 % p, 11),
    "(x + y)**3 % p": (lambda x, y, p: (x + y) ** 3 % p, 11),
    "2*x*y % p": (lambda x, y, p: 2 * x * y % p, 11),
    "(x**3 + y**3) % p": (lambda x, y, p: (x**3 + y**3) % p, 11),
    "add_digits(x, y, 10)": (lambda x, y, p: digits_added(x, y, 10), 21),
    "add_digits(x0, x1, 2)": (lambda x, y, p: x ^ y, 16),
    "abs(x - y)": (lambda x, y, p: abs(x - y), 11),
    "x > y": (lambda x, y, p: int(x > y), 2),
    "(x/(y+1) if y % 2 else x - y) % p": (
        lambda x, y, p: (x * pow(y + 1, -1, p) if y % 2 else x - y) % p,
        11,
    ),
}


@pytest.mark.parametrize("formula", NAMED)
def test_every_row_of_an_operation_that_others_train_on(formula):
    by_hand, classes = NAMED[formula]
    task = Operation(formula, p=11)
    table = tasks.build(task)
    rows = [(x, y) for x in range(11) for y in range(11)]
    np.testing.assert_array_equal(table.inputs, [(x, y, 11) for x, y in rows])
    np.testing.assert_array_equal(table.targets, [by_hand(x, y, 11) for x, y in rows])
    assert (table.n_classes, table.vocabulary, task.n_rows) == (classes, 12, 121)


def test_as_many_operands_as_the_formula_names_and_rows_that_it_keeps():
    task = Operation("(x + 2*y + z) % p", p=5, where="x < y or z == 0", format="BOS a b c =")
    rows = [
        (x, y, z)
        for x in range(5) for y in range(5) for z in range(5)
        if x < y or z == 0
    ]  # fmt: skip
    table = tasks.build(task)
    np.testing.assert_array_equal(table.values, rows)
    np.testing.assert_array_equal(table.inputs, [(6, *row, 5) for row in rows])
    np.testing.assert_array_equal(table.targets, [(x + 2 * y + z) % 5 for x, y, z in rows])
    assert task.operands is None and task.n_rows == len(rows)
    assert Operation("x % 2", p=5, arity=1).n_rows == 5


def test_other_people_s_tables_are_the_named_ones_of_grokjax():
    for op, formula, where in [
        ("add", "(x + y) % p", ""),
        ("div", "x / y % p", "y >= 1"),
        ("x3+xy2+y", "(x**3 + x*y**2 + y) % p", ""),
        ("div_odd_sub_even", "(x / y if y % 2 else x - y) % p", ""),
    ]:
        one = tasks.build(ModularArithmetic(op, 7, "a op b ="))
        other = tasks.build(Operation(formula, p=7, where=where, format="a op b ="))
        for name in ("inputs", "targets", "operands", "vocabulary", "n_classes"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("op a b", [8, 2, 3]),
        ("a b op", [2, 3, 8]),
        ("a op b = EOS", [2, 8, 3, 7, 9]),
        ("BOS a + b mod p =", [8, 2, 9, 3, 10, 11, 7]),
    ],
)
def test_any_text_is_a_row_and_each_word_a_token(text, row):
    # Seven numbers; then "=" and "op", where they are there, and further words as they come.
    row = [token - ("=" not in text) * (token > 7) for token in row]
    for task in (ModularArithmetic(p=7, format=text), Operation(p=7, format=text)):
        table = tasks.build(task)
        assert table.inputs[2 * 7 + 3].tolist() == row
        assert table.vocabulary == 7 + len(set(text.split()) - {"a", "b"})
    assert tasks.build(FiniteGroup("S3", format="op a b =")).inputs[8].tolist() == [7, 1, 2, 6]


def test_operands_may_have_tokens_of_their_own():
    table = tasks.build(Operation("x*y % p", p=7, where="y > 0", separate_tokens=True))
    assert table.inputs[7].tolist() == [1, 7 + 2, 14] and table.vocabulary == 15
    structure = group_table(Operation("x*y % p", p=7, where="y > 0", separate_tokens=True))
    assert structure.positions == (0, 1)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (Operation("(y + x) % p", p=6), "C6"),
        (Operation("(x - y + p) % 6", p=6), "C6"),
        (Operation("x*y % p", p=7), "C6"),
        (Operation("x*y % p", p=7, where="x and y"), "C6"),
        (Operation("x / y % p", p=7, where="y"), "C6"),
        (Operation("x*y % p", p=6), None),
        (Operation("x + y", p=6), None),
        (Operation("(x + y) % p", p=6, where="x <= y"), None),
        (Operation("(x + y + z) % p", p=6), None),
        (Operation("(x + 2*y) % p", p=7), None),
    ],
)
def test_only_groups_are_taken_for_groups(task, name):
    found = tasks.structure(task)
    assert (found and found.name) == name
    assert (task.group_table == "cyclic") == (name is not None)
    if name is not None:  # the answer of a row is first · second
        table = tasks.build(task)
        products = found.classes[found.product[found.first, found.second]]
        np.testing.assert_array_equal(table.targets[found.rows], products)


# Formulas of any shape, by their grammar; Python's own whole numbers say what is right.
NUMBERS = st.sampled_from(["x", "y", "p", "0", "1", "2", "3", "17"])
COMBINED = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(inner, st.sampled_from(["2", "3", "7"])).map("({0[0]} ** {0[1]})".format),
        st.tuples(inner, st.sampled_from(["5", "p", "1"])).map("({0[0]} % {0[1]})".format),
        st.tuples(inner, st.sampled_from(["5", "p"])).map("({0[0]} // {0[1]})".format),
        st.tuples(inner, inner, inner).map("({0[0]} if {0[1]} < {0[2]} else -{0[0]})".format),
        st.tuples(inner, inner).map("gcd({0[0]}, min({0[1]}, 4))".format),
        st.tuples(inner, inner).map("(1 if not {0[0]} or {0[1]} in (1, 2) and {0[0]} != 1 else 0)".format),
    ),
    max_leaves=8,
).filter(lambda text: len(text) < formulas.LONGEST - len("() % 1009"))  # fmt: skip


@given(COMBINED, st.integers(2, 9))
def test_a_formula_is_the_python_expression(text, p):
    rows = np.array([(x, y) for x in range(p) for y in range(p)])
    functions = {"gcd": math.gcd, "min": min}
    names = [{**functions, "x": x, "y": y, "p": p} for x, y in rows.tolist()]
    try:
        found = formulas.read(f"({text}) % 1009").values({"p": p}, rows)
    except ConfigError as error:  # inside of // say, where nothing may be reduced
        assert "62 bits" in str(error)
        return
    np.testing.assert_array_equal(found, [eval(f"({text}) % 1009", of_row) for of_row in names])


@given(st.integers(2, 500), st.integers(0, 499), st.integers(0, 499), st.integers(1, 10**9))
def test_powers_modulo_p_are_of_any_size(p, x, y, big):
    rows = np.array([(x, y)])
    for text, right in {
        f"x**y**3 * {big} % p": pow(x, y**3, p) * big % p,
        f"({big}*x + y)**{big} % p": pow(big * x + y, big, p),
        f"-x**{big} % (p + 1)": -pow(x, big, p + 1) % (p + 1),
    }.items():
        assert formulas.read(text).values({"p": p}, rows)[0] == right


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("__import__('os').system('true')", "no function of formulas"),
        ("x.__class__", "asks for an attribute"),
        ("(lambda: x)()", "no function of formulas|makes a function"),
        ("[x for x in y]", "ListComp is no part of a formula"),
        ("x[0]", "asks for an item"),
        ("open(x)", "open is no function of formulas"),
        ("gcd(x)", "gcd takes 2 or more numbers"),
        ("x := 3", "cannot be read"),
        ("x; y", "cannot be read"),
        ("", "cannot be read"),
        ("x ^ 2", r"'x \^ 2': write \*\* for \^\.$"),
        ("x^2 + 3y % p", r": write \*\* for \^ and 3\*y for 3y\.$"),
        ("(2x + 2(x - y)) % p", r": write 2\*x for 2x and 2\*\( for 2\(\.$"),
        ("(x^2 + 3y)(4z) + 5x", r": write \*\* for \^, 3\*y for 3y and 4\*z for 4z\.$"),
        ("2(x + y) % p", r": write 2\*\( for 2\(\.$"),
        ("3q +", "cannot be read"),
        ("q + 1", "q is no name here"),
        ("1.5 * x", "1.5 is no whole number"),
        ("'a'", "no whole number"),
        ("9**9**9**9", "62 bits or more, take it modulo p at once"),
        ("x**y**y", "62 bits or more"),
        (f"{10**40} * x", "more than 62 bits"),
        ("x" * 400, "more than 300"),
        ("(" * 140 + "x" + ")" * 140, None),
        ("-" * 290 + "x", None),
        ("x / y", "/ divides modulo a number"),
        ("x / y % p", "0 has no inverse modulo 7, leave such rows out with where="),
        ("x % y", "a modulus is 0 or less"),
        ("x // y", "divides by 0"),
        ("x**(y - 3) % p", "an exponent is below 0"),
        ("x - y", "results go from -6 to 6, .* end it in % p"),
        ("10**9 * x", "classes are at most 1000000"),
        ("add_digits(x, y, 1)", "the base is 2 or more"),
    ],
)
def test_what_is_no_formula_is_refused_in_a_sentence(text, told):
    def build():
        return tasks.build(Operation(text, p=7))

    if told is None:
        assert build().n_classes == 7
        return
    with pytest.raises(ConfigError, match=told) as error:
        build()
    assert str(error.value).startswith("formula") and str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def third(a, b, c, *, p: int, shift: int = 1):
    return (a + b * c + shift) % p


@own.operation
def product(a, b):
    return a * b


def test_a_function_has_rows_and_tokens_as_a_formula_has():
    task = own.operation(third)(p=5, where="x != y", format="op a b c", shift=2)
    table = tasks.build(task)
    kept = [(a, b, c) for a in range(5) for b in range(5) for c in range(5) if a != b]
    np.testing.assert_array_equal(table.values, kept)
    np.testing.assert_array_equal(table.targets, [(a + b * c + 2) % 5 for a, b, c in kept])
    assert table.inputs[0].tolist() == [5, 0, 1, 0]
    with pytest.raises(ConfigError, match="from 0 to 16, return one whole number from 0 to p - 1"):
        tasks.build(product(p=5))
    assert tasks.build(product(p=5, classes=17)).n_classes == 17
    assert Operation(third, p=5, shift=2).beyond_defaults() == {"p": 5, "shift": 2}
    with pytest.raises(ConfigError, match="op=third: for a function write task="):
        ModularArithmetic(third)


BOTH = Operations([ModularArithmetic("add", p=7), Operation("x*y % p", p=5, where="y")])


def test_several_operations_share_numbers_and_have_a_token_each():
    table = tasks.build(BOTH)
    added = [((x, 8, y, 7), (x + y) % 7, 0) for x in range(7) for y in range(7)]
    multiplied = [((x, 9, y, 7), x * y % 5, 1) for x in range(5) for y in range(1, 5)]
    inputs, targets, operation = zip(*added, *multiplied, strict=True)
    np.testing.assert_array_equal(table.inputs, inputs)
    np.testing.assert_array_equal(table.targets, targets)
    np.testing.assert_array_equal(table.operation, operation)
    assert (table.vocabulary, table.n_classes, BOTH.n_rows) == (10, 7, 69)
    assert BOTH.names == ("add", "x*y % p") and BOTH.group_table is None
    twice = Operations([ModularArithmetic("add", p=p) for p in (5, 7)], format="op a b")
    assert twice.names == ("add p=5", "add p=7")
    assert tasks.build(twice).inputs[[0, 25]].tolist() == [[7, 0, 0], [8, 0, 0]]


@pytest.mark.parametrize(
    ("operations", "told"),
    [
        ([ModularArithmetic()], "give a list of 2 operations or more"),
        ([ModularArithmetic(), ModularArithmetic()], "there twice"),
        ([ModularArithmetic(), Operation("x + y + z", p=5)], "they have 2 and 3 operands"),
        ([ModularArithmetic(), grokjax.Digits()], "operations.1=.*give an Operation"),
        ([ModularArithmetic(format="op a b"), FiniteGroup()], "give it to Operations"),
        (ModularArithmetic(), "give a list, put it into"),
    ],
)
def test_what_makes_no_table_of_operations(operations, told):
    with pytest.raises(ConfigError, match=told):
        Operations(operations)
    with pytest.raises(ConfigError, match="put the word op where"):
        dataclasses.replace(BOTH, format="a b =")


def test_runs_of_operations_are_told_apart_and_made_again_from_results():
    experiment = Experiment(
        task=Operations([ModularArithmetic("add", p=7), product(p=5, classes=17)]),
        sweep=grid({"task.operations.0.p": [5, 7]}),
    )
    one, other = experiment.runs()
    assert one.run_id != other.run_id and one.task.operations[0].p == 5
    row = one.row()
    assert row["operations_1_classes"] == 17
    assert checksums(one)["task.operations.1_source"] == row["operations_1_source"]
    for run in (one, Experiment(task=Operation("gcd(x, y)", p=7, where="x > y")).resolved()):
        told = {path: value for path, value in run.row().items() if value != ""}
        assert rebuild({}, {**told, "where": run.row().get("where")}).run_id == run.run_id


def test_a_spelt_out_default_is_the_same_run():
    plain, spelt = Operation(p=7), Operation("(x + y) % p", p=7, arity=2, format="a b =")
    assert Experiment(task=plain).run_id == Experiment(task=spelt).run_id
    assert Experiment(task=plain).resolved().task == spelt
    others = [Operation("(y + x) % p", p=7), Operation(p=7, where="x"), Operation(p=7, classes=8)]
    assert len({Experiment(task=task).run_id for task in [plain, *others]}) == 4
