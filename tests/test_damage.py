"""Rows, checkpoints and tables that a disk or a person has taken away or altered."""

import json
import shutil
import subprocess
import sys

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
from grokjax import ConfigError, dry_run
from grokjax.engine import plan
from grokjax.engine.checkpoint import Checkpoints
from grokjax.results import manifest
from grokjax.results.store import Store


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


REPEATED = ("runs remove first", "runs truncate second", "curves remove all", "curves flip first")
"""Damages that happen to the other table as well."""


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] * (c in REPEATED)) for c in DAMAGES]
)
def test_lost_rows_of_an_unfinished_sweep_are_noticed_and_trained_again(unfinished, tmp_path, case):
    name, how, which = DAMAGES[case]
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    parts = sorted((folder / name).glob("*.parquet"))
    hurt = {"all": parts, "first": parts[:1], "second": parts[1:2]}[which]
    for part in hurt:
        how(part)
    before = snapshot(folder)
    for attempt in (grokjax.run, lambda e, f: dry_run.describe(e, f)):
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


@pytest.mark.slow  # repeats in another setting what faster tests assert
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


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("runs", flip),
        ("curves", truncate),
        ("runs", remove),
        *(
            pytest.param(name, how, marks=pytest.mark.slow)
            for name, how in (("curves", flip), ("runs", truncate), ("curves", remove))
        ),
    ],
)
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
