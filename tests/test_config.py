"""Configurations: equal ones are equal, and a sweep is what it says."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grokjax import AdamW, ConfigError, Experiment, Transformer, grid, zipped


def ids(experiment):
    return [run.run_id for run in experiment.runs()]


def test_equal_runs_have_equal_ids_however_they_are_written():
    base = Experiment(optimizer=AdamW(weight_decay=1))
    same = [
        Experiment(optimizer=AdamW(weight_decay=1.0)),
        Experiment(optimizer=AdamW(weight_decay=np.float64(1.0))),
        Experiment(split_seed=0),
        Experiment(model=Transformer(head_width=32)),
    ]
    assert {run.run_id for run in same} == {base.run_id}
    assert Experiment(sweep=grid(weight_decay=[1])).runs()[0].run_id == base.run_id


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"split_seed": 1}, {"steps": 40_000}, {"train_fraction": 0.4}, {"log_every": 20}],
)
def test_different_runs_have_different_ids(change):
    assert dataclasses.replace(Experiment(), **change).run_id != Experiment().run_id


def test_a_run_id_is_stable_across_versions():
    """Golden: `Experiment().run_id`. A change means that no old results can be extended."""
    assert Experiment().run_id == "349477591eb0d79d"


def test_grids_are_products_in_order_and_overlap_only_once():
    sweep = grid(weight_decay=[0.1, 1], seed=range(2)) + grid(weight_decay=[1], seed=[1, 2])
    runs = Experiment(sweep=sweep).runs()
    assert [(r.optimizer.weight_decay, r.seed) for r in runs] == [
        (0.1, 0), (0.1, 1), (1.0, 0), (1.0, 1), (1.0, 2),
    ]  # fmt: skip


def test_axes_can_go_in_step_be_dotted_be_parts_and_be_cells():
    sizes = zipped(width=[64, 128], heads=[2, 4])
    runs = Experiment(sweep=sizes * grid({"optimizer.b2": [0.9, 0.99]})).runs()
    assert [(r.model.width, r.model.heads, r.optimizer.b2) for r in runs] == [
        (64, 2, 0.9), (64, 2, 0.99), (128, 4, 0.9), (128, 4, 0.99),
    ]  # fmt: skip
    models = [Transformer(width=64), Transformer(width=64, norm="pre")]
    experiment = Experiment(sweep=grid(model=models))
    assert [run.model.norm for run in experiment.runs()] == ["none", "pre"]
    assert experiment.axes()["model.norm"] == ["none", "pre"]
    listed = Experiment(sweep=[{"seed": 3}, {"seed": 4, "weight_decay": 0.1}])
    assert [run.seed for run in listed.runs()] == [3, 4]


def test_values_that_only_work_together_are_checked_together():
    runs = Experiment(sweep=zipped(width=[10, 9], heads=[5, 3])).runs()
    assert [run.model.head_width for run in runs] == [2, 3]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(1, 5))
def test_growing_a_grid_keeps_the_old_ids(seeds, more):
    few = ids(Experiment(sweep=grid(seed=seeds)))
    many = ids(Experiment(sweep=grid(seed=[*seeds, *range(100, 100 + more)])))
    assert many[: len(few)] == few
    assert len(many) == len(few) + more


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean weight_decay"):
        Experiment(sweep=grid(weight_decoy=[1])).runs()
