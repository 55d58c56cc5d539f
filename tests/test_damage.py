"""Rows, checkpoints and tables that a disk or a person has taken away or altered."""

import dataclasses
import errno
import json
import pathlib
import random
import shutil

import damages
import jax
import numpy as np
import pytest
import samples
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
from grokjax import ConfigError, dry_run, phase
from grokjax.engine.checkpoint import Checkpoints, nothing_running, read_note
from grokjax.results import manifest
from grokjax.results.store import Store


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The folders of `damages.make`: a sweep as a kill has left it, and the same in one go."""
    place = tmp_path_factory.mktemp("unfinished")
    experiment = damages.make(place)
    runs, curves = tables(place / "part")
    assert 0 < len(runs) < 8
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
        grokjax.run(swept(experiment, weight_decay=[0.1], seed=[2]), folder, retry_failed=True)


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
    with pytest.raises(ConfigError, match=r"not readable.*restore it from a copy"):
        grokjax.run(experiment, folder)
    assert snapshot(folder) == before


def test_the_checkpoint_before_is_not_gone_back_to_where_its_rows_are_gone(unfinished, tmp_path):
    experiment, place = unfinished
    folder = shutil.copytree(place / "part", tmp_path / "sweep")
    flip(checkpoints(folder)[1])
    remove(sorted((folder / "curves").iterdir())[0])
    with pytest.raises(ConfigError, match="not readable"):
        grokjax.run(experiment, folder, retry_failed=True)


def test_a_flipped_bit_of_a_checkpoint_is_noticed_wherever_it_is(tmp_path):
    arrays = [np.random.default_rng(0).normal(size=(50, 20)), np.arange(4), np.array([True, False])]
    arrays += [np.zeros((2, 0)), np.array(1.5, np.float32)]
    note = {**nothing_running(), "program": "a", "parts": {}}
    note["lanes"] = [{"run_id": "ab", "step": 3, "wall_s": 0.1, "calm_since": None}, None]
    Checkpoints(tmp_path).save(3, note, arrays)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    word = whole.index(b"blake2b")
    for at in (*range(1, len(whole), len(whole) // 60), word):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(ConfigError, match="restore"):
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


FAILED_ONCE = [
    ("whole", "phase", "sweep.json: nested"),
    ("whole", "phase", "sweep.json: axes is null"),
    ("whole", "phase", "sweep.json: thresholds.memorised is a word"),
    ("whole", "phase", "sweep.json: starts.0.command is a list"),
    ("whole", "phase", "sweep.json: a pipe"),
    ("whole", "phase", "curves: a part twice"),
    ("whole", "joined", "measures/*: cut to 99 %"),
    ("whole", "joined", "runs/*: gated of structs"),
    ("whole", "phase", "runs/*: junk about pandas"),
    ("whole", "phase", "runs/*: rows twice"),
    ("whole", "export", "runs/*: batches of bytes"),
    ("whole", "dry run", "sweep.json: base.steps is huge"),
    ("whole", "dry run", "sweep.json: axes is gone"),
    ("whole", "dry run", "sweep.json: programs.*.segments is gone"),
    ("part", "dry run", ".work/checkpoints/*: lanes.0 is a word"),
    ("part", "phase", ".work/plan.json: all of it is a number"),
    ("part", "phase", "runs/*: last_step of NaN"),
    ("part", "sweep --retry-failed", "curves/*: test_accuracy of nulls"),
    ("part", "sweep --retry-failed", "runs/*: p of flags"),
    ("whole", "sweep --retry-failed", "a record with a path out of the folder"),
    ("whole", "phase in place", "links where files are written"),
    ("whole", "phase in place", "pipes where files are written"),
    ("whole", "sweep --overwrite", "snapshots: a link out of the folder"),
]
"""Folder, reader and damage of what ended in a traceback, a hang, a paragraph, a file outside that was
changed, or rows that were read as if nothing had happened."""
SAMPLE, LARGE_SAMPLE = 24, 1000


def assert_no_faults(place, cases, work):
    found = {
        (kind, reader, damage.name): fault
        for kind, reader, damage in cases
        if (fault := damages.fault_of(place, kind, damage, reader, work))
    }
    assert not found


def test_what_failed_once_is_refused_in_a_sentence_or_read(unfinished, tmp_path, one_figure):
    place = unfinished[1]
    cases = [(kind, r, damages.named(place / kind, name)) for kind, r, name in FAILED_ONCE]
    assert_no_faults(place, cases, tmp_path / "work")


def every_case(place, readers):
    return [
        (kind, reader, damage)
        for kind in ("whole", "part")
        for damage in damages.of_folder(place / kind)
        for reader in readers
    ]


def test_damage_is_refused_in_a_sentence_or_read_around(
    unfinished, tmp_path, one_figure, quick_figures
):
    """A sample that is another one at every commit."""
    place, rng = unfinished[1], random.Random(samples.commit())
    cases = rng.sample(every_case(place, damages.LOOK), SAMPLE)
    cases += rng.sample(every_case(place, damages.WRITE), SAMPLE // 8)
    assert_no_faults(place, cases, tmp_path / "work")


@pytest.mark.slow  # results/trust/damage.json has the counts of the last time
def test_much_damage_is_refused_in_a_sentence_or_read_around(
    unfinished, tmp_path, one_figure, quick_figures
):
    """The same with more; all of it would take hours."""
    place, rng = unfinished[1], random.Random(samples.commit())
    cases = every_case(place, damages.READERS)
    print(f"{LARGE_SAMPLE} of {len(cases)} cases")
    assert_no_faults(place, rng.sample(cases, LARGE_SAMPLE), tmp_path / "work")


def test_one_flipped_bit_anywhere_in_a_finished_folder_is_noticed(unfinished, tmp_path):
    place = unfinished[1]
    results = grokjax.load(place / "whole")
    run_id, step = next(results.snapshots.itertuples(index=False, name=None))
    tables = {name: getattr(results, name) for name in ("runs", "curves", "measures")}
    arrays = results.snapshot(run_id, step)
    rng = random.Random(samples.commit())
    for name in [*tables, "snapshots"]:
        path = sorted((place / "whole" / name).iterdir())[0]
        whole = path.read_bytes()
        for at in rng.sample(range(len(whole)), 12):
            folder = shutil.copytree(place / "whole", tmp_path / "flipped")
            hurt = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
            (folder / name / path.name).write_bytes(hurt)
            found = grokjax.load(folder)
            try:
                if name == "snapshots":
                    same = jax.tree.all(
                        jax.tree.map(np.array_equal, found.snapshot(run_id, step), arrays)
                    )
                else:
                    same = getattr(found, name).equals(tables[name])
            except ConfigError as error:
                assert str(error).startswith(str(folder / name / path.name))
            else:
                assert same and name == "snapshots"  # spaces that fill up the head of the file
            shutil.rmtree(folder)
    sweep_json = (place / "whole" / "sweep.json").read_bytes()
    for at in rng.sample(range(len(sweep_json)), 12):
        folder = shutil.copytree(place / "whole", tmp_path / "flipped")
        flipped = sweep_json[:at] + bytes([sweep_json[at] ^ 2]) + sweep_json[at + 1 :]
        (folder / "sweep.json").write_bytes(flipped)
        try:
            assert grokjax.load(folder).manifest == results.manifest  # a space
        except ConfigError as error:
            assert str(error).startswith(str(folder / "sweep.json"))
        shutil.rmtree(folder)


def test_footers_of_an_unfinished_folder_are_checked_by_its_checkpoint(unfinished, tmp_path):
    folder = shutil.copytree(unfinished[1] / "part", tmp_path / "sweep")
    whole = grokjax.load(folder).curves
    part = sorted((folder / "curves").iterdir())[1]
    content = part.read_bytes()
    at = content.rindex(b"train_loss")
    part.write_bytes(content[:at] + b"brain_loss" + content[at + 10 :])
    with pytest.raises(ConfigError, match="not as it was committed"):
        grokjax.load(folder).curves.equals(whole)


def test_damaged_measures_and_curves_are_gaps_of_a_report(
    unfinished, tmp_path, capsys, one_figure, quick_figures
):
    folder = shutil.copytree(unfinished[1] / "whole", tmp_path / "sweep")
    for name in ("measures", "curves"):
        truncate(next((folder / name).iterdir()))
    assert phase.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    for text in (capsys.readouterr().out, (tmp_path / "out" / "report.html").read_text()):
        assert f"the measures are left out: {folder / 'measures'}" in text
        assert f"the curves are left out: {folder / 'curves'}" in text


def test_a_folder_that_cannot_be_written_to_is_shown_elsewhere(
    unfinished, tmp_path, monkeypatch, one_figure, quick_figures
):
    folder = shutil.copytree(unfinished[1] / "part", tmp_path / "sweep")
    opened = pathlib.Path.open

    def read_only(self, mode="r", *args, **kwargs):
        if folder in self.parents and mode != "r" and mode != "rb":
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, "open", read_only)
    before = damages.state(folder)
    assert phase.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    assert damages.state(folder) == before


def test_a_damaged_final_state_lets_its_run_begin_again(unfinished, tmp_path):
    donor = damages.donor(unfinished[1] / "experiment.py")
    first = dataclasses.replace(donor, snapshots=None)  # those depend on the budget
    larger, folder = dataclasses.replace(first, steps=60), tmp_path / "sweep"
    grokjax.run(first, folder, lanes=2, progress=False)
    grokjax.run(larger, tmp_path / "at once", lanes=2, progress=False)
    flip(sorted((folder / "final").iterdir())[0])
    said = []
    grokjax.run(larger, folder, report=lambda progress: said.append(progress.activity))
    assert any(f"{folder / 'final'}" in activity for activity in said)
    assert "training 1 runs again" in said
    assert_same_rows(folder, tmp_path / "at once")
