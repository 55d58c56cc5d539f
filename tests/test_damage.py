"""Rows, checkpoints and tables that a disk or a person has taken away or altered."""

import json
import shutil

import numpy as np
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
from grokjax.engine.checkpoint import Checkpoints, nothing_running, read_note
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


def checkpoints(folder):
    """The older one and the newer one."""
    return sorted((folder / ".work" / "checkpoints").iterdir())


@pytest.mark.parametrize(
    "hurt",
    [truncate, flip, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"{")],
)
def test_a_damaged_checkpoint_is_gone_back_from_to_the_one_before(
    unfinished, tmp_path, capsys, hurt
):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    _, newer = checkpoints(folder)
    hurt(newer)
    grokjax.run(experiment, folder, progress=False)
    said = f"{newer}: damaged, going on from the commit before it\n"
    assert capsys.readouterr().err == said
    assert_same_tables(folder, place / "whole")


def test_without_a_whole_checkpoint_nothing_is_gone_on_from(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    for path in checkpoints(folder):
        flip(path)
    before = snapshot(folder)
    with pytest.raises(ConfigError, match=r"not a readable checkpoint.*restore it from a copy"):
        grokjax.run(experiment, folder)
    assert snapshot(folder) == before


def test_the_checkpoint_before_is_not_gone_back_to_where_its_rows_are_gone(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    flip(checkpoints(folder)[1])
    remove(sorted((folder / "curves").iterdir())[0])
    with pytest.raises(ConfigError, match="not a readable checkpoint"):
        grokjax.run(experiment, folder, retry_failed=True)


def test_a_flipped_bit_of_a_checkpoint_is_noticed_wherever_it_is(tmp_path):
    arrays = [np.random.default_rng(0).normal(size=(50, 20)), np.arange(4), np.array([True, False])]
    arrays += [np.zeros((2, 0)), np.array(1.5, np.float32)]
    note = {**nothing_running(), "program": "a", "lanes": [{"wall_s": 0.1}]}
    Checkpoints(tmp_path).save(3, note, arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for at in range(1, len(whole), len(whole) // 60):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ConfigError, match="not a readable checkpoint"):
            read_note(tmp_path, 3)
    path.write_bytes(whole)
    assert read_note(tmp_path, 3) == note
    found = Checkpoints(tmp_path).arrays(3, note)
    assert [(a.dtype, a.shape) for a in found] == [(a.dtype, a.shape) for a in arrays]
    assert all(map(np.array_equal, found, arrays))


def test_a_sweep_that_an_older_grokjax_has_not_finished_is_refused(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    for path in checkpoints(folder):
        path.unlink()
    (folder / ".work" / "checkpoints" / "7" / "note").mkdir(parents=True)
    before = snapshot(folder)
    with pytest.raises(ConfigError, match=r"an older grokjax.*not finished; go on with that one"):
        grokjax.run(experiment, folder)
    assert snapshot(folder) == before
    assert "to do" in dry_run.describe(experiment, folder, overwrite=True)


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
