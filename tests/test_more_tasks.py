"""Every kind of task: what all have in common, and each against a way of its own."""

import dataclasses
import gzip
import hashlib
import itertools
import math
import pickle
import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import hermite_e
from task_examples import DRAWN, EXAMPLES, fake_mnist, idx_bytes

from grokjax import tasks
from grokjax.config.boolean import Conjunction, Majority, SparseParity
from grokjax.config.coercion import ConfigError
from grokjax.config.fields import Config, field_types
from grokjax.config.images import MNIST, Digits
from grokjax.config.regression import PolynomialRegression, TeacherStudent
from grokjax.config.rows import Table
from grokjax.config.sequences import Reachability, RegisterProgram, Sequence, TwoHop
from grokjax.tasks import boolean, regression
from grokjax.tasks.dataset import make_dataset


def refused(make, *words):
    """Assert that making the task fails with one sentence that has these words in it."""
    with pytest.raises(ConfigError) as caught:
        make()
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert len(text) < 400
    for word in words:
        assert word in text, text


BUILDERS = {
    task.kind: function
    for task, function in make_dataset.registry.items()
    if getattr(task, "kind", "")
}
every_kind = pytest.mark.parametrize("kind", BUILDERS)


def test_every_kind_has_an_example():
    assert set(EXAMPLES) == set(BUILDERS)


@every_kind
def test_shapes_and_types(kind):
    task, table = EXAMPLES[kind], tasks.build(EXAMPLES[kind])
    assert len(table.inputs) == len(table.targets) == task.n_rows
    assert 20 <= task.n_rows <= 400
    assert table.inputs.ndim == 2
    if task.encoding == "tokens":
        assert table.inputs.dtype == np.int32
        assert 0 <= table.inputs.min()
        assert table.inputs.max() < table.vocabulary
    else:
        assert table.inputs.dtype == np.float64
        assert np.isfinite(table.inputs).all()
        assert table.vocabulary == 0
    assert table.real == (task.target_kind == "real")
    if task.target_kind == "real":
        assert table.targets.dtype == np.float64
        assert table.n_classes == 1
        assert table.tolerance == task.tolerance > 0
    else:
        assert table.targets.dtype == np.int32
        assert 0 <= table.targets.min()
        assert table.targets.max() < table.n_classes
    assert table.targets.ndim == 1 + (task.target_kind == "sequence")
    assert (table.answers is not None) == (task.target_kind == "sequence")
    assert table.inputs.flags.c_contiguous
    assert table.targets.flags.c_contiguous


@every_kind
def test_rows_are_distinct_and_chance_is_a_share(kind):
    table = tasks.build(EXAMPLES[kind])
    assert len(np.unique(table.inputs, axis=0)) == len(table.inputs)
    assert 0 < table.chance <= 1


@every_kind
def test_operands_and_constant_rows_agree_with_the_configuration(kind):
    task, table = EXAMPLES[kind], tasks.build(EXAMPLES[kind])
    assert 0 <= task.n_always < task.n_rows
    assert (task.operands is None) == (table.operands is None)
    if task.operands is not None:
        assert table.operands.dtype == np.int32
        assert len(np.unique(table.operands, axis=0)) == math.prod(task.operands) == task.n_rows
        assert tuple(len(np.unique(column)) for column in table.operands.T) == task.operands


@every_kind
def test_equal_tasks_have_equal_tables(kind):
    task = EXAMPLES[kind]
    for copy in (dataclasses.replace(task), task.replaced(), pickle.loads(pickle.dumps(task))):
        assert copy == task
        assert hash(copy) == hash(task)
        assert tasks.build(copy) is tasks.build(task)
        again = BUILDERS[kind](copy)
        for field in dataclasses.fields(again):
            ours, theirs = (getattr(t, field.name) for t in (tasks.build(task), again))
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", DRAWN)
def test_another_seed_gives_another_table(kind):
    one, other = (tasks.build(DRAWN[kind].replaced(table_seed=seed)) for seed in (0, 1))
    same = np.array_equal(one.inputs, other.inputs) and np.array_equal(one.targets, other.targets)
    assert not same
    for seed in (-1, 2**32):
        refused(lambda seed=seed: DRAWN[kind].replaced(table_seed=seed), f"table_seed={seed}: ")


@every_kind
def test_documented(kind):
    cls = type(EXAMPLES[kind])
    assert re.search(r"`.+`|(18|19|20)\d\d", cls.__doc__, re.DOTALL)
    assert cls.kind == kind
    assert BUILDERS[kind].__doc__
    assert not {f.name for f in dataclasses.fields(cls)} & set(vars(Config))


def test_fields_of_one_name_have_one_type():
    found = {}
    for task in EXAMPLES.values():
        for name, annotation in field_types(type(task)).items():
            if name in task.values():
                plain = str if annotation == str | None else annotation
                assert found.setdefault(name, plain) == plain, name


@pytest.mark.parametrize("samples", [None, 500])
@pytest.mark.parametrize(("n_bits", "k"), [(1, 1), (9, 1), (9, 4), (9, 9)])
def test_parity_is_the_product_of_the_signs_that_count(n_bits, k, samples):
    if samples is not None and samples > 2**n_bits:
        refused(
            lambda: SparseParity(n_bits, k, samples=samples),
            f"samples={samples}",
            f"2 to {2**n_bits}",
        )
        return
    task = SparseParity(n_bits, k, samples=samples)
    table, places = tasks.build(task), boolean.parity_bits(task)
    assert len(set(places.tolist())) == k
    assert set(np.unique(table.inputs)) == {-1.0, 1.0}
    np.testing.assert_array_equal(table.inputs[:, places].prod(axis=1), 1 - 2 * table.targets)


@pytest.mark.parametrize("kind", ["sparse_parity", "majority", "conjunction"])
def test_tokens_and_signs_are_the_same_rows(kind):
    signs, tokens = (tasks.build(EXAMPLES[kind].replaced(bits=b)) for b in ("signs", "tokens"))
    np.testing.assert_array_equal(signs.inputs, (-1.0) ** tokens.inputs)
    np.testing.assert_array_equal(signs.targets, tokens.targets)
    assert (signs.vocabulary, tokens.vocabulary) == (0, 2)


def test_what_is_hidden_does_not_depend_on_the_number_of_rows():
    few, many = (SparseParity(samples=n, table_seed=3) for n in (10, 2000))
    np.testing.assert_array_equal(boolean.parity_bits(few), boolean.parity_bits(many))
    hidden = {tuple(boolean.parity_bits(SparseParity(table_seed=s)).tolist()) for s in range(50)}
    assert len(hidden) > 45


def test_long_rows_are_drawn_evenly_and_without_repetition():
    rows = boolean.draw_distinct(np.random.default_rng(0), [2] * 100, 4000)
    assert len(np.unique(rows, axis=0)) == 4000
    np.testing.assert_allclose(rows.mean(axis=0), 0.5, atol=5 * 0.5 / np.sqrt(4000))
    crowded = boolean.draw_distinct(np.random.default_rng(0), [600, 600], 150_000)
    assert len(np.unique(crowded @ [600, 1])) == 150_000


@pytest.mark.parametrize("samples", [None, 100])
def test_majority(samples):
    table = tasks.build(Majority(n_bits=9, samples=samples, bits="tokens"))
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        assert target == (row.count(1) > row.count(0))
    refused(lambda: Majority(n_bits=8, samples=99), "n_bits=8: ", "odd")


@pytest.mark.parametrize(
    ("n_bits", "k", "samples"), [(40, 12, 999), (8, 3, 64), (8, 8, 2), (8, 1, 256)]
)
def test_half_of_the_rows_satisfy_a_conjunction(n_bits, k, samples):
    task = Conjunction(n_bits, k, samples=samples, bits="tokens")
    table, (places, wanted) = tasks.build(task), boolean.literals(task)
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        holds = [row[place] == value for place, value in zip(places, wanted, strict=True)]
        assert target == all(holds)
    assert table.targets.sum() == samples // 2
    assert len(np.unique(table.inputs, axis=0)) == samples


def test_a_whole_conjunction_is_not_balanced():
    table = tasks.build(Conjunction(n_bits=8, samples=None, k_bits=3))
    assert (len(table.targets), table.targets.sum()) == (256, 32)
    refused(lambda: Conjunction(8, 3, samples=66), "samples=66: ", "k_bits=3", "at most 64")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SparseParity(n_bits=17, samples=None), ("n_bits=17: ", "give samples")),
        (lambda: SparseParity(n_bits=0), ("n_bits=0: ",)),
        (lambda: SparseParity(n_bits=5, samples=33), ("samples=33: ", "2 to 32")),
        (lambda: SparseParity(samples=1), ("samples=1: ",)),
        (lambda: SparseParity(samples=10**6), ("samples=1000000: ", "200000")),
        (lambda: SparseParity(n_bits=5, samples=20, k_bits=6), ("k_bits=6: ", "n_bits=5")),
        (lambda: SparseParity(bits="bytes"), ("bits='bytes'", "'tokens', 'signs'")),
        (lambda: Conjunction(k_bits=0), ("k_bits=0: ",)),
        (lambda: PolynomialRegression(samples=None), ("samples=None: ", "no table of all")),
        (lambda: PolynomialRegression(degree=0), ("degree=0: ",)),
        (lambda: PolynomialRegression(noise_std=-1), ("noise_std=-1.0: ",)),
        (lambda: PolynomialRegression(n_inputs=0), ("n_inputs=0: ",)),
        (lambda: TeacherStudent(tolerance=0), ("tolerance=0.0: ",)),
        (lambda: TeacherStudent(teacher_units=0), ("teacher_units=0: ",)),
        (lambda: Sequence("copy", symbols=1), ("symbols=1: ",)),
        (lambda: Sequence("copy", length=0), ("length=0: ",)),
        (lambda: Sequence("copy", symbols=10_000, length=1000), ("samples=None: ", "200000")),
        (lambda: Sequence("copy", 2, 3, 9), ("samples=9: ", "2 to 8")),
        (lambda: Reachability(nodes=2), ("nodes=2: ",)),
        (lambda: Reachability(nodes=5, samples=None), ("samples=None: ",)),
        (lambda: RegisterProgram(instructions=0), ("instructions=0: ",)),
        (lambda: RegisterProgram(modulus=1), ("modulus=1: ",)),
        (lambda: RegisterProgram(instructions=9, samples=None), ("samples=None: ",)),
        (lambda: TwoHop(entities=1), ("entities=1: ",)),
        (lambda: TwoHop(relations=0), ("relations=0: ",)),
        (lambda: TwoHop(relations=4, out_degree=5), ("out_degree=5: ", "relations=4")),
        (lambda: TwoHop(entities=2000, relations=200), ("entities=2000: ", "out_degree")),
        (lambda: Digits(limit=1798), ("limit=1798: ", "1797")),
        (lambda: Digits(limit=0), ("limit=0: ",)),
    ],
)
def test_what_makes_no_sense_is_refused(make, words):
    refused(make, *words)


def test_targets_are_the_hermite_ladder():
    task = PolynomialRegression(n_inputs=5, degree=4, samples=300)
    table, u = tasks.build(task), regression.directions(task)
    np.testing.assert_allclose(np.linalg.norm(u, axis=1), 1)
    z = table.inputs @ u.T
    by_hand = [z[:, 0], z[:, 1] ** 2 - 1, z[:, 2] ** 3 - 3 * z[:, 2]]
    by_hand.append(z[:, 3] ** 4 - 6 * z[:, 3] ** 2 + 3)
    expected = sum(h / math.sqrt(math.factorial(j)) for j, h in enumerate(by_hand, 1)) / 2
    np.testing.assert_allclose(table.targets, expected, atol=1e-12)


def test_components_are_orthonormal_and_targets_have_variance_one():
    task = PolynomialRegression(n_inputs=4, degree=3, samples=100_000)
    table, z = tasks.build(task), None
    z = table.inputs @ regression.directions(task).T
    parts = [
        hermite_e.hermeval(z[:, j - 1], [0] * j + [1]) / math.sqrt(math.factorial(j))
        for j in (1, 2, 3)
    ]
    np.testing.assert_allclose(np.cov(parts), np.eye(3), atol=0.06)
    assert table.targets.mean() == pytest.approx(0, abs=0.02)
    assert table.targets.var() == pytest.approx(1, abs=0.04)
    np.testing.assert_allclose(np.cov(table.inputs.T), np.eye(4), atol=0.03)


def test_noise_is_added_to_the_same_function():
    clean, noisy = (
        tasks.build(PolynomialRegression(samples=20_000, noise_std=std)) for std in (0.0, 0.5)
    )
    np.testing.assert_array_equal(clean.inputs, noisy.inputs)
    noise = noisy.targets - clean.targets
    assert noise.std() == pytest.approx(0.5, rel=0.03)
    assert abs(np.corrcoef(noise, clean.targets)[0, 1]) < 0.03


@pytest.mark.parametrize("teacher", ["linear", "relu"])
def test_a_teachers_outputs_are_standardised(teacher):
    task = TeacherStudent(n_inputs=6, teacher_units=5, samples=400, teacher=teacher)
    table, ((w, _), ((v,), _)) = tasks.build(task), regression.teacher_layers(task)
    outputs = []
    for x in table.inputs:
        units = [sum(w[j, i] * x[i] for i in range(6)) for j in range(5)]
        units = [max(0.0, unit) if teacher == "relu" else unit for unit in units]
        outputs.append(sum(v[j] * units[j] for j in range(5)))
    assert table.targets.mean() == pytest.approx(0, abs=1e-12)
    assert table.targets.std() == pytest.approx(1, abs=1e-12)
    slope, shift = np.polyfit(outputs, table.targets, 1)
    assert slope == pytest.approx(1 / np.std(outputs))
    np.testing.assert_allclose(slope * np.array(outputs) + shift, table.targets, atol=1e-10)


def test_only_the_linear_teacher_is_linear():
    for teacher in ("linear", "relu"):
        table = tasks.build(TeacherStudent(n_inputs=6, samples=400, teacher=teacher))
        columns = np.c_[table.inputs, np.ones(400)]
        residual = np.linalg.lstsq(columns, table.targets, rcond=None)[1][0]
        assert (residual < 1e-20) == (teacher == "linear")


def test_a_silent_teacher_is_refused():
    def make(seed):
        return tasks.build(TeacherStudent(n_inputs=1, samples=2, teacher_units=1, table_seed=seed))

    for seed in range(30):
        try:
            assert np.isfinite(make(seed).targets).all()
        except ConfigError:
            refused(lambda seed=seed: make(seed), f"table_seed={seed}: ", "another seed")
            return
    raise AssertionError("no seed had a silent teacher")


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    theirs, table = load_digits(), tasks.build(Digits())
    assert table.inputs.shape == (1797, 64)
    assert (table.inputs.min(), table.inputs.max()) == (0, 1)
    ours = in_order(np.c_[table.inputs * 16, table.targets])
    assert ours == in_order(np.c_[theirs.data, theirs.target])
    few = tasks.build(Digits(limit=50))
    np.testing.assert_array_equal(few.inputs, table.inputs[:50])
    assert few.n_classes == 10


def in_order(rows):
    """Rows in an order that does not depend on theirs."""
    return sorted(map(tuple, rows.tolist()))


def test_digits_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert Digits().n_rows == 1797
    refused(lambda: BUILDERS["digits"](Digits()), "task='digits': ", "pip install scikit-learn")


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_is_read_from_files(tmp_path, packed):
    pictures, labels = fake_mnist(tmp_path, 40, packed)
    task = MNIST(str(tmp_path), limit=None)
    assert task.limit == task.n_rows == 40
    contents = idx_bytes(pictures) + idx_bytes(labels)
    assert task.sha256 == hashlib.sha256(contents).hexdigest()
    assert MNIST(str(tmp_path), limit=7, sha256=task.sha256).n_rows == 7
    table = tasks.build(task)
    ours = in_order(np.c_[table.inputs * 255, table.targets].round(9))
    assert ours == in_order(np.c_[pictures.reshape(40, 784), labels].astype(float))
    np.testing.assert_array_equal(
        tasks.build(MNIST(str(tmp_path), limit=7)).inputs, table.inputs[:7]
    )


def test_mnist_files_that_are_missing_or_wrong(tmp_path):
    refused(lambda: MNIST(str(tmp_path / "no")), "folder=", "train-images-idx3-ubyte")
    pictures, labels = fake_mnist(tmp_path, 40)
    refused(lambda: MNIST(str(tmp_path)), "limit=2000: ", "2 to 40")
    refused(lambda: MNIST(str(tmp_path), 10, sha256="abc"), "sha256='abc': ", "leave it out")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    refused(lambda: MNIST(str(tmp_path), 10), "folder=", "train-labels-idx1-ubyte")
    good = idx_bytes(labels)
    for number, (content, words) in enumerate(
        [
            (b"", "does not begin"),
            (b"\x00\x00", "does not begin"),
            (idx_bytes(pictures), "does not begin"),
            (good[:-1], "47 bytes instead of 48"),
            (good + b"\x00", "49 bytes instead of 48"),
            (idx_bytes(labels[:-1]), "40 pictures and 39 labels"),
            (idx_bytes(np.append(labels[:-1], 10)), "labels up to 10"),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        fake_mnist(folder, 40)
        (folder / "train-labels-idx1-ubyte").write_bytes(content)
        refused(lambda folder=folder: MNIST(str(folder), 10), "folder=", words, "fetch")


def test_mnist_files_that_cannot_be_unpacked(tmp_path):
    fake_mnist(tmp_path, 40, packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for number, content in enumerate([b"not gzip", whole[:-9], bytes(damaged), b""]):
        folder = tmp_path / str(number)
        folder.mkdir()
        fake_mnist(folder, 40, packed=True)
        (folder / path.name).write_bytes(content)
        refused(lambda folder=folder: MNIST(str(folder), 10), "folder=", path.name)


def test_other_sizes_of_pictures_are_not_mnist(tmp_path):
    fake_mnist(tmp_path, 40)
    small = idx_bytes(np.zeros((40, 8, 8)))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(small)
    refused(lambda: MNIST(str(tmp_path), 10), "does not begin as that file of MNIST")
    with gzip.open(tmp_path / "spare.gz", "wb") as file:
        file.write(small)


REARRANGED = {"copy": list, "reverse": lambda x: list(reversed(x)), "sort": sorted}


@pytest.mark.parametrize("rule", REARRANGED)
@pytest.mark.parametrize(
    ("symbols", "length", "samples"), [(3, 4, None), (2, 1, None), (30, 9, 50)]
)
def test_rows_hold_the_string_and_the_answers_before_the_last(rule, symbols, length, samples):
    task = Sequence(rule, symbols, length, samples)
    table = tasks.build(task)
    assert table.answers == tuple(range(length, 2 * length))
    assert table.vocabulary == symbols + 1
    strings = set()
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        x, equals, shown = row[:length], row[length], row[length + 1 :]
        assert equals == symbols
        assert target == REARRANGED[rule](x)
        assert shown == target[:-1]
        strings.add(tuple(x))
    assert len(strings) == task.n_rows == (samples or symbols**length)
    assert task.teacher_forced


def paths_from(source, edges, n):
    """Nodes that a search from `source` finds, which are more than those one edge away."""
    found, waiting = {source}, [source]
    while waiting:
        node = waiting.pop()
        for other in range(n):
            if (node, other) in edges and other not in found:
                found.add(other)
                waiting.append(other)
    return found


@pytest.mark.parametrize(("nodes", "samples"), [(3, None), (3, 100), (4, 500), (5, 400), (9, 301)])
def test_paths_are_those_that_a_search_finds(nodes, samples):
    task = Reachability(nodes, samples)
    table = tasks.build(task)
    pairs = [(s, t) for s in range(nodes) for t in range(nodes) if s != t]
    assert table.vocabulary == 3 + nodes
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        *bits, s, t, equals = row
        assert equals == nodes + 2
        assert s != t
        edges = {pair for pair, bit in zip(pairs, bits, strict=True) if bit}
        assert target == (t - 2 in paths_from(s - 2, edges, nodes))
    assert len(np.unique(table.inputs, axis=0)) == task.n_rows
    if samples:
        assert table.targets.sum() == samples // 2


def test_paths_are_balanced_as_far_as_there_are_so_many():
    whole = tasks.build(Reachability(3, None))
    yes, no = whole.targets.sum(), (1 - whole.targets).sum()
    assert yes + no == 2**6 * 6
    most = tasks.build(Reachability(3, 380))
    assert (most.targets == 0).sum() == min(no, 190)
    assert len(np.unique(most.inputs, axis=0)) == 380


def run_program(a, b, words, m):
    """Registers after a program, by Python's own integers and statements."""
    scope = {"a": a, "b": b}
    for word in words:
        exec("a, b = b, a" if word == "swap" else word, scope)
    return scope["a"] % m


@pytest.mark.parametrize(
    ("instructions", "m", "samples"), [(1, 3, None), (3, 5, 300), (6, 11, 100)]
)
def test_programs_do_what_python_does(instructions, m, samples):
    task = RegisterProgram(instructions, m, samples)
    table = tasks.build(task)
    words = "a+=b b+=a a-=b b-=a a*=b swap a+=1 b+=1".split()
    assert table.vocabulary == m + 8 + 1
    for row, target in zip(table.inputs.tolist(), table.targets.tolist(), strict=True):
        a, b, *program, equals = row
        assert equals == m + 8
        assert target == run_program(a, b, [words[token - m] for token in program], m)
    assert len(np.unique(table.inputs, axis=0)) == task.n_rows == (samples or m**2 * 8)


@pytest.mark.parametrize(
    ("entities", "relations", "out_degree"), [(7, 3, None), (20, 9, 4), (2, 1, 1)]
)
def test_two_hops_follow_the_facts(entities, relations, out_degree):
    task = TwoHop(entities, relations, out_degree)
    table, degree = tasks.build(task), out_degree or relations
    padding, equals = entities + relations, entities + relations + 1
    rows = list(zip(table.inputs.tolist(), table.targets.tolist(), strict=True))
    known = {}
    for (e, r1, r2, last), target in rows[: task.n_always]:
        assert (r2, last) == (padding, equals)
        assert (e, r1) not in known
        assert e != target
        known[e, r1] = target
    assert len(known) == entities * degree
    pairs = set()
    for (e, r1, r2, last), target in rows[task.n_always :]:
        assert last == equals
        assert entities <= min(r1, r2)
        assert target == known[known[e, r1], r2]
        pairs.add((e, r1, r2))
    joined = {
        (e, r1, r2)
        for (e, r1), (bridge, r2) in itertools.product(known, known)
        if known[e, r1] == bridge
    }
    assert pairs == joined
    assert task.n_rows == len(known) + len(joined)


def test_whole_numbers_are_tokens_and_classes():
    task = Table([[0, 4], [1, 2], [3, 3]], [2, 0, 1])
    table = tasks.build(task)
    assert (task.encoding, task.target_kind, task.n_rows) == ("tokens", "classes", 3)
    assert (table.vocabulary, table.n_classes) == (5, 3)
    assert table.inputs.tolist() == [[0, 4], [1, 2], [3, 3]]
    assert table.targets.tolist() == [2, 0, 1]


def test_one_decimal_makes_features_and_numbers():
    task = Table([[0, 4], [1, 2.5]], [1, 0.5], tolerance=0.2)
    table = tasks.build(task)
    assert (task.encoding, task.target_kind) == ("features", "real")
    assert (table.vocabulary, table.n_classes, table.tolerance) == (0, 1, 0.2)
    assert table.inputs.tolist() == [[0, 4], [1, 2.5]]
    assert isinstance(task.inputs[0][0], float)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=20))
def test_lists_arrays_and_frames_are_the_same_task(rows):
    targets = [a * b % 7 for a, b in rows]
    task = Table(rows, targets)
    for kind in (np.int8, np.uint64):
        assert Table(np.array(rows, kind), np.array(targets, kind)) == task
    assert Table(list(map(np.array, rows)), [np.int64(t) for t in targets]) == task
    assert Table(pd.DataFrame(rows), pd.Series(targets)) == task
    assert Table(np.array(rows) * 1.0, targets) != task
    assert Table(rows, [t == 1 for t in targets]) == Table(rows, [int(t == 1) for t in targets])


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 2), min_size=2, max_size=9),
    st.data(),
)
def test_any_change_is_another_task(rows, data):
    task = Table(rows, range_list := [float(at) for at in range(len(rows))])
    at, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 1))
    changed = [list(row) for row in rows]
    changed[at][column] += 1 + abs(changed[at][column])
    assert Table(changed, range_list).sha256 != task.sha256
    assert Table(rows, range_list[::-1]).sha256 != task.sha256
    assert Table(rows, range_list, tolerance=0.5) != task


def test_shape_is_part_of_the_checksum():
    two, three = Table([[0, 1]] * 3, [0, 1, 2]), Table([[0, 1, 0]] * 2, [1, 0])
    assert two.inputs.checksum != three.inputs.checksum
    assert Table([[0, 1], [0, 1], [0, 1]], [0, 1, 2]).sha256 == two.sha256


def test_a_checksum_is_compared_and_bulk_is_no_column():
    task = Table([[0], [1]], [0, 1])
    assert re.fullmatch("[0-9a-f]{64}", task.sha256)
    named = {"sha256", "tolerance", "table_name", "row_error", "loss_on"}
    assert task.values().keys() == named
    assert "inputs" not in repr(task)
    assert Table([[0], [1]], [0, 1], task.sha256) == task
    refused(lambda: Table([[0], [2]], [0, 1], task.sha256), "sha256=", "leave it out")
    refused(lambda: task.replaced(inputs=[[0], [2]]), "sha256=", "leave it out")
    assert task.replaced(inputs=[[0], [2]], sha256="").n_rows == 2


def test_large_tables_are_checked_once():
    task = Table(np.arange(300_000).reshape(-1, 3) % 97, np.arange(100_000) % 5)
    copy = task.replaced(tolerance=0.3)
    assert copy.inputs is task.inputs
    assert copy.targets is task.targets
    assert tasks.build(copy).inputs.shape == (100_000, 3)
    assert Table(task.inputs, task.inputs).targets is task.inputs


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([], [], ("inputs=()", "2 or more rows")),
        ([[1, 2]], [0], ("inputs=", "2 or more rows")),
        ([[1], [2]], [0], ("targets=", "2 or more numbers")),
        ([[1], [2], [3]], [0, 1], ("targets: 2 of them for 3 rows",)),
        ([[1, 2], [3], [4]], [0, 1, 1], ("inputs[1]=(3,)", "2 numbers", "not 1")),
        ([1, 2], [0, 1], ("inputs[0]=1", "a row of numbers")),
        ([[], []], [0, 1], ("inputs[0]=()",)),
        ("text", [0, 1], ("inputs='text'",)),
        ([[1], ["b"]], [0, 1], ("inputs[1][0]='b'", "number what is text")),
        ([[1], [None]], [0, 1], ("inputs[1][0]=None",)),
        ([[1], [2]], [0, "b"], ("targets[1]='b'",)),
        ([[1], [2]], [[0], [1, 2]], ("targets[1]=(1, 2)", "1 numbers", "not 2")),
        ([[1], [2], [3]], np.eye(3, dtype=int), ("targets=(1, 0, 0)", "one-hot")),
        (np.eye(4, dtype=int), [0, 1, 2, 3], ("inputs=(1, 0, 0, 0)", "one-hot")),
        ([[1], [-2]], [0, 1], ("inputs[1][0]=-2", "tokens are counted from 0")),
        ([[1], [2]], [0, -1], ("targets[1]=-1", "classes are counted from 0")),
        ([[1], [10**6]], [0, 1], ("inputs[1][0]=1000000", "renumber")),
        ([[1.0], [math.nan]], [0, 1], ("inputs[1][0]=nan", "finite")),
        ([[1.0, 2], [1, math.inf]], [0, 1], ("inputs[1][1]=inf", "finite")),
        ([[1.0], [10**400]], [0, 1], ("inputs[1][0]=", "finite")),
        ([[1], [2]], [0.5, -math.inf], ("targets[1]=-inf", "finite")),
        (np.zeros((2, 2, 2)), [0, 1], ("inputs[0][0]=(0.0, 0.0)",)),
        ([[1j], [2]], [0, 1], ("inputs[0][0]=1j",)),
        ([range(200), [0]], [0, 1], ("inputs[0]=range",)),
    ],
)
def test_rows_that_are_no_table(inputs, outputs, words):
    refused(lambda: Table(inputs, outputs), *words)


def test_tolerance_is_positive():
    refused(lambda: Table([[0], [1]], [0, 1], tolerance=0), "tolerance=0.0: ")


@pytest.fixture
def frame():
    """Numbers and one column of text."""
    return pd.DataFrame({"a": [0, 1, 2], "b": [3, 4, 5], "y": [0, 1, 0], "name": ["x", "y", "z"]})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_are_read(tmp_path, frame, suffix):
    path = tmp_path / f"mine.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    task = Table.read(path, "y", ["b", "a"])
    assert task == Table([[3, 0], [4, 1], [5, 2]], [0, 1, 0], table_name="mine")
    assert Table.read(str(path), target="b", inputs=["a"]).targets == (3, 4, 5)
    with_text = Table.read(path, "y")
    assert with_text.inputs == ((0, 3, 6), (1, 4, 7), (2, 5, 8))
    assert with_text.vocabulary == (*map(str, range(6)), "x", "y", "z")
    assert Table(with_text.inputs, with_text.targets).sha256 != with_text.sha256
    named = Table.read(path, "name", ["a"])
    assert (named.targets, named.class_names) == ((0, 1, 2), ("x", "y", "z"))
    refused(lambda: Table.read(path, "z"), "column='z': ", "choose from a, b, y, name")
    refused(lambda: Table.read(path, "y", ["a", "c"]), "column='c': ")
    refused(lambda: Table.read(path, "y", ["a", "y"]), "target='y': ")
    refused(lambda: Table.read(path, "y", []), "inputs=[]: ")


def test_files_that_cannot_be_read(tmp_path, frame):
    refused(lambda: Table.read(tmp_path / "no.csv", "y"), "no such file")
    refused(lambda: Table.read(tmp_path / "mine.xlsx", "y"), "mine.xlsx", ".parquet")
    for name in ("empty.csv", "bad.parquet", "empty.parquet"):
        (tmp_path / name).write_bytes(b"\xff\xfe" * 9 if "bad" in name else b"")
        path = tmp_path / name
        refused(lambda path=path: Table.read(path, "y"), "path=", name, "cannot be read")
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)))
    refused(lambda: Table.read(tmp_path / "binary.csv", "y"), "binary.csv")
    frame.loc[1, "a"] = None
    frame.to_csv(tmp_path / "gap.csv", index=False)
    refused(lambda: Table.read(tmp_path / "gap.csv", "y", ["a"]), "column='a': ", "[1]")
    (tmp_path / "short.csv").write_text("a,y\n")
    refused(lambda: Table.read(tmp_path / "short.csv", "y"), "short.csv", "2 rows or more")
