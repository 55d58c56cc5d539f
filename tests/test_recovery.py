"""What a start makes of a folder that a death or a failure has left."""

import dataclasses
import itertools
import shutil

import jax.errors
import pytest
from crashes import (
    MOVES,
    WRITES,
    Killed,
    assert_same_rows,
    assert_same_tables,
    crash_before_nth_write,
    small,
    snapshot,
    swept,
    tables,
)

import grokjax
from grokjax import ConfigError, Refine, SnapshotSchedule, Thresholds, dry_run, grid
from grokjax.engine import lanes as lanes_module
from grokjax.engine.checkpoint import Checkpoints


@pytest.fixture
def broken(monkeypatch):
    """A switch: while it is on, runs of a training fraction of 0.3 meet a device error."""
    healthy, switch = lanes_module.Lanes.collect, {"on": True, "after": 0}

    def collect(self):
        if switch["on"] and self.program.runs[0].config.train_fraction == 0.3:
            switch["after"] -= 1
            if switch["after"] < 0:
                raise jax.errors.JaxRuntimeError("INTERNAL: the device is lost")
        return healthy(self)

    monkeypatch.setattr(lanes_module.Lanes, "collect", collect)
    return switch


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A sweep whose parameters are kept for others to start from."""
    folder = tmp_path_factory.mktemp("given") / "sweep"
    grokjax.run(dataclasses.replace(small(), snapshots=SnapshotSchedule(at=(20,))), folder)
    return folder


def with_donors(given, kind):
    """A sweep that starts from the parameters of another one, or masks by them."""
    match = {"match": ("p",)}
    donor = {
        "start": {"start": grokjax.StartFrom(str(given), step=20, **match)},
        "mask": {"mask": grokjax.Mask(str(given), step=20, keep=0.5, **match)},
    }[kind]
    experiment = dataclasses.replace(small(), snapshots=SnapshotSchedule(at=(0, 100)), **donor)
    return swept(experiment, train_fraction=[0.3, 0.5], seed=[0, 1, 2])


@pytest.mark.parametrize("kind", ["start", pytest.param("mask", marks=pytest.mark.slow)])
def test_a_sweep_with_donors_dies_between_part_and_checkpoint(small_ticks, given, tmp_path, kind):
    experiment = with_donors(given, kind)
    whole = tmp_path / "whole"
    grokjax.run(experiment, whole, lanes=2)
    for n in {"start": (2, 5), "mask": (3,)}[kind]:
        folder = tmp_path / f"{n}"
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, False, [(Checkpoints, "save")])
            with pytest.raises(Killed):
                grokjax.run(experiment, folder, lanes=2)
        grokjax.run(experiment, folder, lanes=2)
        assert_same_tables(folder, whole)
        kept = [
            {p.name: p.read_bytes() for p in (f / "snapshots").iterdir()} for f in (folder, whole)
        ]
        assert kept[0] == kept[1]


@pytest.mark.drawn
def test_a_refined_sweep_with_donors_dies_between_part_and_checkpoint(small_ticks, given, tmp_path):
    experiment = dataclasses.replace(
        small(),
        start=grokjax.StartFrom(str(given), step=20, match=("p",)),
        thresholds=Thresholds(grokked=0.18),
        sweep=grid(weight_decay=[0.1, 2.5], learning_rate=[1e-3, 3e-2], seed=range(4)),
        refine=Refine(rounds=1, runs=2, seeds=5),
    )
    whole = grokjax.run(experiment, tmp_path / "whole", lanes=2)
    assert [len(made["cells"]) for made in whole.manifest["rounds"]] == [2, 0]
    saves = whole.manifest["ticks"]
    for n in (saves - 1, saves):  # in the round of the refinement
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, False, [(Checkpoints, "save")])
            with pytest.raises(Killed):
                grokjax.run(experiment, tmp_path / f"{n}", lanes=2)
        grokjax.run(experiment, tmp_path / f"{n}", lanes=2)
        assert_same_tables(tmp_path / f"{n}", tmp_path / "whole")


def test_failed_runs_with_donors_are_trained_again_where_the_grid_has_them(
    given, small_ticks, tmp_path, broken
):
    experiment = with_donors(given, "start")
    failed = grokjax.run(experiment, tmp_path / "sweep", lanes=2).runs
    assert (failed["status"] == "failed").sum() == 3
    broken["on"] = False
    part = swept(experiment, train_fraction=[0.5], seed=[0, 1, 2])
    assert len(grokjax.run(part, tmp_path / "sweep", retry_failed=True).runs) == 6
    grokjax.run(experiment, tmp_path / "sweep", retry_failed=True)
    grokjax.run(experiment, tmp_path / "fresh", lanes=2)
    assert_same_rows(tmp_path / "sweep", tmp_path / "fresh")


def test_a_donor_that_is_gone_is_refused_and_a_finished_sweep_stays_finished(
    given, small_ticks, tmp_path
):
    donor = shutil.copytree(given, tmp_path / "donor")
    experiment = with_donors(donor, "start")
    grokjax.run(experiment, tmp_path / "sweep", lanes=2)
    shutil.rmtree(donor)
    before = snapshot(tmp_path)
    grown = swept(experiment, train_fraction=[0.3, 0.5], seed=[0, 1, 2, 3])
    with pytest.raises(ConfigError, match=r"there is no sweep\.json"):
        grokjax.run(grown, tmp_path / "sweep")
    assert snapshot(tmp_path) == before
    assert grokjax.load(tmp_path / "sweep").finished
    assert len(grokjax.run(experiment, tmp_path / "sweep").runs) == 6


@pytest.mark.slow  # repeats in another setting what faster tests assert
def test_a_death_while_failed_runs_are_forgotten_loses_none(small_ticks, tmp_path, broken):
    """At every step of the commit that drops their rows and of the first that follows it."""
    experiment = swept(small(), train_fraction=[0.3, 0.5], seed=[0, 1, 2])
    broken["after"] = 3  # some of their rows are committed when it fails
    grokjax.run(experiment, tmp_path / "failed", lanes=2)
    broken["on"] = False
    runs, curves = tables(tmp_path / "failed")
    failed = set(runs["run_id"][runs["status"] == "failed"])
    assert failed & set(curves["run_id"])
    grokjax.run(experiment, tmp_path / "fresh", lanes=2)
    for n in range(1, 13):
        after = n % 2 == 0
        folder = shutil.copytree(tmp_path / "failed", tmp_path / f"{n}")
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, after, [*WRITES, *MOVES])
            with pytest.raises(Killed):
                grokjax.run(experiment, folder, retry_failed=True)
        assert set(tables(folder)[0]["run_id"]) | failed == set(runs["run_id"])
        grokjax.run(experiment, folder, retry_failed=True)
        assert_same_rows(folder, tmp_path / "fresh")


def leave(folder, *made):
    """What a start has made until it died; a name that ends in / is a folder."""
    for name in made:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{")


LEFT = [".work/", ".work/lock", ".work/checkpoints/", ".sweep.json.tmp", "runs/", "curves/"]


@pytest.mark.drawn
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("n", range(len(LEFT) + 1))
def test_what_a_start_leaves_before_its_manifest_locks_nobody_out(tiny, tmp_path, n, overwrite):
    folder = tmp_path / "sweep"
    folder.mkdir()
    leave(folder, *LEFT[:n])
    assert "1 runs, 1 to do" in dry_run.describe(tiny, folder, overwrite=overwrite)
    assert len(grokjax.run(tiny, folder, overwrite=overwrite).runs) == 1
    assert not list(folder.rglob("*.tmp"))


def test_a_death_in_the_first_start_at_any_move_locks_nobody_out(tiny, tmp_path):
    for n, after in itertools.product(range(1, 5), (False, True)):
        folder = tmp_path / f"{n}{after}"
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, after, MOVES)
            with pytest.raises(Killed):
                grokjax.run(tiny, folder)
        assert len(grokjax.run(tiny, folder).runs) == 1


@pytest.mark.parametrize(
    "made", [".notes.tmp", "runs/log.txt", "curves/.x.tmp", "sweep.json.tmp", "data/", ".tmpAbCdEf"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_somebody_else_are_refused_beside_our_leftovers(tiny, tmp_path, made, overwrite):
    leave(tmp_path, *LEFT[:4], made)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="no results folder"):
        grokjax.run(tiny, tmp_path, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


def test_leftovers_of_snapshots_and_parts_are_removed_and_nothing_else(
    given, small_ticks, tmp_path
):
    experiment, folder = with_donors(given, "start"), tmp_path / "sweep"
    with pytest.MonkeyPatch.context() as patch:
        crash_before_nth_write(patch, 3, False, [(Checkpoints, "save")])
        with pytest.raises(Killed):
            grokjax.run(experiment, folder, lanes=2)
    name = next((folder / "snapshots").iterdir()).name
    ours = [
        f"snapshots/.{name}.tmp",
        "snapshots/.tmpA1b2C3",
        "runs/.00000001-00000001.parquet.tmp",
        "curves/.00000001-00000001.parquet.next",
        "curves/..00000001-00000001.parquet.next.tmp",
        ".sweep.json.tmp",
    ]
    theirs = ["snapshots/.tmp", "snapshots/.tmp-notes", "snapshots/.a.tmp", "runs/.mine.tmp"]
    theirs += ["curves/notes.txt", "curves/.tmpA1b2C3", ".notes.tmp"]
    leave(folder, *ours, *theirs)
    grokjax.run(experiment, folder, lanes=2)
    assert not [left for left in ours if (folder / left).exists()]
    assert all((folder / left).exists() for left in theirs)


def test_overwriting_the_sweep_that_gives_the_parameters_is_refused(given):
    before = snapshot(given)
    with pytest.raises(ConfigError, match="give another --out"):
        grokjax.run(with_donors(given, "start"), given, overwrite=True)
    assert snapshot(given) == before
