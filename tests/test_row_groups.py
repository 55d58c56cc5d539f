"""Groups of rows: what is measured of them, when they grok, and how that is shown."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from test_drawn import assert_nothing_overlaps
from test_measures import observed_with

import grokjax
from grokjax import (
    ConfigError,
    Experiment,
    FiniteGroup,
    ModularArithmetic,
    Operation,
    Operations,
    RowGroups,
    SnapshotSchedule,
    Thresholds,
    grid,
    tasks,
)
from grokjax.analysis import onset, row_groups
from grokjax.engine import compiling
from grokjax.figures import gallery
from grokjax.figures import row_groups as drawings
from grokjax.measures import TrainingRows
from grokjax.measures.observed import measure
from grokjax.measures.row_groups import groups_of
from grokjax.summary_text import as_json, describe, markdown

PARITY = grokjax.SparseParity(n_bits=6, k_bits=2, samples=40)
BOTH = Operations([ModularArithmetic("add", p=5), Operation("x*y % p", p=5, where="y")])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cosets(RowGroups):
    """Rows by the coset that the answer is in."""

    subgroup: int = 2

    def groups(self, dataset):
        return np.where(dataset.targets % self.subgroup == 0, "even", "odd")


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    before = compiling.COMPILER_OPTIONS["cpu"]
    compiling.COMPILER_OPTIONS["cpu"] = compiling.RARELY_RUN["cpu"]
    yield
    compiling.COMPILER_OPTIONS["cpu"] = before


def by_hand(outputs, truth, labels, on_train, group):
    """The four numbers of each group, with NumPy in float64."""
    outputs = np.asarray(outputs, float)
    log_sum = np.log(np.exp(outputs - outputs.max(1, keepdims=True)).sum(1)) + outputs.max(1)

    def means(rows, targets):
        if not rows.any():
            return np.nan, np.nan
        loss = log_sum[rows] - outputs[rows, targets[rows]]
        return loss.mean(), (outputs[rows].argmax(1) == targets[rows]).mean()

    found = {}
    for name in np.unique(group):
        inside = group == name
        for split, rows, targets in (
            ("train", inside & on_train, labels), ("test", inside & ~on_train, truth)
        ):  # fmt: skip
            found[name, f"{split}_loss"], found[name, f"{split}_accuracy"] = means(rows, targets)
    return found


@functools.cache
def measured_by(by):
    """Compiled: outputs, and training rows with padding → what is measured."""

    @jax.jit
    def measured(outputs, *rows):
        observed = dataclasses.replace(observed_with(BOTH), train=TrainingRows(*rows))
        vars(observed)["outputs"] = outputs
        return measure((RowGroups(by=by),), observed)["row_groups"]

    return measured


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["x", "operation + answer"]))
def test_what_is_measured_is_what_numpy_makes_of_the_outputs(seed, by):
    """With padding, noisy labels, ties, and groups without a training or a test row."""
    rng, table = np.random.default_rng(seed), tasks.build(BOTH)
    n, x = len(table.targets), table.values[:, 0]
    outputs = rng.integers(-2, 3, size=(n, 5)).astype(np.float32)
    on_train = (rng.random(n) < 0.5) & (x != 3) | (table.targets == 4)
    labels = np.where(rng.random(n) < 0.2, 0, table.targets)
    index = rng.permutation(np.concatenate([np.arange(n), [0, 0]])).astype(np.int32)
    places = np.unique(index, return_index=True)[1]
    weights = np.zeros(n + 2, np.float32)
    weights[places[on_train]] = 1 / on_train.sum()
    right = {
        "x": x,
        "operation + answer": table.operation + table.targets,
    }[by]
    expected = by_hand(outputs, table.targets, labels, on_train, right)
    found = measured_by(by)(outputs, index, labels[index], weights)
    assert set(found) == {f"{by}: {int(name)}.{what}" for name, what in expected}
    for (name, what), value in expected.items():
        np.testing.assert_allclose(found[f"{by}: {int(name)}.{what}"], value, rtol=2e-6)


@pytest.mark.drawn
def test_rows_in_neither_set_are_numbers_of_their_own():
    """Of a given split; an answer is right by an output of the identity."""
    table = tasks.build(BOTH)
    sets = np.arange(len(table.targets)) % 3
    outputs = 5 * np.eye(5, dtype=np.float32)[table.targets]
    outputs[sets == 2] *= -1
    train = np.flatnonzero(sets == 0)
    observed = dataclasses.replace(observed_with(BOTH, outputs, train=train), sets=sets)
    vars(observed)["outputs"] = jnp.asarray(outputs)
    found = measure((RowGroups(),), observed)["row_groups"]
    for group in BOTH.names:
        accuracies = [
            float(found[f"{group}.{name}_accuracy"]) for name in ("train", "test", "third")
        ]
        assert accuracies == [1, 1, 0] and found[f"{group}.third_loss"] > 5


BASE = Experiment(
    task=BOTH,
    model=grokjax.MLP(width=6, mlp_width=16),
    optimizer=grokjax.AdamW(learning_rate=2e-2, weight_decay=0.3),
    train_fraction=0.7,
    label_noise=0.1,
    steps=60,
    settle_steps=None,
    log_every=10,
    thresholds=Thresholds(memorised=0.6, grokked=0.3, settle=1),
    snapshots=SnapshotSchedule(at=(40,)),
    instruments=(RowGroups(), Cosets()),
    sweep=grid(weight_decay=[0.1, 1.0], seed=range(2)),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A sweep with groups of rows; nothing may be written to it."""
    return grokjax.run(BASE, tmp_path_factory.mktemp("groups") / "r", progress=False)


@pytest.mark.drawn
def test_groups_add_up_to_the_curves(trained):
    table, wide = tasks.build(BOTH), trained.measures_wide()
    curves = trained.curves.set_index(["run_id", "step"])
    wide = wide.set_index(["run_id", "step"])
    for run_id in trained.runs["run_id"][:2]:
        split, noted = trained.split(run_id), np.zeros(len(table.targets), bool)
        noted[split.train] = True
        even = table.targets % 2 == 0
        for kind, groups in {
            "row_groups": {"add": table.operation == 0, "x*y % p": table.operation == 1},
            Cosets.kind: {"even": even, "odd": ~even},
        }.items():
            for name, rows in (("train", noted), ("test", ~noted)):
                for what in ("loss", "accuracy"):
                    mean = sum(
                        wide.loc[run_id, f"{kind}.{group}.{name}_{what}"] * (inside & rows).sum()
                        for group, inside in groups.items()
                    )
                    whole = curves.loc[run_id, f"{name}_{what}"]
                    np.testing.assert_allclose(mean / rows.sum(), whole, rtol=2e-5, atol=1e-7)


def test_a_snapshot_says_the_same(trained):
    run_id, table = trained.runs["run_id"].iloc[0], tasks.build(BOTH)
    outputs = np.asarray(trained.network(run_id, 40)(table.inputs))
    noted = np.zeros(len(table.targets), bool)
    noted[trained.split(run_id).train] = True
    expected = by_hand(outputs, table.targets, table.targets, noted, table.operation)
    row = trained.measures_wide().set_index(["run_id", "step"]).loc[(run_id, 40)]
    for at, name in enumerate(BOTH.names):
        for what in ("test_loss", "test_accuracy"):
            assert row[f"row_groups.{name}.{what}"] == pytest.approx(expected[at, what], rel=1e-5)


def test_times_of_groups_are_by_the_definitions_of_whole_runs(trained):
    times, wide = row_groups.table(trained), trained.measures_wide()
    assert len(times) == 4 * len(trained.runs) and set(times["instrument"]) == {
        "row_groups",
        Cosets.kind,
    }
    assert {"weight_decay", "seed"} <= set(times)
    for _, row in times.iterrows():
        start = f"{row['instrument']}.{row['row_group']}."
        curve = wide[wide["run_id"] == row["run_id"]].sort_values("step")
        measured = {name: curve[start + name].to_numpy() for name in row_groups.MEASURED}
        alone = onset.summarise({"step": curve["step"], **measured}, 0.0, BASE.thresholds)
        for name in (*row_groups.TIMES, "final_test_accuracy", "final_train_loss"):
            either = [None if pd.isna(value) else value for value in (row[name], alone[name])]
            assert either[0] == either[1], name
        assert row["censored"] == (alone["t_grok"] is None)
    assert times["t_grok"].notna().any()
    later = row_groups.table(trained, Thresholds(grokked=1.0))
    assert later["censored"].sum() > times["censored"].sum()
    pd.testing.assert_frame_equal(
        later, row_groups.table(trained.with_thresholds(Thresholds(grokked=1.0)))
    )


def made_up(trained, accuracies):
    """The results with other measures: group → test accuracy of each run at steps 0, 10, 20."""
    rows = [
        (
            run_id,
            10 * at,
            "row_groups",
            f"{group}.{what}",
            value if what == "test_accuracy" else 1.0,
        )
        for group, of_runs in accuracies.items()
        for run_id, values in zip(trained.runs["run_id"], of_runs, strict=False)
        for at, value in enumerate(values)
        for what in row_groups.MEASURED
    ]
    new = dataclasses.replace(trained)
    vars(new)["runs"] = trained.runs
    vars(new)["measures"] = pd.DataFrame(
        rows, columns=["run_id", "step", "instrument", "part", "value"]
    )
    return new


def test_which_group_is_first(trained):
    nan = float("nan")
    results = made_up(trained, {
        "g: 10": [(0, 1, 1), (0, 0, 1), (0, 1, 1)],
        "g: 2": [(0, 0, 1), (0, 0, 0), (0, 1, 1)],
        "g: -1": [(0, 0, 0), (0, 0, 0), (0, 0, 0)],
        "g: 3": [(nan,) * 3] * 3,
    })  # fmt: skip
    times = row_groups.table(results)
    assert times["row_group"].unique().tolist() == ["g: -1", "g: 2", "g: 3", "g: 10"]
    assert times[times["row_group"] == "g: 3"]["censored"].isna().all()
    found = row_groups.medians(times).set_index("row_group")
    assert found.index.tolist() == ["g: -1", "g: 2", "g: 10"]
    assert found["n_grokked"].tolist() == [0, 2, 3] and found["median"].tolist()[1:] == [20.0, 10.0]
    np.testing.assert_allclose(found["first"].astype(float), [0, 1 / 3, 1])
    (told,) = row_groups.headlines(results)
    assert told.startswith("g: 10 groks first, in 100% of the runs")
    assert "g: 10 10 (3 of 3), g: 2 20 (2 of 3), g: -1 beyond the budget (0 of 3)" in told
    never = made_up(trained, {"a": [(0, 0)], "b": [(0, 0)]})
    assert row_groups.headlines(never) == ["no group of rows grokked, of a, b"]
    assert row_groups.headlines(made_up(trained, {})) == []


def test_a_report_has_the_groups(trained, tmp_path):
    summary = trained.summary()
    for text in (describe(summary), markdown(summary)):
        assert "groks first, in" in text
    assert json.dumps(as_json(summary)["row_groups"])
    for name in ("row_groups", f"row_groups_{Cosets.kind}", "row_groups_times"):
        drawn = gallery.draw(summary, name)
        drawn.save(tmp_path / f"{name}.png")
    data = gallery.draw(summary, "row_groups_times").data_
    assert len(data["runs"]) == 2 * len(trained.runs) and len(data["medians"]) == 2
    many = row_groups.curves(trained).head(48)
    many = many.assign(row_group=[f"g: {at % 12}" for at in range(48)])
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    assert len(drawings.group_curves(many, subfigure=left).handles_) == 2
    times = row_groups.table(trained).query("instrument == 'row_groups'")
    drawings.group_times(times, "t_mem", ax=right.subplots())
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: RowGroups(by="x.real"), "by='x.real': it asks for an attribute"),
        (lambda: RowGroups(by="digit"), "digit is no name here, choose from p, answer, operation"),
        (
            lambda: Experiment(instruments=[RowGroups()]),
            "modular_arithmetic has one operation only, so say by which formula",
        ),
        (lambda: dataclasses.replace(BASE, instruments=[RowGroups(by="z")]), "names operand 3"),
        (
            lambda: dataclasses.replace(BASE, task=PARITY, instruments=[RowGroups(by="x")]),
            "the rows of sparse_parity have no tokens",
        ),
        (
            lambda: groups_of(RowGroups(by="x * y"), ModularArithmetic("add", p=97)),
            "groups, and 128 is the most",
        ),
        (
            lambda: groups_of(Wrong(), BOTH),
            r"for 45 rows it gives float64 \[3\], return the number",
        ),
    ],
)
def test_what_makes_no_groups_is_refused_in_a_sentence(make, told):
    with pytest.raises(ConfigError, match=told) as error:
        make()
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wrong(RowGroups):
    def groups(self, dataset):
        return np.ones(3)


def test_any_task_has_groups_by_its_tokens_and_answers():
    assert groups_of(RowGroups(by="answer"), PARITY)[0] == ("answer: 0", "answer: 1")
    names, which = groups_of(RowGroups(by="x == y"), FiniteGroup("S3"))
    assert names == ("x == y: 0", "x == y: 1") and which.sum() == 6
    names, _ = groups_of(RowGroups(by="x2 + x0"), grokjax.Sequence("copy", symbols=2, length=2))
    assert len(names) > 1
