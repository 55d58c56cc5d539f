"""What runs are called survives the growth of the vocabulary."""

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from golden import run_ids
from hypothesis import given, settings
from hypothesis import strategies as st

import grokjax
from grokjax import (
    MLP,
    AdamW,
    ConfigError,
    Experiment,
    MeanSquaredError,
    ModularArithmetic,
    Refine,
    Sweep,
    Transformer,
    grid,
)
from grokjax.config.fields import Config, resolve_path, traced
from grokjax.config.replacing import replace_paths
from grokjax.engine import plan, results_folder
from grokjax.experiment_file import read
from grokjax.results import manifest
from grokjax.training.spec import spec_of

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "results" / "recorded"


def test_no_run_is_called_otherwise_than_it_was():
    """Golden, for ever: a change means that no old results can be extended."""
    kept, now = json.loads(run_ids.FILE.read_text()), run_ids.ids()
    for family, ids in kept.items():
        assert {name: now[family].get(name) for name in ids} == ids
        assert now[family].keys() == ids.keys(), "new words: make run_ids.json anew"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrownAdamW(AdamW):
    amsgrad: bool = False
    centred: float = traced(0.0)
    foreach: float | None = traced(None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrownTransformer(Transformer):
    registers: int = 0
    softcap: float | None = traced(None)


@dataclasses.dataclass(frozen=True)
class Pacing(Config):
    kind: ClassVar[str] = "pacing"
    pace: float = traced(1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrownExperiment(Experiment):
    curriculum: str = "none"
    pacing: Pacing = Pacing()
    paces: tuple[Pacing, ...] = (Pacing(),)
    notes: tuple[str, ...] = ()


# As if they were grokjax's own with these fields.
Pacing.__module__ = "grokjax.grown"
for cls in (GrownAdamW, GrownTransformer, GrownExperiment):
    cls.__module__ = "grokjax.grown"
    cls.kind = cls.__mro__[1].kind


def grown(part, cls):
    return cls(**{f.name: getattr(part, f.name) for f in dataclasses.fields(part) if f.init})


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").rglob("*.py")), ids=lambda p: p.stem)
def test_a_new_field_with_a_default_renames_nothing(path, tmp_path, monkeypatch):
    if not run_ids.has_an_experiment(path) or path.stem in ("lottery", "transfer"):
        return  # those two start from another's results
    experiment = dataclasses.replace(read(path)[0], refine=None)
    more = experiment
    if type(experiment.optimizer) is AdamW:
        more = dataclasses.replace(more, optimizer=grown(experiment.optimizer, GrownAdamW))
    if type(experiment.model) is Transformer:
        more = dataclasses.replace(more, model=grown(experiment.model, GrownTransformer))
    more = grown(more, GrownExperiment)
    assert list(more.expansion.runs) == list(experiment.expansion.runs)
    assert more.axes() == experiment.axes()
    first, with_more = (next(iter(e.expansion.runs.values())) for e in (experiment, more))
    assert plan.spec_name(spec_of(with_more)) == plan.spec_name(spec_of(first))
    # A folder of the time before the fields is grown by it, and the other way round.
    old, new = (manifest.describe(e, "x") for e in (experiment, more))
    manifest.check_same_base(old, new, more, tmp_path)
    with pytest.raises(ConfigError, match="curriculum: None → 'late'"):
        other = dataclasses.replace(more, curriculum="late")
        manifest.check_same_base(old, manifest.describe(other, "x"), other, tmp_path)


def test_a_new_field_counts_once_it_has_another_value():
    plain = GrownExperiment(optimizer=GrownAdamW(), model=GrownTransformer())
    others = [
        {"curriculum": "late"},
        {"pacing": Pacing(2.0)},
        {"paces": ()},
        {"optimizer": GrownAdamW(amsgrad=True)},
        {"optimizer": GrownAdamW(foreach=0.0)},
        {"model": GrownTransformer(registers=1)},
        {"model": GrownTransformer(softcap=3.0)},
    ]
    runs = [plain, *(dataclasses.replace(plain, **changes) for changes in others)]
    assert len({run.run_id for run in runs}) == len(runs)
    of_words = [runs[0], *runs[4:]]
    specs = [plan.spec_name(spec_of(run)) for run in of_words]
    assert len(set(specs)) == len(specs)


AXES = {
    "weight_decay": st.sampled_from([0, 0.1, 1, 3.0]),
    "train_fraction": st.sampled_from([0.3, 0.5]),
    "seed": st.integers(0, 3),
    "split_seed": st.sampled_from([None, 0, 7]),
    "loss_dtype": st.sampled_from([None, "float32", "float64"]),
    "model": st.sampled_from([Transformer(), Transformer(head_width=32), MLP(), MLP(layers=2)]),
    "loss": st.sampled_from([MeanSquaredError(), MeanSquaredError]),
    "b2": st.sampled_from([0.9, 0.98]),
    "batch_size": st.sampled_from([None, 16]),
}


@settings(deadline=None)
@given(st.data(), st.sets(st.sampled_from(sorted(AXES)), min_size=1, max_size=4))
def test_a_run_of_a_sweep_is_what_it_is_alone(data, names):
    axes = {n: data.draw(st.lists(AXES[n], min_size=1, max_size=3)) for n in sorted(names)}
    base = Experiment(task=ModularArithmetic("add", p=11))
    experiment = dataclasses.replace(base, sweep=grid(axes))
    alone = {}
    for cell in experiment.sweep.cells:
        values = {resolve_path(base, name): value for name, value in cell.items()}
        run = replace_paths(base, {**values, "sweep": Sweep()}).resolved()
        alone.setdefault(run.run_id, run)
    assert dict(experiment.expansion.runs) == alone
    for path, values in experiment.axes().items():
        if path in axes and path not in ("model", "loss"):
            assert set(values) <= {getattr(run, path) for run in alone.values()}


@pytest.mark.parametrize("value", [True, "1", float("nan"), -1.0])
def test_a_value_is_refused_in_a_grid_as_it_is_alone(value):
    with pytest.raises(ConfigError) as alone:
        replace_paths(Experiment(), {"optimizer.weight_decay": value})
    with pytest.raises(ConfigError) as swept:
        Experiment(sweep=grid(weight_decay=[1.0, value])).runs()
    assert str(swept.value) == str(alone.value)


THIRD = sorted(
    p.parent for p in RECORDED.glob("*/sweep.json") if '"schema_version": 3' in p.read_text()
)


@pytest.mark.parametrize("path", THIRD, ids=lambda path: path.name)
def test_what_was_recorded_before_keeps_its_ids(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    experiment, _ = read(ROOT / "experiments" / f"{path.name}.py")
    old = manifest.read(path)
    try:
        results_folder.earlier_start(experiment, path)
    except ConfigError as refused:  # recorded with other budgets or axes of whole parts
        assert "another base configuration" in str(refused) or "whole parts" in str(refused)
        return
    called = set(results_folder.called_as_before(experiment, old).expansion.runs)
    assert set(grokjax.load(path).runs["run_id"]) <= called
    assert not called & set(experiment.expansion.runs)


def as_of_schema_3(experiment, folder):
    """A finished folder as an older grokjax would have left it."""
    grokjax.run(experiment.with_former_ids(()), folder)
    old = manifest.read(folder)
    del old["base"]["instruments"]
    manifest.write(folder, old | {"schema_version": 3})


@pytest.mark.drawn
def test_a_finished_folder_of_schema_3_grows_under_its_old_ids(tmp_path):
    task = ModularArithmetic("add", p=5, format="a b")
    small = Experiment(
        task=task, model=MLP(width=4, mlp_width=8), steps=20, sweep=grid(seed=[0, 1])
    )
    as_of_schema_3(small, tmp_path / "old")
    before = grokjax.load(tmp_path / "old").runs
    assert not set(before["run_id"]) & set(small.expansion.runs)
    more = dataclasses.replace(small, sweep=grid(seed=range(4)))
    after = grokjax.run(more, tmp_path / "old")
    assert after.manifest["schema_version"] == 3 and len(after.runs) == 4
    pd.testing.assert_frame_equal(after.runs[after.runs["seed"] < 2], before, check_exact=True)
    assert set(after.runs["run_id"]) == set(more.with_former_ids(()).expansion.runs)
    again = grokjax.run(more, tmp_path / "old")  # nothing is left to do
    pd.testing.assert_frame_equal(again.runs, after.runs)
    refined = dataclasses.replace(
        more, sweep=grid(weight_decay=[0.1, 1.0], train_fraction=[0.3, 0.5]), refine=Refine(runs=4)
    )
    with pytest.raises(ConfigError, match="an older grokjax"):
        grokjax.run(refined, tmp_path / "old")
    (tmp_path / "old" / ".work" / "checkpoints").mkdir(parents=True)
    with pytest.raises(ConfigError, match="is not finished"):
        grokjax.run(more, tmp_path / "old")


def test_a_program_with_snapshots_is_called_as_before_they_could_be_of_the_end():
    """By the code of 08f91ce: a sweep that it left unfinished is gone on with in its lanes."""
    schedule = grokjax.SnapshotSchedule(at=(0, 100), moments=("t_grok",))
    (run,) = grokjax.Experiment(snapshots=schedule).runs()
    assert plan.spec_name(spec_of(run)) == "9b4e6c0204bb334f"
