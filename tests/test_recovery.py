"""What a start makes of a folder that a death, a failure or a damaged disk has left."""

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys

import jax.errors
import pytest
from crashes import (
    MOVES,
    WRITES,
    Killed,
    assert_same_rows,
    assert_same_tables,
    crash_before_nth_write,
    snapshot,
    swept,
    tables,
)

import grokjax
from grokjax import ConfigError, Refine, Snapshots, Thresholds, grid
from grokjax.engine import dry_run, plan
from grokjax.engine import lanes as lanes_module
from grokjax.engine.checkpoint import Checkpoints
from grokjax.results import manifest
from grokjax.results.store import Store


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
    grokjax.run(dataclasses.replace(small(), snapshots=Snapshots(at=(20,))), folder)
    return folder


def small():
    return grokjax.Experiment(
        task=grokjax.ModularArithmetic("sub", p=7),
        model=grokjax.Transformer(width=8, heads=2, mlp_width=16),
        optimizer=grokjax.AdamW(learning_rate=1e-2, weight_decay=0.5),
        steps=100,
        log_every=10,
    )


def with_donors(given, kind):
    """A sweep that starts from the parameters of another one, or masks by them."""
    match = {"match": ("p",)}
    donor = {
        "start": {"start": grokjax.Snapshot(str(given), step=20, **match)},
        "mask": {"mask": grokjax.Mask(str(given), step=20, keep=0.5, **match)},
    }[kind]
    experiment = dataclasses.replace(small(), snapshots=Snapshots(at=(0, 100)), **donor)
    return swept(experiment, train_fraction=[0.3, 0.5], seed=[0, 1, 2])


@pytest.mark.parametrize("kind", ["start", "mask"])
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


def test_a_refined_sweep_with_donors_dies_between_part_and_checkpoint(small_ticks, given, tmp_path):
    experiment = dataclasses.replace(
        small(),
        start=grokjax.Snapshot(str(given), step=20, match=("p",)),
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


def test_failed_runs_with_donors_are_trained_again_where_the_grid_has_them(given, tmp_path, broken):
    experiment = with_donors(given, "start")
    failed = grokjax.run(experiment, tmp_path / "sweep", lanes=2).runs
    assert (failed["status"] == "failed").sum() == 3
    broken["on"] = False
    part = swept(experiment, train_fraction=[0.5], seed=[0, 1, 2])
    assert len(grokjax.run(part, tmp_path / "sweep", retry_failed=True).runs) == 6
    grokjax.run(experiment, tmp_path / "sweep", retry_failed=True)
    grokjax.run(experiment, tmp_path / "fresh", lanes=2)
    assert_same_rows(tmp_path / "sweep", tmp_path / "fresh")


def test_a_donor_that_is_gone_is_refused_and_a_finished_sweep_stays_finished(given, tmp_path):
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


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("n", range(len(LEFT) + 1))
def test_what_a_start_leaves_before_its_manifest_locks_nobody_out(tiny, tmp_path, n, overwrite):
    folder = tmp_path / "sweep"
    folder.mkdir()
    leave(folder, *LEFT[:n])
    assert "1 runs, 1 to do" in dry_run.describe(tiny, folder, None, overwrite)
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


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """An unfinished sweep of which some runs have ended, and the same in one go."""
    place = tmp_path_factory.mktemp("unfinished")
    experiment = swept(small(), train_fraction=[0.3, 0.5], seed=[0, 1, 2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SEGMENT_SECONDS", 0.003)
        patch.setattr(plan, "TICK_SECONDS", 0.006)
        grokjax.run(experiment, place / "whole", lanes=2)
        crash_before_nth_write(patch, grokjax.load(place / "whole").manifest["ticks"] - 1, False,
                               [(Checkpoints, "save")])  # fmt: skip
        with pytest.raises(Killed):
            grokjax.run(experiment, place / "part", lanes=2)
    runs, curves = tables(place / "part")
    assert 0 < len(runs) < 6
    assert set(curves["run_id"]) - set(runs["run_id"])
    assert min(len(list((place / "part" / name).iterdir())) for name in ("runs", "curves")) > 2
    return experiment, place


def flip(path):
    """One bit in the middle of the data."""
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 16
    path.write_bytes(content)


def remove(path):
    path.unlink()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES = {
    f"{name} {how.__name__} {which}": (name, how, which)
    for name in ("runs", "curves")
    for how, which in [(remove, "all"), (remove, "first"), (flip, "first"), (truncate, "second")]
}


@pytest.mark.parametrize("case", DAMAGES)
def test_lost_rows_of_an_unfinished_sweep_are_noticed_and_trained_again(unfinished, tmp_path, case):
    name, how, which = DAMAGES[case]
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    parts = sorted((folder / name).glob("*.parquet"))
    hurt = {"all": parts, "first": parts[:1], "second": parts[1:2]}[which]
    for part in hurt:
        how(part)
    before = snapshot(folder)
    for attempt in (grokjax.run, lambda e, f: dry_run.describe(e, f, None, False)):
        with pytest.raises(
            ConfigError, match=r"restore it from a copy.* --retry-failed"
        ) as refused:
            attempt(experiment, folder)
        assert str(refused.value).startswith(str(hurt[0]))
    assert snapshot(folder) == before
    grokjax.run(experiment, folder, retry_failed=True)
    assert_same_rows(folder, place / "whole")
    again = json.loads((folder / "sweep.json").read_text())["starts"][-1]["trained_again"]
    assert {folder / lost for lost in again["lost"]} >= set(hurt) - set(parts[-1:])
    assert again["runs"]


def test_a_death_while_lost_rows_are_made_good_is_made_good(unfinished, tmp_path):
    experiment, place = unfinished
    for n in range(1, 9):
        after = n % 2 == 0
        folder = shutil.copytree(place / "part", tmp_path / f"{n}")
        remove(sorted((folder / "curves").iterdir())[1])
        with pytest.MonkeyPatch.context() as patch:
            crash_before_nth_write(patch, n, after, [*WRITES, *MOVES])
            with pytest.raises(Killed):
                grokjax.run(experiment, folder, retry_failed=True)
        grokjax.run(experiment, folder, retry_failed=True)
        assert_same_rows(folder, place / "whole")


def test_lost_rows_of_runs_outside_the_grid_are_refused(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    remove(sorted((folder / "curves").iterdir())[0])
    with pytest.raises(ConfigError, match="are not in the grid; give the grid that has them"):
        grokjax.run(swept(experiment, train_fraction=[0.5], seed=[2]), folder, retry_failed=True)


def as_an_older_version_left(folder):
    """Without hashes."""
    note = next((folder / ".work" / "checkpoints").glob("*/note/metadata"))
    hashes = ("parts", "hash_of_note", "hash_of_arrays")
    kept = {key: v for key, v in json.loads(note.read_text()).items() if key not in hashes}
    note.write_text(json.dumps(kept))


def test_a_folder_without_hashes_goes_on(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    as_an_older_version_left(folder)
    grokjax.run(experiment, folder)
    assert_same_tables(folder, place / "whole")


@pytest.mark.parametrize("name", ["runs", "curves"])
def test_rows_that_a_folder_without_hashes_has_lost_are_neither_missed_nor_doubled(
    unfinished, tmp_path, name
):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    as_an_older_version_left(folder)
    remove(sorted((folder / name).iterdir())[0])
    with pytest.raises(ConfigError, match="have lost rows; restore"):
        grokjax.run(experiment, folder)
    grokjax.run(experiment, folder, retry_failed=True)
    assert_same_rows(folder, place / "whole")


def test_a_damaged_note_of_a_checkpoint_is_refused_wherever_the_bit_is(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    note = next((folder / ".work" / "checkpoints").glob("*/note/metadata"))
    whole = note.read_bytes()
    for at in range(7, len(whole), len(whole) // 20):
        note.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ConfigError, match="not a readable checkpoint"):
            grokjax.run(experiment, folder)
    note.write_bytes(whole)
    grokjax.run(experiment, folder)
    assert_same_tables(folder, place / "whole")


FLIPPED_ARRAYS = """
import sys
from pathlib import Path
import numpy as np
from grokjax.config import ConfigError
from grokjax.engine.checkpoint import Checkpoints, newest, nothing_running

folder = Path(sys.argv[1])
arrays = [np.random.default_rng(0).normal(size=(50, 20)), np.arange(4), np.array([True, False])]
checkpoints = Checkpoints(folder)
checkpoints.save(3, nothing_running(), arrays)
tick, note = newest(folder)
refused = 0
for file in sorted((folder / "3" / "state").rglob("d/*")):
    whole = file.read_bytes()
    for at in range(1, len(whole), max(1, len(whole) // 8)):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            found = checkpoints.arrays(tick, note)
        except ConfigError as error:
            assert "not a readable checkpoint" in str(error)
            refused += 1
        else:
            assert all(map(np.array_equal, found, arrays))
    file.write_bytes(whole)
assert all(map(np.array_equal, checkpoints.arrays(tick, note), arrays))
assert refused
"""


def test_damaged_arrays_of_a_checkpoint_are_never_gone_on_from(tmp_path):
    """In a process of its own: orbax leaves threads behind when it cannot read."""
    subprocess.run(
        [sys.executable, "-c", FLIPPED_ARRAYS, str(tmp_path / "checkpoints")], check=True
    )


def test_overwriting_the_sweep_that_gives_the_parameters_is_refused(given):
    before = snapshot(given)
    with pytest.raises(ConfigError, match="give another --out"):
        grokjax.run(with_donors(given, "start"), given, overwrite=True)
    assert snapshot(given) == before


@pytest.mark.parametrize("name", ["runs", "curves"])
@pytest.mark.parametrize("how", [flip, truncate, remove])
def test_a_damaged_table_of_a_finished_sweep_is_named(unfinished, tmp_path, name, how):
    experiment, place = unfinished
    folder = shutil.copytree(place / "whole", tmp_path / "sweep")
    (part,) = (folder / name).iterdir()
    run_id = grokjax.load(folder).runs["run_id"][0]
    how(part)
    with pytest.raises(ConfigError, match="restore it from a copy") as refused:
        getattr(grokjax.load(folder), name)
    assert str(refused.value).startswith(f"{part}: ")
    if name == "curves":
        with pytest.raises(ConfigError, match="restore it from a copy"):
            grokjax.load(folder).curves_of([run_id])
    with pytest.raises(ConfigError, match="restore it from a copy"):
        grokjax.run(experiment, folder)
    assert not (folder / ".work").exists()
    grokjax.run(experiment, folder, retry_failed=True)
    assert_same_rows(folder, place / "whole")
    assert grokjax.load(folder).finished


def test_a_death_while_parts_are_merged_leaves_every_row_once(unfinished, tmp_path):
    experiment, place = unfinished
    merging = [*MOVES, (manifest, "write")]
    merge = Store.merge
    for n in range(1, 9):
        after = n % 2 == 0
        folder = shutil.copytree(place / "part", tmp_path / f"{n}")
        with pytest.MonkeyPatch.context() as patch:

            def then_die(self, patch=patch, n=n, after=after):
                crash_before_nth_write(patch, n, after, merging)
                return merge(self)

            patch.setattr(Store, "merge", then_die)
            with pytest.raises(Killed):
                grokjax.run(experiment, folder)
        grokjax.run(experiment, folder)
        assert_same_tables(folder, place / "whole")
        names = [
            sorted(p.name for p in (f / "curves").iterdir()) for f in (folder, place / "whole")
        ]
        assert names[0] == names[1]
