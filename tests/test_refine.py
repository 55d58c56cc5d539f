"""Refined sweeps: which runs are chosen, that they find the boundary, that a kill changes nothing."""

import dataclasses
import itertools
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import grokjax
from grokjax import ConfigError, Experiment, Refine, Thresholds, grid
from grokjax.analysis import onset, synthetic
from grokjax.analysis.boundary import boundary
from grokjax.analysis.refine import choose, lattice
from grokjax.analysis.summary import summarise
from grokjax.engine import plan, rounds
from grokjax.results.load import Results
from grokjax.results.schema import onset_columns
from grokjax.summary_text import describe, markdown

DENSE = Path(__file__).parents[1] / "results" / "recorded" / "wd_vs_frac"
COARSE = {"weight_decay": [0.1, 0.25, 0.63, 1.6, 4.0], "train_fraction": [0.3, 0.4, 0.5, 0.6, 0.7]}


def cells(halvings=1, coarse=COARSE):
    levels = [lattice(values, halvings) for values in coarse.values()]
    return pd.DataFrame(itertools.product(*levels), columns=list(coarse))


def coarse_part(runs, seeds=2):
    chosen = runs["seed"] < seeds
    for name, levels in COARSE.items():
        chosen &= runs[name].isin(levels)
    return runs[chosen]


def test_midpoints_are_even_on_their_scale_and_short():
    assert lattice([0.1, 0.25, 0.63, 1.6, 4.0], 1) == [
        0.1,
        0.16,
        0.25,
        0.4,
        0.63,
        1.0,
        1.6,
        2.5,
        4.0,
    ]
    assert lattice([0.3, 0.5, 0.4], 1) == [0.3, 0.35, 0.4, 0.45, 0.5]
    assert lattice([0.3, 0.5], 0) == [0.3, 0.5]


@given(st.lists(st.floats(1e-4, 1e3), min_size=2, max_size=6, unique=True), st.integers(0, 4))
def test_a_lattice_keeps_its_levels_and_halves_what_lies_between(levels, halvings):
    found = lattice(levels, halvings)
    assert set(levels) <= set(found)
    assert found == sorted(found)
    assert len(found) <= (len(levels) - 1) * 2**halvings + 1
    assert min(found) == min(levels)
    assert max(found) == max(levels)


def test_runs_are_chosen_near_the_boundary_and_never_twice():
    truth = synthetic.Truth()
    grid_runs = synthetic.runs(
        np.random.default_rng(0), truth, COARSE["weight_decay"], COARSE["train_fraction"], 2
    )
    found = boundary(grid_runs)
    chosen = choose(found, cells(), grid_runs, 40, range(5))
    again = choose(found, cells(), grid_runs, 40, range(5))
    pd.testing.assert_frame_equal(chosen, again)
    assert len(chosen) == 40
    key = ["weight_decay", "train_fraction", "seed"]
    assert not pd.concat([grid_runs[key], chosen]).duplicated().any()

    def distance(table):
        return np.abs(table["train_fraction"] - truth.boundary(table["weight_decay"]))

    assert distance(chosen).median() < 0.6 * distance(cells()).median()
    assert chosen["seed"].value_counts().max() <= 16  # seeds 2 to 4 have catching up to do


def test_a_level_of_zero_has_no_place_in_the_fit_and_gets_no_run():
    runs = synthetic.runs(
        np.random.default_rng(0),
        synthetic.Truth(),
        COARSE["weight_decay"],
        COARSE["train_fraction"],
        2,
    )
    none = runs[runs["weight_decay"] == 0.1].assign(weight_decay=0.0)
    candidates = cells(coarse={**COARSE, "weight_decay": [0.0, *COARSE["weight_decay"]]})
    chosen = choose(boundary(pd.concat([runs, none])), candidates, runs, 30, range(5))
    assert len(chosen) == 30
    assert (chosen["weight_decay"] > 0).all()


def test_when_every_cell_has_every_seed_nothing_is_chosen():
    runs = synthetic.runs(
        np.random.default_rng(0),
        synthetic.Truth(),
        COARSE["weight_decay"],
        COARSE["train_fraction"],
        3,
    )
    assert choose(boundary(runs), cells(0), runs, 10, range(3)).empty


def replay(dense, runs=90, n_rounds=4):
    """What a refined sweep would have trained, read off a dense one."""
    have = coarse_part(dense)
    total = len(have) + runs
    for left in range(n_rounds, 0, -1):
        n = -(-(total - len(have)) // left)
        chosen = choose(boundary(have), cells(), have, n, range(5))
        new = dense.merge(chosen, on=["weight_decay", "train_fraction", "seed"])
        assert len(new) == len(chosen)
        have = pd.concat([have, new], ignore_index=True)
    return have


def test_it_finds_the_boundary_of_a_dense_map_with_a_third_of_its_updates():
    dense = onset.table(grokjax.load(DENSE))
    have = replay(dense)
    assert have["last_step"].sum() <= 0.35 * dense["last_step"].sum()
    whole, part = boundary(dense), boundary(have)
    points = part.curve()
    assert whole.inside_band(points["weight_decay"], points["train_fraction"]).all()

    def misplaced(found):
        return ((found.fine_surface[0] >= 0) != (whole.fine_surface[0] >= 0)).mean()

    rest = dense[~dense["run_id"].isin(coarse_part(dense)["run_id"])]
    at_random = [
        misplaced(boundary(pd.concat([coarse_part(dense), rest.sample(90, random_state=i)])))
        for i in range(8)
    ]
    assert misplaced(part) < np.median(at_random)


@pytest.fixture
def refined(tiny):
    """A grid of which some cells cross a threshold that is near chance, others not."""
    return dataclasses.replace(
        tiny,
        settle_steps=None,
        log_every=20,
        thresholds=Thresholds(grokked=0.15),
        train_fraction=0.3,
        # An axis of one level is no axis, but refined runs have it too.
        sweep=grid(weight_decay=[0.1, 2.5], init_scale=[0.5, 2.0], seed=range(6), b2=[0.99]),
        refine=Refine(rounds=2, runs=5, seeds=7),
    )


def table(results):
    return results.runs.drop(columns="wall_s")


@pytest.mark.drawn
def test_a_refined_sweep_grows_by_rounds_and_a_stop_changes_no_bit(
    refined, small_segments, tmp_path, monkeypatch
):
    monkeypatch.setattr(plan, "TICK_SECONDS", 0.03)
    whole = grokjax.run(refined, tmp_path / "whole", lanes=2)
    made = whole.manifest["rounds"]
    assert [len(of_round["cells"]) for of_round in made] == [3, 2, 0]
    assert made[-1]["reason"] == "the runs are spent"
    how = "refined by 5 runs in 2 rounds, no further round: the runs are spent"
    for text in (describe, markdown):
        assert how in text(summarise(whole))
    assert len(whole.runs) == 24 + 5
    assert whole.finished
    assert {0.1, 2.5} <= set(whole.axes["weight_decay"])
    assert set(whole.runs["b2"]) == {0.99}

    stop, seen = threading.Event(), []

    def interrupt(progress):
        seen.append(progress.finished)
        if len(seen) > 1 and progress.runs > 24:  # inside the first round
            stop.set()

    part = grokjax.run(refined, tmp_path / "part", lanes=2, report=interrupt, stop=stop)
    assert not part.finished
    assert len(part.runs) < 29
    resumed = grokjax.run(refined, tmp_path / "part", lanes=2)
    assert resumed.manifest["rounds"] == made
    key = "run_id"
    pd.testing.assert_frame_equal(
        table(resumed).sort_values(key, ignore_index=True),
        table(whole).sort_values(key, ignore_index=True),
        check_exact=True,
    )

    again = grokjax.run(refined, tmp_path / "part", lanes=2)
    assert len(again.manifest["starts"]) == len(resumed.manifest["starts"])
    more = dataclasses.replace(refined, refine=Refine(rounds=3, runs=6, seeds=7))
    assert len(grokjax.run(more, tmp_path / "part", lanes=2).runs) == 30


def test_a_grid_without_a_boundary_is_not_refined_and_says_why(refined, tmp_path):
    """Of 24 runs that have all been censored."""
    runs = [run.row() | {"run_id": run.run_id} for run in refined.runs()]
    runs = pd.DataFrame(runs).assign(status="done", last_step=200)
    results = Results(tmp_path, {"thresholds": {}})
    empty = pd.DataFrame(columns=list(onset_columns(results.thresholds)), index=runs.index)
    vars(results)["runs"] = runs.join(onset.typed(empty, results.thresholds))
    found = rounds.next_round(refined, refined.refine, [], results)
    assert found.cells == ()
    assert "0 of 24 runs grokked" in found.reason
    results.manifest["rounds"] = [found.to_json()]
    assert "no further round: 0 of 24 runs grokked" in describe(summarise(results))


@pytest.mark.parametrize(
    ("sweep", "named"),
    [
        (grid(weight_decay=[0.1, 1.0]), "weight_decay"),
        (grid(weight_decay=[0.1, 1.0], p=[5, 7]), "decimal"),
        (grid(weight_decay=[0.1, 1.0], train_fraction=[0.3, 0.5], b2=[0.9, 0.98]), "b2"),
        (grid(weight_decay=[0.1, 1.0], train_fraction=[0.3, 0.5], split_seed=[0, 1]), "split_seed"),
    ],
)
def test_grids_that_cannot_be_refined_are_refused(sweep, named):
    with pytest.raises(ConfigError, match=named):
        Experiment(sweep=sweep, refine=Refine())


@pytest.mark.parametrize(
    "field", [{"rounds": 0}, {"runs": 0}, {"seeds": 0}, {"halvings": 9}, {"band": 1.5}]
)
def test_bad_refinements_are_refused(field):
    with pytest.raises(ConfigError, match=next(iter(field))):
        Refine(**field)


def test_refining_is_no_part_of_a_runs_identity():
    sweep = grid(weight_decay=[0.1, 1.0], train_fraction=[0.3, 0.5])
    plain, refined = Experiment(sweep=sweep), Experiment(sweep=sweep, refine=Refine())
    assert [run.run_id for run in plain.runs()] == [run.run_id for run in refined.runs()]
