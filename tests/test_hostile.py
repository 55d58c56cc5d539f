"""Inputs that no one should give: each ends in a sentence, at once, and has changed nothing."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import hostile
import hypothesis
import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from conftest import QUICK_PROCESS
from samples import place
from sweep_folder import synthetic_results, write

from grokjax import (
    SGD,
    AdamW,
    ConfigError,
    Experiment,
    Mask,
    ModularArithmetic,
    Refine,
    StartFrom,
    Transformer,
    experiment_file,
    grid,
    run,
    sweep,
)
from grokjax.config import axes, refusals
from grokjax.engine import donors, plan, room, rounds
from grokjax.results import snapshots

CPU_SECONDS = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return hostile.made_sweep(tmp_path_factory.mktemp("made"), trained=False)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(workplace, capsys, fields, *flags):
    """What an experiment file is refused with; it has changed nothing."""
    text = (
        hostile.HEADER
        + f"experiment = Experiment(**{{**dict(task=task, model=model, steps=20), **dict({fields})}})\n"
    )
    (workplace / "odd.py").write_text(text)
    assert sweep.main(["--dry-run", "odd.py", *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and len(said) <= 301, said
    assert [path.name for path in workplace.iterdir()] == ["odd.py"]
    return said


# What is too large.


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("sweep=grid(optimizer=[SGD(), AdamW()], b1=[0.8, 0.9])", "b1 is a field of AdamW"),
        ("sweep=grid(seed=itertools.count())", "seed: these are more than 1000000 values"),
        ("sweep=grid(seed=range(10**30))", "seed: these are more than 1000000 values"),
        ("sweep=grid(seed=range(1000), weight_decay=range(10**4))", "sweep: 10000000 cells are more than 1000000"),
        ("sweep=grid(seed=range(1000)) * grid(weight_decay=range(10**4))", "10000000 cells"),
        ("model=Transformer(width=2**63)", "width=9223372036854775808"),
        ("model=Transformer(layers=10**30)", "layers="),
        ("model=Transformer(layers=10**9)", "layers=1000000000: give 256 or fewer"),
        ("model=Transformer(width=10**9)", "width=1000000000: give 16777216 or fewer"),
        ("model=Transformer(width=2**24)", "parameters, gradients and the optimiser's state take about 16 PiB"),
        ("model=MLP(mlp_width=10**6, layers=2)", "parameters, gradients and the optimiser's state take about"),
        ("model=Transformer(frequencies=itertools.count(1), embed_init='frequencies')", "frequencies: "),
        ("instruments=[LearningCoefficient(draws=10**9)]", "draws=1000000000: give 100000 or fewer"),
        ("snapshots=SnapshotSchedule(log_spaced=10**18)", "log_spaced="),
        ("steps=10**5000", "steps=<int of 16610 bits>"),
        ("start=StartFrom('x' * 5000, step=0)", "File name too long, give the results folder"),
        ("start=StartFrom('a\\0b', step=0)", "null character"),
        ("task=Table([[0, 1], [1, 1]], [0, 1], table_name='\\ud800')", "table_name='\\ud800': it has half of a character"),
        ("task=Table.read(3)", "path=3: give the name of a file"),
        ("task=Table.read('x' * 5000 + '.csv')", "there is no such file"),
    ],
)  # fmt: skip
def test_what_no_machine_holds_is_refused_in_a_sentence(
    workplace, capsys, monkeypatch, fields, named
):
    monkeypatch.setattr("grokjax.config.coercion.MOST_VALUES", 1000)
    assert named in refused(workplace, capsys, fields)


def test_activations_and_lanes_beyond_the_memory_are_refused(tiny, monkeypatch):
    larger = dataclasses.replace(tiny, task=ModularArithmetic("sub", p=31))
    monkeypatch.setattr(room, "machine_memory", lambda: 2.0**17)
    with pytest.raises(ConfigError, match=r"activations of an update take about .* smaller batch"):
        plan.make(larger)
    few = dataclasses.replace(larger, batch_size=2, sweep=grid(seed=range(100)))
    plan.make(few)
    with pytest.raises(ConfigError, match=r"lanes=100: each takes about .* fewer with --lanes"):
        plan.make(few, lanes=100)


def test_ten_thousand_cells_are_planned():
    """In 2 s of a busy core; the bound is for one that is busier still."""
    experiment = Experiment(
        sweep=grid(weight_decay=[k / 100 for k in range(100)], learning_rate=[1e-3 * k for k in range(1, 101)])
    )  # fmt: skip
    started = os.times()
    runs = experiment.runs()
    assert os.times().user - started.user < 20
    assert len({one.run_id for one in runs}) == 10_000
    alone = Experiment(optimizer=AdamW(weight_decay=0.07, learning_rate=1e-3 * 3))
    assert experiment.expansion.runs[alone.resolved().run_id] == alone.resolved()


def test_zeros_of_both_signs_are_one_run():
    for name, values in {
        "weight_decay": [0.0, -0.0],
        "label_noise": [0, -0.0, np.float32(-0.0)],
    }.items():
        assert len(Experiment(sweep=grid({name: values})).runs()) == 1
    signed = [
        Experiment(optimizer=AdamW(weight_decay=zero)).resolved().run_id for zero in (0.0, -0.0)
    ]
    assert signed[0] == signed[1]


def test_a_sweep_of_the_largest_size_is_one_and_one_more_is_refused(monkeypatch):
    monkeypatch.setattr(axes, "MOST_CELLS", 6)
    assert len(grid(seed=range(2), weight_decay=[1.0, 2.0, 3.0])) == 6
    for make in (lambda: grid(seed=range(7)), lambda: grid(seed=range(4)) + grid(seed=range(3))):
        with pytest.raises(ConfigError, match=r"more than 6"):
            make()


# What a refusal looks like.


def test_a_refusal_is_short_and_its_remedy_whole():
    said = str(ConfigError(f"path={'x' * 5000!r}: give a file that is there."))
    assert len(said) <= refusals.MOST_CHARACTERS
    assert (
        said.startswith("path='xxx")
        and "…" in said
        and said.endswith(": give a file that is there.")
    )
    said = str(ConfigError("a: " + "word " * 500 + "give a remedy."))
    assert len(said) <= refusals.MOST_CHARACTERS and said.endswith("give a remedy.")


def test_a_refusal_sends_nothing_to_the_terminal():
    said = str(ConfigError("name='\x1b[31m\u202e\n\ud800é': no."))
    assert said == "name='\\x1b[31m\\u202e\\n\\ud800é': no."


def test_values_that_cannot_be_written_are_named_by_their_kind():
    class Bad:
        def __repr__(self):
            raise RuntimeError

    assert refusals.shown(Bad()) == "<Bad>"
    assert refusals.shown(10**5000) == "<int of 16610 bits>"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("class E(BaseException): pass\nraise E('x\\x1by')", "E: x\\x1by"),
        (
            "class S(Exception):\n    def __str__(self): raise RuntimeError\nraise S",
            "S: no message",
        ),
        (
            "class B:\n    def __repr__(self): raise RuntimeError\nexperiment = B()",
            "experiment=<B>",
        ),
    ],
)
def test_files_that_raise_what_is_no_exception(workplace, text, named):
    (workplace / "odd.py").write_text(text)
    with pytest.raises(ConfigError) as error:
        experiment_file.read(Path("odd.py"))
    assert named in str(error.value)


def test_a_byte_order_mark_is_no_part_of_a_file(workplace):
    (workplace / "odd.py").write_bytes(b"\xef\xbb\xbf" + hostile.GOOD.encode())
    assert len(experiment_file.read(Path("odd.py"))[0].runs()) == 2


def test_a_wrong_word_is_refused_without_the_usage(capsys):
    from grokjax import export, measure, phase
    from grokjax.bench.__main__ import main as bench

    for main, words in (
        (phase.main, []),
        (measure.main, ["a", "b"]),
        (export.main, ["a"]),
        (bench, ["--rounds", "x"]),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and "see --help" in said
    for seconds in ("nan", "inf", "0"):
        assert phase.main(["x", "--watch", seconds]) == 2


# Donors.


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A sweep of three seeds with snapshots, for others to start from; nothing of it is trained."""
    folder = tmp_path_factory.mktemp("donors")
    like = synthetic_results(folder / "like", [1.0], [0.5], seeds=3, budget=100)
    runs, curves = (pd.read_parquet(like / name) for name in ("runs", "curves"))
    ids = {old: f"{at:016x}" for at, old in enumerate(runs["run_id"])}
    tables = [table.assign(run_id=table["run_id"].map(ids)) for table in (runs, curves)]
    write(folder / "three", *tables, {"seed": [0, 1, 2]})
    state = donors.state_shapes(plan.make(_small())[0].spec)
    arrays = {
        name: np.ones(x.shape, x.dtype)
        for name, x in donors.by_name({"params": state.params}).items()
    }
    for run_id in ids.values():
        snapshots.write(folder / "three", run_id, 10, arrays)
    return folder / "three"


def _small(**fields):
    small = {"model": Transformer(width=8, heads=2, mlp_width=8), "steps": 10}
    return Experiment(**{"task": ModularArithmetic("sub", p=5), **small, **fields})


def _refined(path, **refine):
    axes_ = {"weight_decay": [0.1, 1.0], "train_fraction": [0.4, 0.6], "seed": range(3)}
    return _small(start=StartFrom(str(path), step=10), sweep=grid(axes_), refine=Refine(**refine))


def test_donors_that_a_refinement_would_lack_are_asked_for_before_the_grid_is_trained(
    three, tmp_path
):
    with pytest.raises(ConfigError, match="0 of its runs have seed=3"):
        run(_refined(three, seeds=5), tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    rounds.check(_refined(three, seeds=3), None)
    rounds.check(_refined(three, seeds=5), {"rounds": [{"cells": []}]})  # it had been refined


def test_lists_and_parts_that_a_grid_has_alike_are_those_of_its_rounds():
    decays = {"weight_decay": [0.1, 1.0], "train_fraction": [0.4, 0.6], "seed": range(2)}
    experiment = _small(
        sweep=grid(optimizer=[AdamW(b1=0.8)], modifiers=[()], **decays), refine=Refine()
    )
    rounds.check(experiment, None)
    cell = {"optimizer.weight_decay": 0.3, "train_fraction": 0.4, "seed": 1}
    new = rounds.with_rounds(experiment, [rounds.Round((cell,), 8, None)]).runs()[-1]
    assert (new.optimizer.b1, new.optimizer.weight_decay, new.seed) == (0.8, 0.3, 1)
    other = [SGD(learning_rate=0.1), SGD(learning_rate=0.2)]
    with pytest.raises(ConfigError, match="varies whole parts"):
        rounds.check(
            _small(sweep=grid(optimizer=other, train_fraction=[0.4, 0.6]), refine=Refine()), None
        )


@pytest.mark.parametrize("bad", ["nan", "inf", "int", "bool"])
def test_a_mask_is_of_weights_that_have_an_order(three, tmp_path, bad):
    [snapshot, *_] = snapshots.found(three)
    arrays = {name: array.copy() for name, array in snapshots.read(snapshot).items()}
    name = next(name for name in arrays if name.startswith("params/"))
    if bad in ("nan", "inf"):
        arrays[name].flat[0] = float(bad)
    else:
        arrays[name] = arrays[name].astype(bad)
    path = tmp_path / snapshot.path.name
    path.write_bytes(safetensors.numpy.save(arrays))
    changed = dataclasses.replace(snapshot, path=path)
    experiment = _small(mask=Mask(str(three), step=10), sweep=grid(seed=[0]))
    spec = plan.make(experiment)[0].spec
    named = "no finite numbers" if bad in ("nan", "inf") else "no weights are"
    with pytest.raises(ConfigError, match=named):
        donors.check(spec, donors.DonorFiles(mask=changed))


# Whatever is drawn.


def test_drawn_inputs_end_in_a_sentence(made):
    """So many as a few seconds allow, others for every version of the code."""
    found = hostile.survey(400, place("hostile"), made, until=CPU_SECONDS)
    assert not found["wrong"], json.dumps(found["wrong"][:3], indent=2)
    assert found["inputs"] >= 10


@pytest.mark.slow
def test_a_thousand_drawn_inputs_end_in_a_sentence(tmp_path):
    found = hostile.survey(1000, place("hostile"), hostile.made_sweep(tmp_path))
    assert not found["wrong"], json.dumps(found["wrong"][:10], indent=2)
    assert found["inputs"] == 1000


@hypothesis.seed(place("hostile"))
@hypothesis.settings(max_examples=100, database=None, deadline=None)
@hypothesis.given(hypothesis.strategies.text(max_size=800))
def test_every_refusal_is_one_short_line(text):
    said = str(ConfigError(text))
    assert said.isprintable() and len(said) <= refusals.MOST_CHARACTERS
    assert str(ConfigError(said)) == said


def test_hostile_files_in_a_process_of_their_own(tmp_path):
    """What would end this process, or its streams."""
    for text in (
        "import sys; sys.stdout.close(); sys.stderr = None; 1 / 0",
        "import sys; sys.stdout = sys.stderr = 3; 1 / 0",
    ):
        (tmp_path / "odd.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-m", "grokjax.sweep", "odd.py"], cwd=tmp_path, env=os.environ | QUICK_PROCESS,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 2 and "Traceback" not in done.stderr, (text, done)
    assert [path.name for path in tmp_path.iterdir()] == ["odd.py"]
